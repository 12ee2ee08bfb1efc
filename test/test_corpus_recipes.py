"""The recipes of published corpora: four from data to report with tiny settings, the others up to their data.

Those four run on excerpts; the longer ones are cut to what all stages need.
"""

import importlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
EXCERPTS = ROOT.parent / "shared" / "data"
CORPORA = ("an4", "kerstin", "librispeech", "librispeech_100", "ljspeech", "mini_librispeech")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables with which run.sh finds this Python, without the time that its check for torch takes."""
    folder = tmp_path_factory.mktemp("venv") / "bin"
    folder.mkdir()
    (folder / "python3").write_text(f'#!/usr/bin/env bash\n[[ $1 == -c ]] || exec "{sys.executable}" "$@"\n')
    (folder / "python3").chmod(0o755)
    return {**os.environ, "VENV": str(folder.parent), "OMP_NUM_THREADS": "1"}


def copy_of(corpus, folder):
    """A tree with the recipe and what it links to in ``folder``; returns the recipe."""
    for name in {"TEMPLATE", "librispeech_100", corpus}:
        made = shutil.ignore_patterns("data", "dump", "exp", "exp_tiny", "downloads")
        shutil.copytree(ROOT / "egs2" / name, folder / "egs2" / name, symlinks=True, ignore=made)
    (folder / "tokenchain_toolkit").symlink_to(ROOT / "tokenchain_toolkit")
    return folder / "egs2" / corpus / "tokenchain1"


def run(recipe, *options, environment, **variables):
    """Run ``run.sh`` and return the process, with both outputs in ``stdout``."""
    command = [str(recipe / "run.sh"), *options]
    settings = {"env": {**environment, **variables}, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, text=True, **settings)


def commands_of(recipe, *options, environment):
    """The words of every command of the toolkit that ``run.sh`` would run."""
    done = run(recipe, "--dry_run", *options, environment=environment)
    assert done.returncode == 0, done.stdout
    return [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("python3 ")]


def values_of(commands, *options):
    """What follows any of these options in any command."""
    return {word for words in commands for option, word in pairwise(words) if option in options}


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_recipe_trains_with_its_own_settings_and_has_all_of_them(corpus, environment):
    recipe = ROOT / "egs2" / corpus / "tokenchain1"
    commands = commands_of(recipe, "--chains", "baseline st_argmax st_gumbel", environment=environment)
    configs = values_of(commands, "--config")
    assert len(configs) == 11 and all((recipe / config).is_file() for config in configs)
    assert {Path(config).parent.name for config in configs} == {"conf"}
    sets = {value.removeprefix("data/") for value in values_of(commands, "--train_data", "--valid_data")}
    assert len(sets) == 2 and len((recipe / "run.sh").read_text().splitlines()) <= 25


@pytest.mark.parametrize("corpus", CORPORA)
def test_tiny_settings_keep_away_from_what_the_recipe_makes(corpus, environment):
    commands = commands_of(ROOT / "egs2" / corpus / "tokenchain1", "--tiny", environment=environment)
    assert {Path(config).parent.name for config in values_of(commands, "--config")} == {"tiny"}
    outs = values_of(commands, "--out")
    assert all(out == "exp_tiny" or out.startswith(("exp_tiny/", "dump/tiny/", "data/token_list/tiny")) for out in outs)
    assert values_of(commands, "--device") == {"cpu"}
    (title,) = values_of(commands, "--title")
    assert title.startswith(f"{corpus} ") and "the figures mean nothing" in title


def test_options_behind_tiny_win(environment):
    recipe = ROOT / "egs2" / "ljspeech" / "tokenchain1"
    commands = commands_of(recipe, "--tiny", "--device", "cuda", "--exp", "exp_mine", environment=environment)
    assert values_of(commands, "--device") == {"cuda"} and "exp_mine/asr" in values_of(commands, "--out")


def whole(source, folder):
    """The excerpt as it is."""
    return source


def first_rows(source, folder):
    """The first 16 rows of the excerpt's table and links to their recordings."""
    (table,) = source.rglob("metadata.csv")
    rows = table.read_text(encoding="utf-8").splitlines(keepends=True)[:16]
    names = {row.partition("|")[0] for row in rows}
    for path in (path for path in source.rglob("*") if path.is_file() and path.stem in names):
        place = folder / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)
    (folder / table.relative_to(source)).write_text("".join(rows), encoding="utf-8")
    return folder


def first_speakers(source, folder):
    """Links to the first 12 speakers for training, and to the first one for testing."""
    for subset, count in (("train-clean-100", 12), ("test-other", 1)):
        (folder / subset).mkdir(parents=True)
        for speaker in sorted((source / subset).iterdir())[:count]:
            (folder / subset / speaker.name).symlink_to(speaker)
    return folder


CHOSEN = ("--train_set", "train_clean_100", "--test_sets", "test_other")


@pytest.mark.parametrize(
    ("corpus", "excerpt", "cut", "options", "test_set"),
    [
        ("an4", "mini_an4/downloads/an4", whole, (), "test"),
        ("kerstin", "kerstin_excerpt", first_rows, (), "test"),
        ("ljspeech", "ljspeech_excerpt/LJSpeech-1.1", first_rows, (), "eval1"),
        ("mini_librispeech", "librispeech_excerpt/LibriSpeech", first_speakers, CHOSEN, "test_other"),
    ],
    ids=("an4", "kerstin", "ljspeech", "mini_librispeech"),
)
def test_a_recipe_runs_with_tiny_settings_from_data_to_report(
    corpus, excerpt, cut, options, test_set, environment, tmp_path, monkeypatch
):
    if not (EXCERPTS / excerpt).is_dir():
        pytest.skip(f"real speech is left out: {EXCERPTS / excerpt} is not there")
    recipe, data = copy_of(corpus, tmp_path), cut(EXCERPTS / excerpt, tmp_path / "corpus")
    tiny = ("--tiny", *options)
    done = run(recipe, *tiny, "--stop_stage", "data", environment=environment, **{corpus.upper(): str(data)})
    assert done.returncode == 0, done.stdout
    monkeypatch.chdir(recipe)
    # What follows runs in this process: the commands are the recipe's, and loading torch forty times is left out.
    for words in commands_of(recipe, *tiny, "--num_jobs", "1", "--stage", "validate", environment=environment):
        assert importlib.import_module(words[2]).main(words[3:]) == 0, words
    rows = json.loads((recipe / "exp_tiny" / "results.json").read_text())
    scored = {(row["experiment"], row["metric"]) for row in rows if row["set"] == test_set}
    assert {("asr", "wer"), ("chain_st_argmax", "wer_change"), ("codec", "resynthesis_wer")} <= scored
    assert {(f"chain_{name}", "synthesis_wer") for name in ("baseline", "st_argmax")} <= scored
    assert "the figures mean nothing" in (recipe / "exp_tiny" / "RESULTS.md").read_text().splitlines()[0]
    assert not (recipe / "RESULTS.md").exists() and not (recipe / "exp").exists()
    (first, *_) = sorted((recipe / "exp_tiny" / "chain_st_argmax" / f"synth_{test_set}" / "wav").glob("*.wav"))
    assert soundfile.info(first).samplerate == 16000


@pytest.mark.skipif(
    not (EXCERPTS / "librispeech_excerpt").is_dir(), reason=f"real speech is left out: {EXCERPTS} has no LibriSpeech"
)
@pytest.mark.parametrize(
    ("corpus", "variable"), [("librispeech", "LIBRISPEECH"), ("mini_librispeech", "MINI_LIBRISPEECH")]
)
def test_the_sets_that_are_chosen_are_prepared(corpus, variable, environment, tmp_path):
    recipe = copy_of(corpus, tmp_path)
    root = {variable: str(EXCERPTS / "librispeech_excerpt" / "LibriSpeech")}
    chosen = ("--train_set", "train_clean_100", "--valid_set", "held_out", "--test_sets", "test_other")
    done = run(recipe, *chosen, "--stop_stage", "data", environment=environment, **root)
    assert done.returncode == 0, done.stdout
    assert sorted(path.name for path in (recipe / "data").iterdir()) == ["held_out", "test_other", "train_clean_100"]
    assert "test-other: 80 of the 2,939 published utterances are in" in done.stdout


@pytest.mark.skipif(
    not (EXCERPTS / "librispeech_excerpt").is_dir(), reason=f"real speech is left out: {EXCERPTS} has no LibriSpeech"
)
@pytest.mark.parametrize(
    ("options", "lacks"),
    [
        ((), "has no dev-clean and no dev-other, which the set dev is made of"),
        (("--valid_set", "held_out"), "has no test-clean, which the set test_clean is made of"),
    ],
    ids=("dev", "test_clean"),
)
def test_a_set_that_the_excerpt_lacks_stops_the_recipe_with_those_it_has(options, lacks, environment, tmp_path):
    recipe = copy_of("librispeech_100", tmp_path)
    root = str(EXCERPTS / "librispeech_excerpt" / "LibriSpeech")
    done = run(recipe, *options, "--stop_stage", "data", environment=environment, LIBRISPEECH=root)
    assert done.returncode != 0 and not (recipe / "data").exists() and lacks in done.stdout
    assert "(train_clean_100, test_other) with --train_set, --valid_set and --test_sets" in done.stdout
