"""A whole study on the tiny recipe: models, labels, runs, report; reruns, kills, failures."""

import itertools
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from tokenchain_toolkit.bin import run_grid, train_chain
from tokenchain_toolkit.config.evaluation import EvaluationConfig
from tokenchain_toolkit.config.load import merge_into
from tokenchain_toolkit.data.corpus import load_corpus
from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.inference import evaluation
from tokenchain_toolkit.inference.asr_beam_search import BeamSearch
from tokenchain_toolkit.inference.evaluation import evaluate
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.tasks.epoch_evaluation import EpochEvaluation

ASR = {"embed_dim": 8, "encoder_dim": 8, "encoder_blocks": 1, "attention_heads": 2, "cgmlp_units": 8}
ASR |= {"cgmlp_kernel": 3, "merge_kernel": 3, "feed_forward_units": 8, "decoder_layers": 1, "decoder_units": 8}
T2S = {"hidden_dim": 8, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 8}
TRAINING = {"max_epochs": 1, "batch_frames": 150, "accelerator": "cpu", "precision": "32-true", "average_best": 0}
OPTIM = {"lr": 0.03, "warmup_steps": 1}
QUICK = {"beam_size": 2, "t2s_utts": 3, "t2s": {"max_frames_per_token": 3.0}}
SETTINGS = {"models": "tiny", "tokenizer": "made_up", "config": "conf/chain.yaml", "train_sets": ["read"]}
SETTINGS |= {"valid_set": "read", "test_sets": ["read", "talk"], "overrides": ["training.max_epochs=2"]}
ARMS = {"baseline": {"overrides": ["model.feedback=none"]}, "st_argmax": {"overrides": ["model.feedback=st_argmax"]}}
LABELS = [
    "model.feedback=none",
    "unpaired.labels={models}/decode_read/text",
    "data.paired_share=0.5",
    "unpaired.speech_ratio=1",
]
STUDY = {
    "title": "A tiny study",
    "models": {
        "tiny": {
            "train_sets": ["read"],
            "valid_set": "read",
            "tokenizer": "made_up",
            "asr": {"config": "conf/asr.yaml", "overrides": ["training.max_epochs=6"]},
            "t2s": {"config": "conf/t2s.yaml"},
            "decode": ["read"],
            "decode_config": "conf/decode.yaml",
        }
    },
    "grids": {
        "enough": {
            "settings": SETTINGS,
            "axes": {"feedback": ARMS, "seed": [0, 1]},
            "baseline": {"feedback": "baseline"},
        },
        "labelled": {"settings": {**SETTINGS, "overrides": ["training.max_epochs=2", *LABELS]}},
    },
}
CONFIGS = {
    "asr": {"model": ASR, "training": TRAINING, "optim": OPTIM},
    "t2s": {"model": T2S, "training": TRAINING, "optim": OPTIM},
    "chain": {"training": TRAINING, "optim": OPTIM, "evaluation": QUICK},
    "decode": {"beam_size": 2},
    "study": STUDY,
    "empty": {"title": "Nothing"},
}
DATA, DUMP = Path("data"), Path("dump/made_up")
RUNS = [f"enough/{arm}/seed{seed}" for arm in ARMS for seed in (0, 1)] + ["labelled/seed0"]


@pytest.fixture(scope="module")
def folder(recipe, manifest, tmp_path_factory):
    """A recipe's folder in which the study has been carried out once."""
    root = tmp_path_factory.mktemp("study")
    talk = recipe.add_set("talk_", ["abc de", "bad", "deed cab"], manifest=manifest)
    for name in ("data", "dump/made_up", "data/token_list", "conf"):
        (root / name).mkdir(parents=True)
    (root / "data" / "read").symlink_to(recipe.root / "data")
    (root / "dump" / "made_up" / "read").symlink_to(recipe.root / "dump")
    (root / "data" / "talk").symlink_to(talk["train_data"])
    (root / "dump" / "made_up" / "talk").symlink_to(talk["train_dump"])
    shutil.copytree(talk["train_data"], root / "data" / "odd")
    (root / "data" / "odd" / "text").write_text((root / "data" / "talk" / "text").read_text().replace("bad", "bäz"))
    (root / "dump" / "made_up" / "odd").symlink_to(talk["train_dump"])
    (root / "data" / "token_list" / "made_up").symlink_to(recipe.root / "token_list")
    for name, content in CONFIGS.items():
        (root / "conf" / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    before = os.getcwd()
    os.chdir(root)
    try:
        assert run() == 0
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def out(folder, monkeypatch):
    """The study's folder; the working directory is the recipe's."""
    monkeypatch.chdir(folder)
    return folder / "exp" / "study"


def run(*options):
    return run_grid.main(["--config", "conf/study.yaml", "--out", "exp/study", *options])


def done_at(out):
    """When each piece was completed."""
    return {str(path.parent.relative_to(out)): path.stat().st_mtime_ns for path in out.rglob(".done")}


def weights_of(folder):
    files = {kind: load_file(folder / kind / "model.safetensors") for kind in ("asr", "t2s")}
    return {(kind, name): value for kind, weights in files.items() for name, value in weights.items()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert not [name for name in expected if not torch.equal(found[name], expected[name])]


def evaluation_of(folder, epoch):
    return json.loads((folder / "evaluation" / f"epoch{epoch:03d}.json").read_text())


def test_all_runs_are_complete_and_listed(out):
    rows = {row["folder"]: row for row in json.loads((out / "runs.json").read_text())}
    assert list(rows) == RUNS
    assert rows["enough/st_argmax/seed1"] == {
        "grid": "enough",
        "labels": {"feedback": "st_argmax", "seed": 1},
        "folder": "enough/st_argmax/seed1",
        "baseline": "enough/baseline/seed1",
        "target_sets": [],
        "epochs": 2,
        "overrides": ["training.max_epochs=2", "model.feedback=st_argmax", "training.seed=1"],
    }
    assert {rows[name]["baseline"] for name in ("enough/baseline/seed0", "labelled/seed0")} == {None}
    for name in RUNS:
        assert [evaluation_of(out / name, epoch)["epoch"] for epoch in (0, 1, 2)] == [0, 1, 2]
        assert evaluation_of(out / name, 2)["sets"].keys() == {"read", "talk"}
    embeddings = [weights_of(out / name)["asr", "embed.weight"] for name in RUNS]
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(embeddings, 2))


def test_the_state_before_training_is_measured_once_for_all_runs(out):
    (measured,) = (out / "models" / "tiny").glob("before_*")
    expected = evaluation_of(measured, 0)
    assert all(evaluation_of(out / name, 0) == expected for name in RUNS)
    assert all(evaluation_of(out / name, 2)["sets"] != expected["sets"] for name in RUNS)


def test_the_last_evaluation_is_of_the_models_that_are_written(out):
    name = "enough/st_argmax/seed0"
    asr, t2s = (load_model(out / name / kind, kind=kind) for kind in ("asr", "t2s"))
    arguments = {"judge": load_model(out / "models/tiny/asr", kind="asr").module, "text_tokenizer": asr.text_tokenizer}
    arguments["sets"] = {"talk": load_corpus(DUMP / "talk", DATA / "talk", text_tokenizer=asr.text_tokenizer)}
    arguments["references"] = {"talk": read_table(DATA / "talk" / "text")}
    config = merge_into(EvaluationConfig, QUICK)
    found = evaluate(asr.module, t2s.module, config=config, **arguments)
    assert found["talk"] == evaluation_of(out / name, 2)["sets"]["talk"] != evaluation_of(out / name, 1)["sets"]["talk"]


def test_the_report_is_made(out):
    assert "A tiny study" in (out / "RESULTS.md").read_text()
    assert "run_grid --config conf/study.yaml --out exp/study" in (out / "RESULTS.md").read_text()
    assert (out / "report.html").is_file()


def test_labels_are_what_the_pair_s_recogniser_reads(out, recipe):
    labels = read_table(out / "models" / "tiny" / "decode_read" / "text")
    assert labels.keys() == read_table(recipe.root / "data" / "text").keys()
    config = yaml.safe_load((out / "labelled" / "seed0" / "config.yaml").read_text())
    assert config["unpaired"]["labels"] == "exp/study/models/tiny/decode_read/text"


def test_a_run_is_what_the_command_trains(out, caplog):
    sets = []
    for option, names in (("train", ["read"]), ("valid", ["read"]), ("eval", ["read", "talk"])):
        sets += [f"--{option}_data", *(f"data/{name}" for name in names)]
        sets += [f"--{option}_dump", *(f"dump/made_up/{name}" for name in names)]
    models = ["--asr", "exp/study/models/tiny/asr", "--t2s", "exp/study/models/tiny/t2s"]
    command = [*sets, *models, "--config", "conf/chain.yaml", "--out", "exp/study/enough/st_argmax/seed1"]
    overrides = ["training.max_epochs=2", "training.seed=1", "model.feedback=st_argmax"]
    assert train_chain.main([*overrides, *command]) == 0
    assert "seed1 is up to date" in caplog.text


def test_a_rerun_does_nothing(out, caplog):
    before = done_at(out)
    assert len(before) == 4 + len(RUNS)
    assert run() == 0
    assert done_at(out) == before and "exp/study: 9 of 9 pieces are up to date" in caplog.text


def test_a_run_that_was_removed_is_redone_alone(out, caplog):
    before, weights = done_at(out), weights_of(out / "enough/baseline/seed1")
    shutil.rmtree(out / "enough/baseline/seed1")
    assert run() == 0
    after = done_at(out)
    assert [name for name in before if after[name] != before[name]] == ["enough/baseline/seed1"]
    assert "8 of 9 pieces are up to date" in caplog.text and "enough/baseline/seed1 done in" in caplog.text
    assert_same(weights_of(out / "enough/baseline/seed1"), weights)
    assert not list(out.glob("enough/**/checkpoints"))


def test_a_killed_run_goes_on_at_its_last_epoch(out, monkeypatch):
    class Killed(BaseException):
        """Stands for a power cut."""

    name, whole, evaluated = "enough/st_argmax/seed0", EpochEvaluation._evaluate, []
    weights, expected = weights_of(out / name), evaluation_of(out / name, 2)
    shutil.rmtree(out / name)

    def dies_once(callback, trainer, task, *, epoch):
        evaluated.append(epoch)
        if evaluated == [1, 2]:
            raise Killed
        whole(callback, trainer, task, epoch=epoch)

    monkeypatch.setattr(EpochEvaluation, "_evaluate", dies_once)
    with pytest.raises(Killed):
        run()
    assert run() == 0
    assert evaluated == [1, 2, 2]
    assert_same(weights_of(out / name), weights)
    assert evaluation_of(out / name, 2) == expected


BROKEN = "grids.enough.axes.feedback.broken.overrides=[data.max_frames=1]"


@pytest.mark.parametrize("num_jobs", [1, 2])
def test_a_run_that_fails_is_named_and_stops_no_other(out, caplog, num_jobs):
    before = done_at(out)
    shutil.rmtree(out / "labelled" / "seed0")
    assert run(BROKEN, "--num_jobs", str(num_jobs)) == 1
    after = done_at(out)
    assert after.keys() == before.keys() and after["labelled/seed0"] > before["labelled/seed0"]
    assert [row["folder"] for row in json.loads((out / "runs.json").read_text())] == RUNS
    assert "2 pieces are not done" in caplog.text
    assert "\n  enough/broken/seed1: 8 of 8 utterances cannot be used" in caplog.text
    assert run() == 0


def test_settings_that_contradict_each_other_are_refused_before_anything_runs(out, caplog):
    before = done_at(out)
    assert run("grids.enough.axes.feedback.broken.overrides=[model.feedback=nonsense]", "--overwrite") == 1
    assert "enough/broken/seed0: " in caplog.text and ": model.feedback=nonsense: choose one of" in caplog.text
    assert done_at(out) == before


def test_what_needs_a_failed_model_is_not_tried(out, caplog):
    assert run("models.tiny.t2s.overrides=[data.max_frames=1]", "--out", "exp/other", "--only", "enough/baseline") == 1
    assert "\n  models/tiny/t2s: 8 of 8 utterances cannot be used" in caplog.text
    assert "\n  enough/baseline/seed0: it needs models/tiny/t2s, which failed" in caplog.text
    assert (out.parent / "other" / "models" / "tiny" / "asr" / ".done").is_file()
    assert not (out.parent / "other" / "enough").exists() and not (out.parent / "other" / "report.html").exists()


GIVEN = ["models.tiny.train_sets=[]", "models.tiny.valid_set=null", "models.tiny.asr=null", "models.tiny.t2s=null"]


def test_runs_may_start_from_finished_models(out):
    given = [*GIVEN, "models.tiny.folder=exp/study/models/tiny", "models.tiny.decode=[read]"]
    assert run(*given, "--out", "exp/given", "--only", "enough/st_argmax/seed0", "labelled") == 0
    made = out.parent / "given"
    for name in ("enough/st_argmax/seed0", "labelled/seed0"):
        assert_same(weights_of(made / name), weights_of(out / name))
        assert evaluation_of(made / name, 0) == evaluation_of(out / name, 0)
    assert not (made / "models" / "tiny" / "asr").exists()


JUDGE = [
    "models.judge.train_sets=[read]",
    "models.judge.valid_set=talk",
    "models.judge.tokenizer=made_up",
    "models.judge.asr.config=conf/asr.yaml",
    "models.judge.asr.overrides=[training.max_epochs=30,training.seed=3]",
    'grids.enough.settings.overrides=[training.max_epochs=2,"evaluation.judge={study}/models/judge/asr"]',
]


def test_another_recogniser_may_judge_what_t2s_says(out, monkeypatch):
    readers = []

    def search(asr, config):
        readers.append({name: weight.clone() for name, weight in asr.state_dict().items()})
        return BeamSearch(asr, config)

    monkeypatch.setattr(evaluation, "BeamSearch", search)
    assert run(*JUDGE, "--out", "exp/judged", "--only", "enough/st_argmax/seed0") == 0
    made = out.parent / "judged"
    assert (made / "models" / "judge" / "asr" / ".done").is_file() and not (made / "models" / "judge" / "t2s").exists()
    name = "enough/st_argmax/seed0"
    assert_same(weights_of(made / name), weights_of(out / name))
    judged, usual = (
        [evaluation_of(folder / name, epoch)["sets"][each] for epoch in (0, 1, 2) for each in ("read", "talk")]
        for folder in (made, out)
    )
    assert [entry["joint"] for entry in judged] == [entry["joint"] for entry in usual]
    judge = load_file(made / "models" / "judge" / "asr" / "model.safetensors")
    assert sum(all(torch.equal(asr[key], judge[key]) for key in judge) for asr in readers) == 2 * 3, "sets and epochs"


def test_a_dry_run_shows_what_is_to_do_and_does_nothing(out, caplog):
    before = sorted(out.rglob("*"))
    assert run("grids.enough.axes.seed=[0,7]", "--dry_run", "--only", "enough/st_argmax") == 0
    lines = [line.split("  ", 1) for line in caplog.messages]
    shown = {text.split()[0]: state for state, text in lines}
    assert shown["models/tiny/asr"] == shown["enough/st_argmax/seed0"] == "up to date"
    assert shown["enough/st_argmax/seed7"].strip() == "to do"
    assert not [name for name in shown if "baseline" in name or "labelled" in name or "decode" in name]
    assert "model.feedback=st_argmax  training.seed=7" in caplog.text
    assert sorted(out.rglob("*")) == before


def test_the_sets_in_which_runs_differ_are_shown_with_their_settings(out, caplog):
    assert run("grids.enough.axes.feedback.st_argmax.train_sets=[read,talk]", "--dry_run", "--only", "enough") == 0
    shown = {line.split("  ")[1]: line.split("  ")[2:] for line in caplog.messages if "  enough/" in line}
    assert "train_sets=read talk" in shown["enough/st_argmax/seed0"]
    assert "train_sets=read" in shown["enough/baseline/seed1"]
    assert not [text for texts in shown.values() for text in texts if text.startswith(("test_sets", "models"))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "enough/soft"], "--only enough/soft: there is no such run or model; .* enough/baseline"),
        (["grids.enough.settings.confg=x"], "grids.enough, feedback=baseline: .*confg"),
        (["grids.enough.settings.overrides=[model.feedbck=x]"], "enough/baseline/seed0: .*feedbck"),
        (["models.tiny.asr.overrides=[training.devices=2]"], "models/tiny/asr: a run of a grid has one device"),
        (["models.tiny.decode=[]"], "labelled/seed0: nothing makes .*decode_read/text"),
        (["models.tiny.decode=[talk]"], "add the set to models.*.decode"),
        (
            ["grids.enough.settings.test_sets=[walk]"],
            "data/walk/wav.scp is missing, and models/tiny/before_.* needs it",
        ),
        (
            ["grids.enough.settings.test_sets=[odd]"],
            "data/odd/text: data/token_list/made_up has no token for 'z' 'ä'; name them as required_characters",
        ),
        (
            [*GIVEN, "models.tiny.folder=exp/study/models/tiny", "grids.enough.settings.valid_set=odd"],
            "asr/token_list has no",
        ),
        (["--config", "conf/empty.yaml"], "the study has no grids"),
        (
            ["models.tiny.folder=exp/study/models/tiny"],
            "a pair of models has a folder, so it is finished; leave out train_sets",
        ),
        (
            ["models.tiny.asr=null"],
            "a pair of models needs .* t2s, or the folder .*; it has train_sets, valid_set, t2s",
        ),
        (["models.tiny.t2s=null"], "enough/baseline/seed0 starts from the models tiny, which have no t2s; say how"),
        (
            ['grids.enough.settings.overrides=["evaluation.judge={study}/models/nobody/asr"]'],
            "enough/baseline/seed0: nothing makes exp/study/models/nobody/asr, its judge",
        ),
        (
            ["grids.enough.settings.overrides=[evaluation.judge=exp/nowhere]"],
            "exp/nowhere/model.safetensors is missing, and models/tiny/before_.* needs it",
        ),
        ([*GIVEN, "models.tiny.folder=exp/nowhere"], "exp/nowhere/asr/model.safetensors is missing, and models/tiny/"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named_before_anything_runs(out, caplog, options, message):
    before = sorted(out.rglob("*"))
    assert run(*options) == 1
    assert re.search(message, caplog.text), caplog.text
    assert sorted(out.rglob("*")) == before
