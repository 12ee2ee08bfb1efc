"""Whole recipes, from data preparation to the report, on small subsets with tiny models."""

import contextlib
import importlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from shell_blocks import shell_blocks, shell_commands

from tokenchain_toolkit.files import sha256_of
from tokenchain_toolkit.metrics.score_rows import ScoreRow

ROOT = Path(__file__).resolve().parents[1]
EXCERPTS = ROOT.parent / "shared" / "data"
TINY = {
    "tokenizer.yaml": {
        "semantic": {"kmeans": {"num_clusters": 20, "max_frames": 4000, "iterations": 3}},
        "codec": {"codebook_size": 16, "num_quantizers": 2, "max_frames": 2000, "griffin_lim_iterations": 4}
        | {"head": {"steps": 3, "hidden_dim": 8, "num_layers": 1, "batch_size": 2}},
    },
    "train_asr.yaml": {
        "model": {"embed_dim": 16, "encoder_dim": 16, "encoder_blocks": 1, "cgmlp_units": 16, "cgmlp_kernel": 3}
        | {"merge_kernel": 3, "feed_forward_units": 16, "decoder_layers": 1, "decoder_units": 16, "attention_heads": 2},
    },
    "train_t2s.yaml": {"model": {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 16}},
    "train_s2a.yaml": {"model": {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 16}},
    "decode_asr.yaml": {"beam_size": 2},
    "decode_t2s.yaml": {"max_frames_per_token": 2.0},
    "chain_st_argmax.yaml": {"evaluation": {"max_utts": 2, "t2s_utts": 2, "t2s": {"max_frames_per_token": 2.0}}},
}


def copy_of(corpus, folder):
    """A tree with the recipe and the template in ``folder``, its configurations made tiny; returns the recipe."""
    for name in ("TEMPLATE", corpus):
        generated = shutil.ignore_patterns("data", "dump", "exp", "downloads", "results.json", "RESULTS.md")
        shutil.copytree(ROOT / "egs2" / name, folder / "egs2" / name, symlinks=True, ignore=generated)
    (folder / "tokenchain_toolkit").symlink_to(ROOT / "tokenchain_toolkit")
    recipe = folder / "egs2" / corpus / "tokenchain1"
    for path in (recipe / "conf").glob("*.yaml"):
        settings = yaml.safe_load(path.read_text())
        for section, values in TINY.get(path.name, {}).items():
            settings[section] = {**settings.get(section, {}), **values} if isinstance(values, dict) else values
        if "training" in settings:
            settings["training"] |= {"max_epochs": 1, "accelerator": "cpu", "num_workers": 0}
        path.write_text(yaml.safe_dump(settings))
    return recipe


def run(recipe, *options, **variables):
    """Run ``run.sh`` and return the process, with both outputs in ``stdout``."""
    environment = {**os.environ, "VENV": sys.prefix, "OMP_NUM_THREADS": "1", **variables}
    command = [str(recipe / "run.sh"), *options]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def missing_results(recipe, *, sets):
    """(experiment, set, metric) that the recipe promises and ``results.json`` does not hold."""
    rows = json.loads((recipe / "results.json").read_text())
    expected = {("chain_st_argmax", name, "wer_change") for name in sets}
    for experiment in ("asr", "chain_baseline", "chain_st_argmax"):
        expected |= {(experiment, name, metric) for name in sets for metric in ("wer", "cer")}
    expected |= {("codec", sets[0], "resynthesis_wer"), ("s2a", sets[0], "s2a_wer")}
    for experiment in ("chain_baseline", "chain_st_argmax"):
        expected |= {(experiment, sets[0], metric) for metric in ("t2s_wer", "synthesis_wer")}
    return expected - {(row["experiment"], row["set"], row["metric"]) for row in rows}


def check_outputs(recipe, *, synthesized):
    """Intervals hold their values, there is audio at 16 kHz, and the report can be shown."""
    for row in json.loads((recipe / "results.json").read_text()):
        assert row["ci_low"] <= row["value"] <= row["ci_high"] and row["n"] > 0
    for experiment in ("chain_baseline", "chain_st_argmax"):
        (wav, *_) = sorted((recipe / "exp" / experiment / f"synth_{synthesized}" / "wav").glob("*.wav"))
        assert soundfile.info(wav).samplerate == 16000
    results = (recipe / "RESULTS.md").read_text()
    assert "chain_st_argmax" in results and "## Faults of T2S" in results and "## Speed of synthesis" in results
    assert "<audio" in (recipe / "report.html").read_text()
    ladder = json.loads((recipe / "exp" / f"ladder_{synthesized}" / "ladder.json").read_text())
    assert [rung["name"] for rung in ladder["rungs"]] == [
        "natural",
        "codec",
        "s2a",
        "chain_baseline",
        "chain_st_argmax",
    ]
    assert {rung["figures"]["wer"]["n"] for rung in ladder["rungs"]} == {ladder["num_utts"]} == {2}


def made(recipe):
    """Every file that the recipe made, except what the report and the scores write anew, with its time."""
    folders = [recipe / name for name in ("data", "dump", "exp")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    again = ("score.json", "alignments.txt", "alignments.json", ".valid")
    return {path: path.stat().st_mtime_ns for path in paths if path.name not in again}


@pytest.fixture(scope="module")
def fsdd(tmp_path_factory):
    """The fsdd recipe, run on a few of its real recordings."""
    if not (EXCERPTS / "fsdd_excerpt").is_dir():
        pytest.skip(f"left out: the recordings of the fsdd recipe are not in {EXCERPTS}")
    recipe = copy_of("fsdd", tmp_path_factory.mktemp("fsdd"))
    variables = {"FSDD": str(EXCERPTS / "fsdd_excerpt"), "FSDD_SCALE": "0.03", "SPEECHOCEAN762_DIGITS": ""}
    done = run(recipe, "--synth_utts", "2", **variables)
    assert done.returncode == 0, done.stdout[-3000:]
    return recipe, variables


def test_the_fsdd_recipe_runs_on_real_recordings(fsdd):
    recipe, _ = fsdd
    assert not missing_results(recipe, sets=["seen_test", "unseen_test"])
    check_outputs(recipe, synthesized="seen_test")


def test_a_second_run_redoes_nothing(fsdd):
    recipe, variables = fsdd
    before = made(recipe)
    done = run(recipe, "--synth_utts", "2", "--stop_stage", "synthesize", **variables)
    assert done.returncode == 0, done.stdout[-3000:]
    assert made(recipe) == before


def write_talks(release):
    """TED-LIUM's layout with a talk for each set, in which speakers of the FSDD excerpt say digits."""
    for name, speaker, takes in (("train", "george", 20), ("dev", "jackson", 2), ("test", "lucas", 2)):
        pieces, lines, start = [], [], 0.0
        for take, (digit, word) in product(range(takes), enumerate(("zero", "one"))):
            recording = EXCERPTS / "fsdd_excerpt" / "recordings" / f"{digit}_{speaker}_{take}.wav"
            pieces.append(soundfile.read(recording)[0].repeat(2))  # from 8 to 16 kHz
            end = start + len(pieces[-1]) / 16000
            lines.append(f"{speaker} 1 {speaker} {start:.2f} {end:.2f} <o,f0,male> {word}\n")
            start = end
        for kind in ("sph", "stm"):
            (release / name / kind).mkdir(parents=True)
        audio = release / name / "sph" / f"{speaker}.sph"
        soundfile.write(audio, np.concatenate(pieces), 16000, format="NIST", subtype="PCM_16")
        (release / name / "stm" / f"{speaker}.stm").write_text("".join(lines))


def test_the_tedlium2_recipe_adapts_the_models_of_another(fsdd, tmp_path, monkeypatch):
    source, _ = fsdd
    write_talks(tmp_path / "TEDLIUM_release2")
    recipe = copy_of("tedlium2", tmp_path)
    variables = {"TEDLIUM2": str(tmp_path), "TEDLIUM2_SOURCE": str(source)}
    sets = ("--source_sets", "valid seen_test", "--replay_sets", "valid", "--test_sets", "test seen_test")
    rest = ("--tag", "mfcc", "--device", "cpu", "--chains", "st_argmax", "--synth_utts", "2", "--num_jobs", "1")
    done = run(recipe, *sets, *rest, "--stop_stage", "train_s2a", **variables)
    assert done.returncode == 0, done.stdout[-3000:]
    monkeypatch.chdir(recipe)
    # What follows runs in this process: the commands are the recipe's, and loading torch for each is left out.
    shown = run(recipe, "--dry_run", *sets, *rest, "--stage", "decode_asr", **variables).stdout.splitlines()
    for words in (shlex.split(line) for line in shown if line.startswith("python3 ")):
        assert importlib.import_module(words[2]).main(words[3:]) == 0, words
    models = [f"exp/{model}/model.safetensors" for model in ("asr", "t2s", "s2a")]
    for path in (*models, "exp/tokenizer_mfcc", "data/token_list/mfcc", "dump/mfcc/valid", "data/seen_test"):
        assert (recipe / path).resolve() == (source / path).resolve()
    chain = recipe / "exp" / "chain_st_argmax"
    evaluation = json.loads((chain / "evaluation" / "epoch001.json").read_text())
    assert evaluation["sets"].keys() == {"test", "seen_test"}
    inputs = json.loads((chain / ".done").read_text())["inputs"]
    assert {"dump/mfcc/train/.done", "dump/mfcc/valid/.done", "exp/asr/model.safetensors"} <= inputs.keys()
    for name in ("test", "seen_test"):
        texts = [
            (recipe / "exp" / model / f"decode_{name}" / "text").read_text() for model in ("asr", "chain_st_argmax")
        ]
        assert len({len(text.splitlines()) for text in texts}) == 1
    assert not (source / "exp" / "asr" / "decode_test").exists()
    rows = [ScoreRow(**row) for row in json.loads((recipe / "results.json").read_text())]
    # What was learned of the target and forgotten of the source, against the models of the source.
    changes = {("wer", "asr", "test"), ("wer", "asr", "seen_test"), ("t2s_wer", "t2s", "test")}
    rates = {(row.metric, row.experiment, row.set) for row in rows}
    assert changes <= rates and {(metric, "chain_st_argmax", name) for metric, _, name in changes} <= rates
    assert {("resynthesis_wer", "codec", "test"), ("synthesis_wer", "chain_st_argmax", "test")} <= rates
    compared = {(row.metric.removesuffix("_change"), row.baseline, row.set) for row in rows if row.baseline}
    others = {("cer", "asr", "test"), ("cer", "asr", "seen_test"), ("published_wer", "asr", "test")}
    assert compared == changes | others
    synthesis = json.loads((recipe / "exp" / "s2a" / "synth_test" / ".done").read_text())["inputs"]
    assert synthesis["exp/s2a/model.safetensors"] == sha256_of(source / "exp" / "s2a" / "model.safetensors")
    assert "Against asr and t2s, which the chains started from" in (recipe / "RESULTS.md").read_text()
    (recipe / models[0]).unlink()
    (recipe / models[0]).touch()
    done = run(recipe, *sets, *rest, "--stage", "train_asr", "--stop_stage", "train_asr", **variables)
    assert done.returncode != 0 and f"{models[0]} was made here" in done.stdout
    without = ("--source", "", "--source_sets", "", "--replay_sets", "", "--test_sets", "test")
    done = run(recipe, *rest, *without, "--stage", "train_chain", **variables)
    assert done.returncode != 0 and f"{models[1]} leads to {source / models[1]}" in done.stdout
    assert "\n  mv exp exp_before\n" in done.stdout and (chain / "asr" / "model.safetensors").is_file()


def test_a_source_without_s2a_is_no_fault_and_means_no_synthesis(tmp_path):
    source, recipe = tmp_path / "theirs", copy_of("tedlium2", tmp_path)
    (source / "exp" / "asr").mkdir(parents=True)
    (source / "exp" / "asr" / "model.safetensors").touch()
    told = f"{source} has no S2A in exp/s2a, so nothing will be synthesized here"
    variables = {"TEDLIUM2_SOURCE": str(source)}
    shown = run(recipe, "--dry_run", "--stage", "train_s2a", **variables)
    assert shown.returncode == 0 and told in shown.stdout
    names = {line.split()[2].rpartition(".")[2] for line in shown.stdout.splitlines() if line.startswith("python3")}
    assert names == {"decode_asr", "decode_t2s", "score", "audit_t2s", "report"}
    assert not [line for line in shown.stdout.splitlines() if "--hyp exp/s2a" in line or "synth_" in line]
    done = run(recipe, "--stage", "train_s2a", "--stop_stage", "train_s2a", **variables)
    assert done.returncode == 0 and told in done.stdout


def test_a_source_that_has_not_been_run_is_named(tmp_path):
    recipe = copy_of("tedlium2", tmp_path)
    done = run(recipe, "--stage", "train_bpe", "--stop_stage", "train_bpe", TEDLIUM2_SOURCE=str(tmp_path / "nowhere"))
    assert done.returncode != 0 and f"run the recipe in {tmp_path / 'nowhere'} first" in done.stdout


def test_a_changed_configuration_redoes_its_stage_and_refuses_the_models_of_the_old_tokens(fsdd):
    recipe, variables = fsdd
    tokenizer = recipe / "conf" / "tokenizer.yaml"
    settings = yaml.safe_load(tokenizer.read_text())
    settings["semantic"]["kmeans"]["num_clusters"] = 21
    tokenizer.write_text(yaml.safe_dump(settings))
    done = run(recipe, "--stage", "learn_tokenizer", "--stop_stage", "extract_tokens", **variables)
    assert done.returncode == 0, done.stdout[-3000:]
    done = run(recipe, "--stage", "decode_asr", "--stop_stage", "decode_asr", **variables)
    assert done.returncode != 0
    assert "semantic.num_clusters: 20 against 21" in done.stdout


@pytest.fixture(scope="module")
def mini_synth(tmp_path_factory):
    """The mini_synth recipe, run on a fiftieth of its sentences."""
    pytest.importorskip("espeakng_loader", reason="left out: mini_synth needs espeakng-loader (make demo installs it)")
    recipe = copy_of("mini_synth", tmp_path_factory.mktemp("mini_synth"))
    done = run(recipe, "--synth_utts", "2", MINI_SYNTH_SCALE="0.02")
    assert done.returncode == 0, done.stdout[-3000:]
    return recipe


def test_the_mini_synth_recipe_runs(mini_synth):
    assert not missing_results(mini_synth, sets=["read_test", "talk_test"])
    check_outputs(mini_synth, synthesized="read_test")


def readme_commands():
    """The commands of the package that README.md shows working on a recipe's experiments."""
    commands = [command for block in shell_blocks(ROOT / "README.md") for command in shell_commands(block)]
    return [
        command for command in commands if command.startswith("python3 -m") and re.search(r"\b(exp|data)/", command)
    ]


@pytest.mark.parametrize("command", readme_commands())
def test_what_the_readme_shows_runs_in_the_recipe(mini_synth, command):
    if "measure_speech" in command:
        pytest.importorskip("resemblyzer", reason="left out: needs tools/install.sh .venv dev metrics")
    environment = {**os.environ, "VENV": sys.prefix, "OMP_NUM_THREADS": "1"}
    for name, line in zip(("somebody.wav", "said.wav"), (mini_synth / "data/read_test/wav.scp").open(), strict=False):
        shutil.copy(line.split(maxsplit=1)[1].strip(), mini_synth / name)
    script = f"set -eu; . ./path.sh; {command}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=mini_synth,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_stages_are_listed_by_number_and_name():
    done = run(ROOT / "egs2" / "mini_synth" / "tokenchain1", "--list_stages")
    names = [line.split() for line in done.stdout.splitlines()[1:]]
    assert names[0] == ["1", "data"] and names[-1] == ["15", "report"]


def test_a_dry_run_shows_the_commands_of_the_chosen_stages_and_makes_nothing(tmp_path):
    recipe = copy_of("mini_synth", tmp_path)
    before = sorted(recipe.rglob("*"))
    done = run(recipe, "--dry_run", "--stage", "train_asr", "--stop_stage", "8")
    commands = [line for line in done.stdout.splitlines() if line.startswith("python3")]
    assert [command.split()[2].rpartition(".")[2] for command in commands] == ["train_asr", "train_t2s"]
    assert sorted(recipe.rglob("*")) == before


def test_faults_of_configurations_are_told_before_the_first_stage_that_is_chosen(tmp_path):
    recipe = copy_of("mini_synth", tmp_path)
    for name, fault in (("train_s2a", "training: {max_epochs: 0}\n"), ("chain_st_argmax", "modell: {}\n")):
        (recipe / "conf" / f"{name}.yaml").write_text(fault)
    done = run(recipe)
    assert done.returncode == 1 and "== stage" not in done.stdout and not (recipe / "data").exists()
    assert "conf/train_s2a.yaml: " in done.stdout and "conf/chain_st_argmax.yaml: " in done.stdout
    assert "2 configurations cannot be used, listed above" in done.stdout
    others = run(recipe, "--stage", "validate", "--stop_stage", "validate").stdout
    assert "== stage" in others and "conf/train_s2a.yaml" not in others


@pytest.mark.parametrize(
    ("option", "value"),
    [("synth_utts", "abc"), ("synth_utts", "0"), ("num_jobs", "0"), ("side_by_side", ""), ("num_gpus", "-1")]
    + [("tag", name) for name in ("", "-x", "a/b", "a b", ".")],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_done(option, value):
    done = run(ROOT / "egs2" / "mini_synth" / "tokenchain1", "--dry_run", f"--{option}", value)
    assert done.returncode == 1 and f"--{option} " in done.stdout and "run.sh: error: " in done.stdout


@pytest.mark.parametrize(("options", "expected"), [(("--num_gpus", "3"), ["training.devices=3"]), ((), [])])
def test_every_training_gets_the_gpus_and_nothing_else_does(tmp_path, options, expected):
    done = run(copy_of("mini_synth", tmp_path), "--dry_run", "--overwrite", *options)
    commands = [line.split() for line in done.stdout.splitlines() if line.startswith("python3")]
    given = {True: [], False: []}
    for words in commands:
        given[".train_" in words[2] and "bpe" not in words[2]].append([word for word in words if "=" in word])
    assert given[True] == [expected] * 5 and not any(given[False])
    assert all("--overwrite" in words for words in commands if ".train_" in words[2])


def test_units_go_to_asr_and_t2s_and_frames_to_s2a_and_the_codec(tmp_path):
    recipe = copy_of("mini_synth", tmp_path)
    (recipe / "conf" / "units.yaml").write_text("bpe_vocab_size: 0\n")
    done = run(recipe, "--dry_run", "--stage", "make_units")
    dumps: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("python3"):
            words = line.split()
            named = {word for option, word in pairwise(words) if option in ("--train_dump", "--dump", "--prompt_dump")}
            dumps.setdefault(words[2].rpartition(".")[2], set()).update(named)
    on_units = set().union(*(dumps[command] for command in ("train_asr", "train_t2s", "train_chain", "decode_asr")))
    assert all(name.endswith("_units") or name.endswith("/t2s_read_test") for name in on_units), on_units
    assert dumps["train_s2a"] == {"dump/mfcc/read_train"}
    frames = {f"exp/chain_{chain}/t2s_read_test_frames" for chain in ("baseline", "st_argmax")}
    assert dumps["synthesize"] == {"dump/mfcc/read_test"} | frames


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--stage", "train_asrr"), "'train_asrr'"),
        (("--stages", "1"), "'--stages'"),
        (("--stage",), "--stage needs"),
        (("--stage", "5", "--stop_stage", "3"), "--stage 5 comes after --stop_stage 3"),
        (("--side_by_side", "x"), "--side_by_side x must be"),
        (("--num_gpus", "0"), "--num_gpus 0 must be"),
        (("--conf", "nope"), "--conf nope is no folder"),
        (("--chains", "nope"), "--chains names nope"),
        (("--replay_sets", "nope"), "--replay_sets need --source"),
        (
            ("--source", "..", "--source_sets", "a b", "--replay_sets", "b c"),
            "--replay_sets names c, which is not among",
        ),
        (("--test_sets", " "), "--test_sets names no set"),
        (("--synth_sets", "read_test nope"), "--synth_sets names nope, which is not among --test_sets read_test"),
    ],
)
def test_wrong_options_are_named(options, named):
    done = run(ROOT / "egs2" / "mini_synth" / "tokenchain1", *options)
    assert done.returncode != 0 and named in done.stdout


@pytest.mark.parametrize("side_by_side", ["1", "2"])
@pytest.mark.parametrize("request_to_end", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_kill_end_the_stage_and_say_how_to_go_on(fsdd, side_by_side, request_to_end):
    recipe, variables = fsdd
    name = f"{request_to_end.name}_{side_by_side}"
    shutil.copytree(recipe / "conf", recipe / f"conf_{name}")
    path = recipe / f"conf_{name}" / "train_asr.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["training"]["max_epochs"] = 10_000
    path.write_text(yaml.safe_dump(settings))
    folder = recipe / f"exp_{name}" / "asr"
    words = ["--stage", "train_asr", "--stop_stage", "train_asr", "--side_by_side", side_by_side]
    words += ["--conf", path.parent.name, "--exp", folder.parent.name]
    environment = {**os.environ, "VENV": sys.prefix, "OMP_NUM_THREADS": "1", **variables}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    running = subprocess.Popen([recipe / "run.sh", *words], env=environment, start_new_session=True, **pipes)
    try:
        while not (folder / "metrics.csv").is_file() and running.poll() is None:
            time.sleep(0.1)
        if request_to_end == signal.SIGINT:
            os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        else:
            running.terminate()  # run.sh alone, as kill and make do
        told, _ = running.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 128 + request_to_end, told
    assert ("train_asr.py: interrupted" in told) == (request_to_end == signal.SIGINT)
    assert "stage train_asr did not come to its end; run the same again" in told and "Traceback" not in told
    assert (folder / ".started").is_file() and not (folder / ".done").exists()


def test_a_kill_reaches_the_preparation_of_data(tmp_path):
    recipe, at_work = copy_of("fsdd", tmp_path), tmp_path / "pid"
    script = recipe / "local" / "data.sh"
    script.write_text(f"#!/usr/bin/env bash\necho $$ > {at_work}.new\nmv {at_work}.new {at_work}\nexec sleep 600\n")
    environment = {**os.environ, "VENV": sys.prefix}
    running = subprocess.Popen([recipe / "run.sh"], env=environment, stderr=subprocess.PIPE, text=True)
    while not at_work.is_file() and running.poll() is None:
        time.sleep(0.1)
    running.terminate()
    _, told = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM and "stage data did not come to its end" in told
    with pytest.raises(ProcessLookupError):
        os.kill(int(at_work.read_text()), 0)


def test_a_stage_that_fails_says_which_and_that_it_goes_on(tmp_path):
    done = run(copy_of("fsdd", tmp_path), "--stop_stage", "data", FSDD=str(tmp_path / "nowhere"))
    assert done.returncode != 0 and "nowhere/recordings holds no" in done.stdout
    assert "run.sh: stage data did not come to its end; run the same again" in done.stdout
