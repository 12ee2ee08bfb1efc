"""Outputs that do not belong to their inputs or settings any more."""

from pathlib import Path

import pytest

from tokenchain_toolkit.config.load import config_dict, load_config
from tokenchain_toolkit.config.text import BPEConfig
from tokenchain_toolkit.data.stamp import StageStamp
from tokenchain_toolkit.files import read_json, write_json
from tokenchain_toolkit.recipe.commands import StageCommand
from tokenchain_toolkit.recipe.outputs import check_outputs

OUT = "data/token_list/mfcc"
COMMANDS = [
    StageCommand("train_bpe", "train_bpe", (), {"config": ("conf/bpe.yaml",), "out": (OUT,)}),
    StageCommand("train_asr", "train_asr", (), {"out": ("exp/asr",)}),
]
FOLDERS = [Path("data/train"), Path("data/test")]


@pytest.fixture
def recipe(new_recipe, monkeypatch):
    """A recipe whose text units are made, and its stamp."""
    monkeypatch.chdir(new_recipe)
    config = config_dict(load_config(BPEConfig, new_recipe / "conf" / "bpe.yaml"))
    stamp = StageStamp(new_recipe / OUT, inputs=["data/train/text"], config=config)
    stamp.begin()
    stamp.finish()
    return new_recipe


def test_what_is_up_to_date_or_not_made_yet_is_no_finding(recipe):
    found = check_outputs(recipe, COMMANDS, FOLDERS)
    assert not found.problems and not found.warnings


def test_an_input_that_changed_or_is_gone(recipe, edit):
    edit(recipe / "data" / "train" / "text", "a bad cab", "a cab")
    (problem,) = check_outputs(recipe, COMMANDS, FOLDERS).problems
    expected = (
        f"{OUT} is stale: it was made from data/train/text, which has changed since; run ./run.sh --stage train_bpe"
    )
    assert problem == expected
    (recipe / "data" / "train" / "text").unlink()
    (problem,) = check_outputs(recipe, COMMANDS, FOLDERS).problems
    assert "data/train/text, which is gone since" in problem


def test_a_corpus_that_changed_since_it_was_prepared(recipe):
    (recipe / "corpus.csv").write_text("one")
    StageStamp(recipe / "data" / "wav", inputs=["corpus.csv"], config={}).finish(also=[recipe / "data" / "test"])
    assert not check_outputs(recipe, COMMANDS, FOLDERS).problems
    (recipe / "corpus.csv").write_text("two")
    (problem,) = check_outputs(recipe, COMMANDS, FOLDERS).problems
    assert "data/test is stale: it was made from corpus.csv" in problem and "run ./run.sh --stage data" in problem


def test_a_setting_that_changed(recipe, edit):
    edit(recipe / "conf" / "bpe.yaml", "normaliser: none", "normaliser: lower")
    (problem,) = check_outputs(recipe, COMMANDS, FOLDERS).problems
    assert problem == f"{OUT} is stale: normaliser is another in conf/bpe.yaml now; run ./run.sh --stage train_bpe"


def test_a_setting_that_the_environment_gives_is_not_compared(recipe, edit):
    edit(recipe / "conf" / "bpe.yaml", "normaliser: none", "normaliser: ${oc.env:NORMALISER,lower}")
    assert not check_outputs(recipe, COMMANDS, FOLDERS).problems


def test_a_damaged_stamp_is_named(recipe):
    (recipe / OUT / ".done").write_text("")
    (problem,) = check_outputs(recipe, COMMANDS, FOLDERS).problems
    assert problem == f"{OUT}/.done is damaged; remove {OUT} and run ./run.sh --stage train_bpe"


def test_what_a_damaged_stamp_stands_for_hides_nothing_else(recipe, edit):
    before = recipe / "exp" / "tokenizer"
    before.mkdir(parents=True)
    (before / ".done").write_text("{")
    stamp = recipe / OUT / ".done"
    record = read_json(stamp)
    write_json(stamp, {**record, "inputs": {**record["inputs"], "exp/tokenizer/.done": "0"}})
    edit(recipe / "conf" / "bpe.yaml", "normaliser: none", "normaliser: lower")
    damaged, changed = check_outputs(recipe, COMMANDS, FOLDERS).problems
    assert f"{OUT} was made from something that cannot be read: " in damaged
    assert "exp/tokenizer/.done is damaged; remove " in damaged and damaged.endswith(
        "run the stage that makes it again"
    )
    assert "normaliser is another" in changed


def test_an_output_that_is_not_finished_is_a_warning(recipe):
    StageStamp(recipe / "exp" / "asr", inputs=[], config={}).begin()
    found = check_outputs(recipe, COMMANDS, FOLDERS)
    assert not found.problems
    assert (
        found.warnings[0].startswith("exp/asr is not finished")
        and "run ./run.sh --stage train_asr" in found.warnings[0]
    )
