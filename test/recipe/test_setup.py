"""setup.sh: a new recipe has what a recipe needs, and nothing is written over."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.schemas import schema_of
from tokenchain_toolkit.recipe.layout import check_layout

TEMPLATE = Path(__file__).resolve().parents[2] / "egs2" / "TEMPLATE"
START = sorted((TEMPLATE / "tokenchain1" / "start" / "conf").glob("*.yaml"))


@pytest.fixture
def tree(tmp_path):
    """A tree with the template alone."""
    shutil.copytree(TEMPLATE, tmp_path / "egs2" / "TEMPLATE", symlinks=True)
    return tmp_path


def set_up(tree, *folders):
    command = ["egs2/TEMPLATE/tokenchain1/setup.sh", *folders]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True)


def test_a_new_recipe_has_its_files_and_links(tree):
    assert set_up(tree, "egs2/mine/tokenchain1").returncode == 0
    recipe = tree / "egs2" / "mine" / "tokenchain1"
    (unfilled,) = check_layout(recipe).problems
    assert unfilled.startswith("local/data.sh is not filled in yet")
    assert os.readlink(recipe / "tokenchain.sh") == "../../TEMPLATE/tokenchain1/tokenchain.sh"
    assert [path.name for path in sorted((recipe / "conf").iterdir())] == [path.name for path in START]
    assert [path.name for path in recipe.parent.iterdir()] == ["tokenchain1"]


def test_the_preparation_says_that_it_has_to_be_written(tree):
    set_up(tree, "egs2/mine/tokenchain1")
    recipe = tree / "egs2" / "mine" / "tokenchain1"
    done = subprocess.run(["local/data.sh"], cwd=recipe, capture_output=True, text=True)
    assert done.returncode == 1 and "not filled in yet" in done.stderr and "wav.scp" in done.stderr


@pytest.mark.parametrize("there", ["a folder", "a file", "a broken link"])
def test_nothing_is_written_over(tree, there):
    recipe = tree / "egs2" / "mine" / "tokenchain1"
    recipe.parent.mkdir()
    if there == "a folder":
        recipe.mkdir()
    elif there == "a file":
        recipe.write_text("mine")
    else:
        recipe.symlink_to("nowhere")
    before = sorted(tree.rglob("*"))
    done = set_up(tree, "egs2/mine/tokenchain1")
    assert done.returncode == 1 and "is there already" in done.stderr
    assert sorted(tree.rglob("*")) == before


@pytest.mark.parametrize("folders", [(), ("a", "b"), ("--help",)])
def test_one_folder_has_to_be_named(tree, folders):
    done = set_up(tree, *folders)
    assert done.returncode == 1 and "name the new folder" in done.stderr


@pytest.mark.parametrize("path", START, ids=lambda path: path.stem)
def test_settings_to_start_with_load(path):
    assert isinstance(load_config(schema_of(path), path), schema_of(path))
