"""The command: a recipe that keeps the contract passes, and every respect has its place in the output."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin.check_recipe import main
from tokenchain_toolkit.recipe.check import check_recipe


@pytest.fixture
def shown(new_recipe, caplog):
    """A function that checks the recipe and gives the exit status and the lines."""
    caplog.set_level("INFO")

    def check(*options):
        caplog.clear()
        return main([str(new_recipe), *options]), caplog.messages

    return check


def test_a_recipe_that_keeps_the_contract(new_recipe, shown):
    before = Path.cwd()
    status, lines = shown()
    assert status == 0 and lines[-1] == f"{new_recipe} keeps the contract"
    titles = ["Files", "Configurations", "Sets", "Data", "Ids and paths", "Texts", "Training, validation and test"]
    assert [line.removesuffix(": ok") for line in lines[:-1]] == [*titles, "Outputs"]
    assert Path.cwd() == before


def test_problems_of_all_respects_are_listed_at_once(new_recipe, shown, edit):
    (new_recipe / "local" / "data.sh").chmod(0o644)
    edit(new_recipe / "run.sh", '--test_sets "test"', '--test_sets "test noisy"')
    edit(new_recipe / "conf" / "bpe.yaml", "normaliser", "normalizer")
    edit(new_recipe / "data" / "train" / "text", "ann-train-1 a bad cab\n", "")
    edit(new_recipe / "data" / "test" / "text", "a cab", "a 3")
    (new_recipe / "data" / "wav" / "bob-valid-1.wav").unlink()
    status, lines = shown()
    assert status == 1
    text = "\n".join(lines)
    for part in (
        "local/data.sh is not executable; chmod +x local/data.sh",
        "data/noisy is missing, which run.sh names (data has: test, train, valid); let local/data.sh write it",
        "normalizer",
        "data/train/text: ann-train-1: the utterance is missing here",
        "digits that no training text has: '3'",
        "bob-valid-1.wav is no file",
    ):
        assert part in text
    assert "6 problems, listed above" in lines[-1]


def test_one_set_for_training_and_test(new_recipe, shown, edit):
    edit(new_recipe / "run.sh", '--test_sets "test"', '--test_sets "train"')
    status, lines = shown()
    (problem,) = [line for line in lines if "problem: " in line]
    assert status == 1 and "data/train is the training set and named for validation or test, too" in problem


def test_characters_that_the_text_units_are_told_to_have(new_recipe, shown, edit):
    edit(new_recipe / "data" / "test" / "text", "a cab", "a 3")
    assert shown()[0] == 1
    edit(new_recipe / "conf" / "bpe.yaml", "model_type: char", 'model_type: char\nrequired_characters: "3"')
    assert shown()[0] == 0


def test_thresholds_are_those_that_the_recipe_gives_to_validate(new_recipe, shown, edit):
    soundfile.write(new_recipe / "data" / "wav" / "cy-test-0.wav", np.full(800, 0.1), 8000)
    status, lines = shown()
    assert status == 1 and any("has 8000 Hz" in line and "--validate_args of run.sh" in line for line in lines)
    edit(
        new_recipe / "run.sh",
        '--test_sets "test"',
        '--test_sets "test" --validate_args "--allow_resample --min_seconds 0.15"',
    )
    status, lines = shown()
    (problem,) = [line for line in lines if "problem: " in line]
    assert status == 1 and "cy-test-0.wav is shorter than 0.15 s (0.10 s)" in problem
    edit(new_recipe / "run.sh", "--min_seconds 0.15", "--min_seconds 0.05")
    assert shown()[0] == 0


def test_many_lines_of_one_respect_are_cut_short(new_recipe, shown):
    for name in ("train", "valid", "test"):
        path = new_recipe / "data" / name / "utt2spk"
        path.write_text("".join(f"{line.split()[0]} zoe\n" for line in path.read_text().splitlines()))
    assert "  ... and 4 more (--show 0 shows all)" in shown("--show", "2")[1]
    assert sum("begin with its speaker" in line for line in shown("--show", "0")[1]) == 6


def test_a_run_script_that_fails_says_why(new_recipe, edit, monkeypatch):
    monkeypatch.chdir(new_recipe)
    edit(new_recipe / "run.sh", "--train_set", "--training_set")
    (layout,) = check_recipe(Path("."))
    (problem,) = layout.problems
    assert problem.startswith("./run.sh --dry_run fails: run.sh: error: unknown option '--training_set'")


def test_nothing_runs_and_nothing_is_written_but_the_stamps_of_validation(new_recipe, shown):
    def files():
        return {path for path in new_recipe.parents[2].rglob("*") if path.name != ".valid" and os.access(path, os.F_OK)}

    before = files()
    shown()
    assert files() == before


def test_a_folder_that_is_not_there(tmp_path, caplog):
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "setup.sh makes a recipe" in caplog.text
