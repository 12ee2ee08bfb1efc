"""Every configuration of the recipes loads; the paper-size models have the sizes they state."""

import json
import re
from pathlib import Path

import pytest
import torch

from tokenchain_toolkit.config.asr import ASRConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.grid import StudyConfig
from tokenchain_toolkit.config.load import config_dict, load_config
from tokenchain_toolkit.config.s2a import S2AConfig
from tokenchain_toolkit.config.schemas import BY_NAME, schema_of
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.config.units import UnitsConfig
from tokenchain_toolkit.inference.model_folder import build_model
from tokenchain_toolkit.models.asr import count_parameters
from tokenchain_toolkit.models.temperature import temperature_at
from tokenchain_toolkit.tasks.base import build_optimizer, learning_rate
from tokenchain_toolkit.tasks.grid_plan import plan_study

EGS2 = Path(__file__).parents[2] / "egs2"
PAPER = EGS2 / "TEMPLATE" / "tokenchain1" / "conf" / "paper"
PAPER_SCHEMAS = {"asr": ASRConfig, "t2s": T2SConfig, "chain": ChainConfig, "s2a": S2AConfig}
PAPER_SIZE = sorted([*PAPER.glob("*.yaml"), *(EGS2 / "tedlium2" / "tokenchain1" / "conf").glob("*.yaml")])
MARK = re.compile(r"\[(paper|ESPnet|assumed)\]")
SHARED = [path for name in ("small", "tiny") for path in (PAPER.parent / name).glob("*.yaml")]
RECIPES = sorted([*EGS2.glob("*/tokenchain1/conf/*.yaml"), *SHARED])
STUDIES = [path for path in RECIPES if schema_of(path) is StudyConfig]


def name_of(path):
    return str(path.relative_to(EGS2)).replace("/tokenchain1/conf", "")


def test_there_are_recipes():
    assert {schema_of(path) for path in RECIPES} == {*BY_NAME.values(), ChainConfig, StudyConfig} - {UnitsConfig}


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_a_recipes_configuration_loads_and_can_be_carried_out(path):
    config = load_config(schema_of(path), path)
    assert isinstance(config, schema_of(path))
    if hasattr(config, "optim"):
        assert learning_rate(config.optim, step=1, progress=0.0) > 0
        assert build_optimizer(config.optim, [torch.nn.Parameter(torch.zeros(1))]).param_groups
    if isinstance(config, ChainConfig):
        assert temperature_at(config.model.temperature, 0.5, num_epochs=2) > 0


@pytest.mark.parametrize("path", STUDIES, ids=name_of)
def test_every_run_of_a_study_can_be_carried_out_and_has_a_baseline(path, tmp_path, monkeypatch):
    monkeypatch.chdir(path.parents[1])
    study = plan_study(load_config(StudyConfig, path), out=tmp_path)
    names = {run.cell.name for run in study.runs}
    assert len(names) == len(study.runs) > 1
    assert all(run.cell.baseline in names for run in study.runs if run.cell.baseline)
    assert sum(run.cell.baseline is None for run in study.runs) <= len(names) / 2


@pytest.mark.parametrize("recipe", ["mini_synth", "tedlium2"])
def test_what_t2s_says_of_another_domain_is_read_by_a_judge_of_both(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(EGS2 / recipe / "tokenchain1")
    config = load_config(StudyConfig, Path("conf/study.yaml"))
    judged = [run for run in plan_study(config, out=tmp_path).runs if run.cell.settings.target_sets]
    assert judged
    for run in judged:
        judge = Path(run.work.config.evaluation.judge).relative_to(tmp_path / "models").parts[0]
        assert len(config.models[judge].train_sets) == 2
        assert run.cell.settings.train_sets[0] in config.models[judge].train_sets


@pytest.mark.parametrize("baseline", [path for path in RECIPES if path.name == "chain_baseline.yaml"], ids=name_of)
def test_the_chain_differs_from_its_baseline_in_the_feedback_alone(baseline):
    def without_feedback(path):
        config = config_dict(load_config(ChainConfig, path))
        return config["model"].pop("feedback"), config["model"].pop("temperature"), config

    kind, _, expected = without_feedback(baseline)
    assert kind == "none"
    others = sorted(set(baseline.parent.glob("chain_*.yaml")) - {baseline})
    assert others
    for path in others:
        kind, _, config = without_feedback(path)
        assert kind != "none" and config == expected, path


def paper_parameters(kind):
    """Millions of parameters with 1024 semantic tokens, BPE 5000 and eight quantizers of 1024."""
    config = load_config(PAPER_SCHEMAS[kind], PAPER / f"{kind}.yaml")
    acoustic = {"num_quantizers": 8, "codebook_size": 1024, "frame_rate": 50.0}
    manifest = {"semantic": {"num_clusters": 1024, "frame_rate": 50.0}, "acoustic": acoustic}
    with torch.device("meta"):
        model = build_model(kind, config_dict(config.model), manifest=manifest, vocab_size=5000)
    return count_parameters(model) / 1e6


@pytest.mark.parametrize("kind", ["asr", "t2s", "s2a"])
def test_a_paper_size_model_has_the_size_it_states(kind):
    stated = re.search(r"^# parameters: ([\d.]+) M\b", (PAPER / f"{kind}.yaml").read_text(), re.MULTILINE)
    assert stated, f"conf/paper/{kind}.yaml must state '# parameters: N M'"
    assert paper_parameters(kind) == pytest.approx(float(stated[1]), rel=0.005)


def unmarked_values(lines, *, within=None):
    """Lines of a YAML file with a value that neither its own comment nor that of a section around it marks."""
    sections, found = [], []  # of each section around the line: indentation, name, whether it is marked
    for line in lines:
        code, _, comment = line.partition("#")
        if not code.strip():
            continue
        indentation = len(code) - len(code.lstrip())
        while sections and sections[-1][0] >= indentation:
            sections.pop()
        is_marked = bool(MARK.search(comment)) or any(marked for _, _, marked in sections)
        if code.rstrip().endswith(":"):
            sections.append((indentation, code.strip(" :\n"), is_marked))
        elif not is_marked and (within is None or within in [name for _, name, _ in sections]):
            found.append(line)
    return found


def test_a_value_without_a_mark_is_found():
    marked = ["a: 1  # [paper]", "b:  # the values are [assumed]", "  c: 2", "  d: [3]  # [ESPnet]"]
    assert not unmarked_values(marked)
    assert unmarked_values([*marked, "e:", "  f: 4  # as in g.yaml", "h: 5"]) == ["  f: 4  # as in g.yaml", "h: 5"]
    assert unmarked_values(["a: 1", "b:", "  c: 2"], within="b") == ["  c: 2"]


@pytest.mark.parametrize("path", PAPER_SIZE, ids=name_of)
def test_every_value_of_a_paper_size_configuration_says_where_it_is_from(path):
    is_study = schema_of(path) is StudyConfig  # whose other values are names of sets and files
    assert not unmarked_values(path.read_text().splitlines(), within="axes" if is_study else None)


def test_the_paper_size_asr_is_the_size_of_the_recipe_it_follows():
    assert 36 < paper_parameters("asr") < 42


def test_the_paper_size_chain_loads():
    assert load_config(ChainConfig, PAPER / "chain.yaml").model.feedback != "none"


def test_db_sh_may_name_the_pretrained_models_of_a_tokenizer(monkeypatch):
    path = EGS2 / "librispeech_100" / "tokenchain1" / "conf" / "tokenizer.yaml"
    monkeypatch.delenv("HUBERT_BASE", raising=False)
    assert load_config(TokenizerConfig, path).semantic.ssl.model == "facebook/hubert-base-ls960"
    monkeypatch.setenv("HUBERT_BASE", "/models/hubert")
    assert load_config(TokenizerConfig, path).semantic.ssl.model == "/models/hubert"


@pytest.mark.parametrize("path", [path for path in PAPER_SIZE if schema_of(path) is StudyConfig], ids=name_of)
def test_no_two_runs_of_a_paper_size_study_are_the_same(path, tmp_path, monkeypatch):
    monkeypatch.chdir(EGS2 / "librispeech_100" / "tokenchain1" if path.parent == PAPER else path.parents[1])
    runs = plan_study(load_config(StudyConfig, path), out=tmp_path).runs
    made = [json.dumps([run.work.settings(), sorted(map(str, [*run.work.given(), *run.work.made()]))]) for run in runs]
    assert len(set(made)) == len(made)
