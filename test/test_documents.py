"""The commands that README.md and CONTRIBUTING.md show exist and take the options that they are shown with.

Those that need a trained recipe run in ``test_recipe_runs.py``.
"""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from shell_blocks import shell_commands

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md")


def shown(beginning):
    """Commands of all documents that begin so."""
    commands = (command for name in DOCUMENTS for command in shell_commands(ROOT / name))
    return sorted({command for command in commands if command.startswith(beginning)})


def run(command, folder):
    environment = {**os.environ, "VENV": sys.prefix}
    return subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize("command", shown("make"))
def test_make_has_the_target(command):
    done = run([*shlex.split(command), "--dry-run"], ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("command", shown("./run.sh"))
def test_a_recipe_takes_the_options(command):
    done = run([*shlex.split(command), "--dry_run"], ROOT / "egs2" / "mini_synth" / "tokenchain1")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("command", shown("python tools"))
def test_a_tool_is_there(command):
    done = run([sys.executable, *shlex.split(command)[1:]], ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("command", shown("python3 -m tokenchain_toolkit"))
def test_a_command_knows_the_options(command, capsys):
    words = shlex.split(command)
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(words[2]).main(["--help"])
    assert ended.value.code == 0
    known = set(re.findall(r"--\w+", capsys.readouterr().out))
    assert {word for word in words if word.startswith("--")} <= known
