"""What a recipe takes from another: missing, of another tokenizer, or in the place of something else."""

import shutil
import subprocess

import pytest

from tokenchain_toolkit.bin.check_source import main
from tokenchain_toolkit.data.manifest import write_manifest
from tokenchain_toolkit.data.stage_folder import DONE
from tokenchain_toolkit.files import write_text
from tokenchain_toolkit.recipe.source import misplaced

MODEL = "exp/asr/model.safetensors"
LINKED = ["exp/tokenizer_a", MODEL, "data/read", "dump/a/read"]
NEEDED = ["exp/tokenizer_a/manifest.json", "exp/asr/manifest.json", "dump/a/read/manifest.json", MODEL]
LISTS = ["data/token_list/a/tokens.txt", "exp/asr/token_list/tokens.txt"]


def make_source(folder, *, num_clusters=5):
    """A recipe that was run, as far as it is looked at."""
    manifest = {"format": 1, "semantic": {"num_clusters": num_clusters}, "acoustic": None}
    for name in NEEDED[:3]:
        write_manifest(folder / name, manifest)
    for name in (MODEL, "data/read/text", *LISTS):
        write_text(folder / name, "a\n")
    return folder


def link(source, names=LINKED):
    """What the stages do with what is taken."""
    for name in names:
        subprocess.run(["mkdir", "-p", (source.parent / "mine" / name).parent], check=True)
        subprocess.run(["ln", "-sfn", source / name, name], check=True)


@pytest.fixture
def source(tmp_path, monkeypatch):
    """The source of a recipe that is the working directory, with the links to it."""
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    made = make_source(tmp_path / "theirs")
    link(made)
    return made


def check(source, *, linked=LINKED, own=(), needed=(*NEEDED, *LISTS)):
    given = ["--source", str(source)] if source else []
    return main([*given, "--adopted", *linked, "--own", *own, "--needed", *needed])


def test_links_to_the_source_are_in_their_places_and_so_are_no_links_yet(source):
    assert check(source) == 0
    shutil.rmtree("exp")
    assert check(source) == 0


@pytest.mark.parametrize("given", ["nowhere", "../nowhere"])
def test_a_source_that_is_no_folder_is_named_with_its_whole_path(source, given, caplog, tmp_path):
    assert check(given) == 1
    assert f"run the recipe in {(tmp_path / 'mine' / given).resolve()} first" in caplog.text


def test_a_recipe_is_not_its_own_source(source, caplog):
    assert check(".") == 1 and "--source . is the recipe itself" in caplog.text


@pytest.mark.parametrize("name", [*NEEDED, *LISTS])
def test_all_that_is_missing_is_named(source, name, caplog):
    (source / name).unlink()
    (source / MODEL).unlink(missing_ok=True)
    assert check(source) == 1
    assert f"\n  {name}" in caplog.text and f"\n  {MODEL}" in caplog.text
    assert f"run the recipe in {source} first" in caplog.text


@pytest.mark.parametrize("name", NEEDED[:3])
def test_tokens_of_another_tokenizer_are_refused(source, name, caplog):
    write_manifest(source / name, {"format": 1, "semantic": {"num_clusters": 6}, "acoustic": None})
    assert check(source) == 1
    assert "semantic.num_clusters: " in caplog.text


def test_other_text_units_are_refused(source, caplog):
    write_text(source / LISTS[1], "b\n")
    assert check(source) == 1
    assert all(str(source / name) in caplog.text for name in LISTS)


def commands_in(text):
    """The commands that a message ends with."""
    return [line.strip() for line in text.rpartition("run again:")[2].splitlines() if line.strip()]


def test_without_a_source_its_links_are_named_and_the_commands_make_room(source, caplog):
    assert check(None, linked=(), own=LINKED) == 1
    assert all(f"{name} leads to {source / name}" in caplog.text for name in LINKED)
    write_text(source.parent / "mine/exp/chain_a/model", "hours of training")
    commands = commands_in(caplog.text)
    for command in commands:
        subprocess.run(command, shell=True, check=True)
    assert check(None, linked=(), own=LINKED) == 0
    assert (source.parent / "mine/exp_before/chain_a/model").is_file() and (source / "data/read/text").is_file()


def test_links_to_another_source_are_refused_until_there_is_room(source, tmp_path, caplog):
    other = make_source(tmp_path / "others")
    assert check(other) == 1
    for command in commands_in(caplog.text):
        subprocess.run(command, shell=True, check=True)
    assert check(other) == 0
    link(other)
    assert check(other) == 0
    caplog.clear()
    # The name of the first time is taken.
    assert check(source) == 1
    assert "mv exp exp_before1" in commands_in(caplog.text)


@pytest.mark.parametrize("made", [MODEL, f"exp/asr/{DONE}", "data/read/text", "exp/tokenizer_a/manifest.json"])
def test_what_was_made_here_is_not_exchanged_for_links(source, made, caplog):
    shutil.rmtree("exp")
    shutil.rmtree("data")
    write_text(source.parent / "mine" / made, "made here")
    assert check(source) == 1
    assert "was made here" in caplog.text
    for command in commands_in(caplog.text):
        subprocess.run(command, shell=True, check=True)
    assert check(source) == 0


def test_a_set_put_on_another_disk_may_stay_a_link_but_not_one_that_leads_nowhere(source, tmp_path):
    write_text(tmp_path / "disk/talks/text", "a")
    (tmp_path / "mine/data/own").symlink_to(tmp_path / "disk/talks")
    (tmp_path / "mine/data/lost").symlink_to(tmp_path / "disk/lost")
    paths = [tmp_path.joinpath("mine/data", name).relative_to(tmp_path / "mine") for name in ("own", "lost")]
    assert [each.path.name for each in misplaced(source, adopted=(), own=paths)] == ["lost"]
