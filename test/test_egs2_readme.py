"""The page for recipe authors: its commands, run word for word, make a recipe that keeps the contract."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shell_blocks import shell_blocks

from tokenchain_toolkit.data.kaldi import read_data_dir

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / "egs2" / "README.md"
PAGE = PATH.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A tree with the template alone, in which every block of commands has been run, and what they printed."""
    tree = tmp_path_factory.mktemp("tree")
    generated = shutil.ignore_patterns("data", "dump", "exp")
    shutil.copytree(ROOT / "egs2" / "TEMPLATE", tree / "egs2" / "TEMPLATE", symlinks=True, ignore=generated)
    (tree / "tokenchain_toolkit").symlink_to(ROOT / "tokenchain_toolkit")
    script = "set -euo pipefail\n" + "\n".join(shell_blocks(PATH))
    environment = {**os.environ, "VENV": sys.prefix, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return tree / "egs2" / "whistle" / "tokenchain1", done.stdout


def test_the_steps_are_ten():
    assert re.findall(r"^\*\*(\d+)\. ", PAGE, re.MULTILINE) == [str(number) for number in range(1, 11)]


def test_the_recipe_has_its_sets_and_a_trained_model(followed):
    recipe, _ = followed
    sizes = {name: len(read_data_dir(recipe / "data" / name).wavs) for name in ("train", "valid", "test")}
    assert sizes == {"train": 32, "valid": 4, "test": 4}
    assert (recipe / "exp" / "asr" / "model.safetensors").is_file()


def test_tiny_settings_leave_alone_what_the_recipe_made(followed):
    recipe, _ = followed
    made = [path for name in ("data", "dump", "exp") for path in (recipe / name).rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in made}
    environment = {**os.environ, "VENV": sys.prefix, "OMP_NUM_THREADS": "1"}
    command = [recipe / "run.sh", "--tiny", "--stop_stage", "validate"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    sizes = {name: len(read_data_dir(recipe / "data_tiny" / name).wavs) for name in ("train", "valid", "test")}
    assert sizes == {"train": 32, "valid": 4, "test": 4} and len(list((recipe / "data_tiny/wav").glob("*.wav"))) == 40


def test_the_commands_say_what_the_page_says(followed):
    _, printed = followed
    assert "\n40\n" in printed and "ann_0," in printed
    assert printed.count(". keeps the contract") == 2
    warnings = {line.strip() for line in printed.splitlines() if "warning: " in line}
    assert warnings and all("fine if this is meant" in line for line in warnings), warnings


def test_every_stage_stands_in_the_table(followed):
    recipe, _ = followed
    listed = subprocess.run([recipe / "run.sh", "--list_stages"], capture_output=True, text=True, check=True).stdout
    rows = " ".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| "))
    assert set(re.findall(r"^ +\d+ +(\w+)$", listed, re.MULTILINE)) == set(re.findall(r"\w+", rows)) - {"stage"}
