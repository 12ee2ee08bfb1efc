"""The paper's tables: cells from results and studies, marks by intervals, commands for what is missing."""

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from tokenchain_toolkit.bin import make_tables, measure_speech, score
from tokenchain_toolkit.config.grid import StudyConfig
from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.tables import SIGNS, TablesConfig, check_tables
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.files import read_json, write_json, write_text
from tokenchain_toolkit.metrics.measure_changes import COMPARED
from tokenchain_toolkit.metrics.score_rows import ScoreRow, read_score_rows, write_score_rows
from tokenchain_toolkit.report.grid_results import measure_grids
from tokenchain_toolkit.report.tables import PAPER_TABLES, build_tables
from tokenchain_toolkit.tasks.grid_cells import cells_of

EGS2 = Path(__file__).parents[2] / "egs2"
WORDS, NUM_UTTS = 20, 60


def scored(**changes):
    return {"recipe": "mine", "what": "WER", "claim": "5–13 % lower", "fill": "run", "scored": changes}


def studied(**changes):
    source = {"grid": "taus", "set": "read", **changes}
    return {"recipe": "mine", "what": "WER", "claim": "5–13 % lower", "fill": "study", "studied": source}


@pytest.fixture
def fill(tmp_path):
    """A function that fills a table of the given rows from the recipes below ``egs2``."""

    def build(*rows, sizes=None):
        commands, tables = {"run": "./run.sh", "study": "./study.sh"}, [{"title": "T", "rows": [*rows]}]
        definition = {"commands": commands, "tables": tables, "sizes": sizes or {}}
        write_text(tmp_path / "tables.yaml", yaml.safe_dump(definition))
        made = build_tables(tmp_path / "egs2", tmp_path, command="make", definition=tmp_path / "tables.yaml")
        return made[0].rows

    return build


@pytest.fixture
def write_results(tmp_path):
    """A function that writes ``results.json`` of the recipe ``mine``: a baseline, a chain, and the change."""

    def write(change=(-0.1, -0.2, -0.01), *, epochs=(3, 3), metric="wer"):
        common = {"model": "chain", "set": "test", "n": 50, "command": "score", "commit": "abc"}
        rows = [
            ScoreRow("chain_baseline", metric=metric, epoch=epochs[0], value=0.2, ci_low=0.1, ci_high=0.3, **common),
            ScoreRow("chain_st_argmax", metric=metric, epoch=epochs[1], value=0.18, ci_low=0.1, ci_high=0.3, **common),
        ]
        if change:
            value, low, high = change
            figures = {"metric": f"{metric}_change", "epoch": epochs[1], "value": value, "ci_low": low, "ci_high": high}
            rows.append(ScoreRow("chain_st_argmax", baseline="chain_baseline", **figures, **common))
        write_score_rows(tmp_path / "egs2/mine/tokenchain1/results.json", rows)

    return write


@pytest.fixture
def study(tmp_path):
    """Folder of a study of four arms and two seeds, whose errors fall from epoch to epoch, those of some sooner."""
    folder = tmp_path / "egs2/mine/tokenchain1/exp/study"
    final = {("annealed", "none"): 2, ("1", "none"): 4, ("2", "none"): 4, ("1", "replay"): 3}
    random, runs = np.random.default_rng(0), []
    for (tau, replay), last in final.items():
        for seed in (0, 1):
            name = f"taus/{tau}/{replay}/seed{seed}"
            for epoch, mean in enumerate(np.linspace(8, last, 4)):
                counts = random.poisson(mean, NUM_UTTS)
                errors = {f"u{u:02d}": [int(count), WORDS] for u, count in enumerate(counts)}
                sets = {"read": {"joint": errors}}
                write_json(folder / name / "evaluation" / f"epoch{epoch:03d}.json", {"epoch": epoch, "sets": sets})
            baseline = f"taus/1/{replay}/seed{seed}" if tau != "1" else None
            labels = {"tau": tau, "replay": replay, "seed": seed}
            run = {"grid": "taus", "labels": labels, "folder": name, "baseline": baseline, "epochs": 3}
            runs.append({**run, "target_sets": [], "overrides": []})
    write_json(folder / "runs.json", runs)
    return folder


@pytest.mark.parametrize(
    ("change", "sign", "mark"),
    [
        ((-0.1, -0.2, -0.01), "lower", "✓"),
        ((-0.1, -0.2, 0.0), "lower", "open"),
        ((0.1, 0.01, 0.2), "lower", "✗"),
        ((0.1, 0.01, 0.2), "earlier", "✓"),
        ((0.1, 0.01, 0.2), "no_higher", "✗"),
        ((-0.1, -0.2, -0.01), "no_higher", "✓"),
        ((0.0, -0.1, 0.1), "no_higher", "no change seen"),
        ((0.1, 0.01, 0.2), "no_lower", "✓"),
        ((-0.1, -0.2, -0.01), "no_lower", "✗"),
        ((0.0, -0.1, 0.0), "no_lower", "no change seen"),
        ((-0.1, -0.2, -0.01), "none", "–"),
    ],
)
def test_the_mark_says_on_which_side_of_zero_the_interval_lies(fill, write_results, change, sign, mark):
    write_results(change)
    (row,) = fill({**scored(set="test", metric="wer"), "sign": sign})
    assert row.mark == mark and (row.before, row.after) == ("20.0 [10.0, 30.0]", "18.0 [10.0, 30.0]")
    assert row.cell.basis == "3 epochs, 50 utterances" and not row.missing


@pytest.mark.parametrize(
    ("low", "high", "size"),
    [
        (-0.3, -0.05, ""),
        (-0.04, -0.01, "smaller"),
        (-0.3, -0.14, "larger"),
        (-0.04, 0.01, ""),
        (0.01, 0.04, ""),
    ],
)
def test_a_change_whose_interval_leaves_out_the_claimed_size_says_so(fill, write_results, tmp_path, low, high, size):
    write_results((low, low, high))
    (row,) = fill(scored(set="test", metric="wer"), sizes={"5–13 % lower": [0.05, 0.13]})
    assert row.size == size
    page = (tmp_path / "TABLES.md").read_text().rpartition("| what")[2]
    assert (f"✓, {size} than claimed |" in page) == bool(size)
    assert read_json(tmp_path / "tables.json")[0]["rows"][0]["size"] == (size or None)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"5-13 % lower": [0.05, 0.13]}, "'5-13 % lower' is no row's claim"),
        ({"5–13 % lower": [0.13, 0.05]}, "the least and the most"),
        ({"5–13 % lower": [0.05]}, "the least and the most"),
    ],
)
def test_a_size_that_is_of_no_claim_or_no_range_is_refused(fill, sizes, message):
    with pytest.raises(ConfigError, match=message):
        fill(scored(set="test", metric="wer"), sizes=sizes)


@pytest.mark.parametrize("sign", [sign for sign in SIGNS if SIGNS[sign]])
def test_rates_that_were_not_compared_by_utterance_decide_nothing(fill, write_results, sign):
    write_results(None, metric="whisper_wer")
    (row,) = fill({**scored(set="test", metric="whisper_wer"), "sign": sign})
    assert row.change == "-10.0 %, no interval" and row.mark == "open"


def test_unequal_epochs_are_no_comparison(fill, write_results):
    write_results(epochs=(3, 4))
    (row,) = fill(scored(set="test", metric="wer"))
    assert row.cell is None and row.change == "–"


def test_against_what_a_chain_started_from_epochs_need_not_be_equal(fill, write_results, tmp_path):
    write_results()
    path = tmp_path / "egs2/mine/tokenchain1/results.json"
    rows = read_score_rows(path)
    start = replace(rows[0], experiment="asr", model="asr", epoch=70, value=0.3)
    change = replace(rows[-1], baseline="asr", value=-0.4, ci_low=-0.5, ci_high=-0.3)
    write_score_rows(path, [start, *rows, change])
    before, baseline = fill(scored(set="test", metric="wer", baseline="asr"), scored(set="test", metric="wer"))
    assert (before.before, before.after, before.mark) == ("30.0 [10.0, 30.0]", "18.0 [10.0, 30.0]", "✓")
    assert before.change.startswith("-40.0 %") and baseline.change.startswith("-10.0 %")


def test_what_is_missing_says_how_to_fill_it(fill, write_results, tmp_path):
    write_results()
    other_set, other_recipe = fill(
        scored(set="other", metric="wer"), {**scored(set="test", metric="wer"), "recipe": "theirs"}
    )
    folder = tmp_path / "egs2"
    assert other_set.missing == f"in {folder}/mine/tokenchain1: `./run.sh`"
    assert other_recipe.missing == f"in {folder}/theirs/tokenchain1, which is not in this tree: `./run.sh`"
    assert {other_set.mark, other_recipe.mark} == {"open"}


def test_any_two_arms_of_a_study_are_compared_by_their_labels(fill, study):
    annealed = {"tau": "annealed"}
    against_one, against_two = fill(
        studied(arm=annealed, against={"tau": "1", "replay": "none"}), studied(arm=annealed, against={"tau": "2"})
    )
    reported = measure_grids(study)[0].sets[0].main.arms["none · annealed"].last_change
    assert against_one.cell.change == reported.interval and reported.interval.value == pytest.approx(-0.5, abs=0.15)
    assert against_one.mark == against_two.mark == "✓"
    assert against_two.cell.basis == "epoch 3, 2 seeds, 60 utterances"


def test_an_arm_is_compared_with_its_own_start(fill, study):
    (row,) = fill(studied(arm={"tau": "annealed"}))
    assert row.cell.change.value == pytest.approx(-0.75, abs=0.1) and row.cell.before.value == pytest.approx(
        0.4, abs=0.05
    )


def test_epochs_that_are_saved_are_positive(fill, study):
    pair = {"arm": {"tau": "annealed"}, "against": {"tau": "2"}, "in_epochs": True}
    sooner, later = fill(
        {**studied(**pair), "sign": "earlier"},
        {**studied(**{**pair, "arm": pair["against"], "against": pair["arm"]}), "sign": "earlier"},
    )
    assert sooner.mark == "✓" and sooner.change.startswith("+1.") and sooner.change.endswith("epochs")
    assert later.mark == "✗" and "not reached" in later.change


def test_runs_that_are_not_there_leave_the_cell_open(fill, study):
    rows = fill(
        studied(arm={"tau": "0.5"}),
        studied(arm={"tau": "annealed"}, head="t2s"),
        studied(arm={"tau": "annealed"}, set="talk"),
        {**studied(arm={"tau": "annealed"}), "studied": {"grid": "other", "set": "read", "arm": {"tau": "1"}}},
    )
    assert all(row.cell is None and "./study.sh" in row.missing for row in rows)


def test_labels_of_several_arms_are_refused(fill, study):
    with pytest.raises(DataError, match=r"2 arms have tau=1; name more of their labels"):
        fill(studied(arm={"tau": "1"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sign": "better"}, "sign=better; choose one of lower, earlier, no_higher, no_lower"),
        ({"fill": "magic"}, "fill=magic; commands has run, study"),
        ({"studied": {"grid": "g", "set": "s"}}, "either scored or studied"),
        ({"claims": "5"}, "claims"),
    ],
)
def test_a_wrong_definition_names_the_row(fill, change, message):
    with pytest.raises(ConfigError, match=message):
        fill({**scored(set="test", metric="wer"), **change})


def test_the_papers_tables_are_filled_by_the_recipes_of_this_tree(tmp_path):
    config = load_config(TablesConfig, PAPER_TABLES)
    check_tables(config)
    assert make_tables.main([f"--egs2={EGS2}", f"--out={tmp_path}"]) == 0
    text, tables = (tmp_path / "TABLES.md").read_text(), read_json(tmp_path / "tables.json")
    rows = [row for table in tables for row in table["rows"]]
    assert len(tables) == 4 and all(row["claim"] in text for row in rows)
    for row in rows:
        assert row["stand_in"] == (row["recipe"] in ("mini_synth", "fsdd"))
        if row["stand_in"] and row["scored"]:
            assert row["measured"]["change"]["value"] is not None, row["what"]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.count(" | ") for line in lines if not line.startswith("| what")}) == 1


STUDIES = {
    "librispeech_100": "TEMPLATE/tokenchain1/conf/paper",
    "mini_synth": "mini_synth/tokenchain1/conf",
    "fsdd": "fsdd/tokenchain1/conf",
    "tedlium2": "tedlium2/tokenchain1/conf",
}


@pytest.mark.parametrize("recipe", STUDIES)
def test_the_studies_have_the_arms_that_the_papers_tables_name(recipe):
    cells = cells_of(load_config(StudyConfig, EGS2 / STUDIES[recipe] / "study.yaml"))
    rows = [row for table in load_config(TablesConfig, PAPER_TABLES).tables for row in table.rows]
    sources = [row.studied for row in rows if row.recipe == recipe and row.studied]
    assert sources
    for source in sources:
        tested = [cell for cell in cells if cell.grid == source.grid and source.set in cell.settings.test_sets]
        for labels in filter(None, (source.arm, source.against)):
            arms = {cell.name.rpartition("/")[0] for cell in tested if labels.items() <= cell.labels.items()}
            assert len(arms) == 1, (source.grid, labels, arms)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A function that gives the words of every command of the toolkit that a fill command would run in a recipe."""
    tree = tmp_path_factory.mktemp("tree")
    made = shutil.ignore_patterns("data", "dump", "exp", "exp_tiny", "downloads")
    shutil.copytree(EGS2, tree / "egs2", symlinks=True, ignore=made)
    # Neither an installation nor a measurement: the first does nothing, the second shows its words as a dry run does.
    # Asked for the GPUs, it has eight.
    python3 = "if [[ $1 == -c ]]; then echo 8; else printf '%q ' python3 \"$@\"; echo; fi\n"
    stand_ins = {"tools/install.sh": "", "bin/python3": python3}
    for path, text in stand_ins.items():
        write_text(tree / path, f"#!/usr/bin/env bash\n{text}")
        (tree / path).chmod(0o755)
    environment = {**os.environ, "VENV": str(tree)}

    @cache
    def run(recipe, command):
        script = "set -eu\n" + re.sub(r"\./(run|study)\.sh", r"\g<0> --dry_run", command)
        folder = tree / "egs2" / recipe / "tokenchain1"
        done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("python3 ")]

    return run


def compares(words, row):
    """Whether a command writes the change of a row, with its interval."""
    source, command = row.scored, words[2].rpartition(".")[2]
    if command == "score":
        options = score.get_parser().parse_args(words[3:])
        metrics = [options.metric_name] if options.metric_name else options.metric
        if row.recipe == "tedlium2" and "wer" in metrics:  # whose sets have text_published
            metrics = [*metrics, "published_wer"]
        named = (options.experiment, options.set_name)
        baselines = {path.parent.parent.name for path in options.baseline}
    elif command == "measure_speech":
        options = measure_speech.get_parser().parse_args(words[3:])
        models = {"wer": options.recogniser, "similarity": options.encoder}
        family, _, kind = source.metric.rpartition("_")
        metrics = (
            [source.metric] if kind in {*COMPARED} & {*options.measures} and family in models.get(kind, "") else []
        )
        named = (options.wavs.parent.name, options.reference.name)
        baselines = {options.baseline.parent.name} if options.baseline else set()
    else:
        return False
    return named == (source.experiment, source.set) and source.metric in metrics and source.baseline in baselines


def test_a_claim_of_another_metric_gets_no_mark():
    rows = [row for table in load_config(TablesConfig, PAPER_TABLES).tables for row in table.rows]
    of_speech = [row for row in rows if row.claim.startswith("11.6 %")]
    assert {row.sign for row in of_speech} == {"lower", "none"}
    for row in of_speech:
        is_whisper = row.scored is not None and row.scored.metric == "whisper_wer"
        assert row.sign == ("lower" if is_whisper else "none"), row.what


def test_what_fills_a_row_says_how_sure_it_is(shown):
    """Every row has an interval: its command compares utterance by utterance."""
    config = load_config(TablesConfig, PAPER_TABLES)
    for row in (row for table in config.tables for row in table.rows):
        assert row.sign in SIGNS
        if row.scored is None:  # changes of studies always have an interval, and the next test finds their runs
            assert row.recipe in STUDIES, row.what
            continue
        assert any(compares(words, row) for words in shown(row.recipe, config.commands[row.fill])), row.what


def test_a_study_that_fills_a_row_is_shown_after_the_stages_that_it_needs(shown):
    config = load_config(TablesConfig, PAPER_TABLES)
    rows = [row for table in config.tables for row in table.rows if row.studied]
    assert {row.recipe for row in rows} == STUDIES.keys()
    for recipe, fill in sorted({(row.recipe, row.fill) for row in rows}):
        *stages, study = shown(recipe, config.commands[fill])
        assert study[2].endswith("run_grid") and "--dry_run" in study
        options = dict(pairwise(study))
        assert (EGS2 / recipe / "tokenchain1" / options["--config"]).is_file() and options["--out"] == "exp/study"
        assert {"validate", "extract_tokens"} <= {words[2].rpartition(".")[2] for words in stages}
        # What runs on a GPU in the stages does so in the study, a run on each GPU, as plan_cost reckons.
        on_gpu = any("cuda" in words for words in stages)
        assert on_gpu == ("cuda" in study) and options["--num_jobs"] == ("8" if on_gpu else "2")


def test_speech_is_measured_before_it_is_compared_with(shown):
    commands = shown("librispeech_100", load_config(TablesConfig, PAPER_TABLES).commands["whisper"])
    measured = [words for words in commands if words[2].endswith("measure_speech")]
    baseline, chain = (measure_speech.get_parser().parse_args(words[3:]) for words in measured)
    assert chain.baseline == baseline.out and baseline.baseline is None
    synthesized = {words[words.index("--max_utts") + 1] for words in commands if "--max_utts" in words}
    assert len(synthesized) == 1 and int(synthesized.pop()) > 1000
