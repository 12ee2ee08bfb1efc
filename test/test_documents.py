"""Every command that the documents show is there, and takes the options that it is shown with.

Beyond that, the commands of ``egs2/README.md`` run word for word in ``test_egs2_readme.py``, and those of ``README.md``
that need a trained recipe in ``test_recipe_runs.py``. A command that no test here knows how to look at fails.
"""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from shell_blocks import shell_blocks, shell_commands, shell_spans

ROOT = Path(__file__).resolve().parents[1]
WITH_BLOCKS = ("README.md", "CONTRIBUTING.md")
DOCUMENTS = (*WITH_BLOCKS, "egs2/README.md", "tools/bench/README.md")
ANY_RECIPE = "egs2/mini_synth/tokenchain1"


def shown_commands():
    """Each command of a document once, and the folder that it is shown in."""
    found = {}
    for document in DOCUMENTS:
        for command in shell_spans(ROOT / document):
            found.setdefault(command, ".")
    for document in WITH_BLOCKS:
        for block in shell_blocks(ROOT / document):
            folder = "."
            for command in shell_commands(block):
                if command.startswith("cd "):
                    folder = command.removeprefix("cd ")
                found[command] = folder
    return found


def run(words, folder, **variables):
    environment = {**os.environ, "VENV": sys.prefix, **variables}
    return subprocess.run(
        words, cwd=ROOT / folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def succeeds(words, folder, **variables):
    done = run(words, folder, **variables)
    assert done.returncode == 0, done.stdout


def parted(words):
    """Variables in front of a command, and the command."""
    variables = [word for word in words if re.match(r"[A-Z_0-9]+=", word)] if "=" in words[0] else []
    return dict(word.split("=", 1) for word in variables), words[len(variables) :]


def options_are_known(words, printed):
    known = set(re.findall(r"--\w+", printed))
    assert {word for word in words if word.startswith("--")} <= known


def is_a_target(words, folder, **variables):
    succeeds([*words, "--dry-run"], ".", **variables)


def is_a_dry_run_of_the_recipe(words, folder, **variables):
    where = folder if folder.startswith("egs2/") else ANY_RECIPE
    words = ["data" if word == "NAME" else word for word in words]
    succeeds([*words, "--dry_run"], where, **variables)


def is_a_command_of_the_package(words, folder, capsys):
    corpus = words[3:4] if words[2].endswith(".prepare_data") else []
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(words[2]).main([*corpus, "--help"])
    assert ended.value.code == 0
    options_are_known(words, capsys.readouterr().out)


def is_a_benchmark(words, folder, **variables):
    done = run([sys.executable, words[1], "--help"], ".")
    assert done.returncode == 0, done.stdout
    options_are_known(words, done.stdout)


def installs_what_is_listed(words, folder, **variables):
    lists = [ROOT / "tools" / "requirements" / f"{name}.txt" for name in words[2:]]
    assert os.access(ROOT / words[0], os.X_OK) and all(path.is_file() for path in lists)


def is_an_extra(words, folder, **variables):
    (extra,) = re.findall(r"\.\[(\w+)\]", words[-1])
    assert f'"{extra}"' in (ROOT / "setup.py").read_text()


def is_there(words, folder, **variables):
    (name, *_) = [word for word in words if word not in ("cd", ".")]
    where = folder if folder.startswith("egs2/") else ANY_RECIPE
    assert (ROOT / (where if name.startswith("./") else ".") / name).exists()


LOOKED_AT = {
    r"([A-Z_]+=\S* )*make\b": is_a_target,
    r"([A-Z_]+=\S* )*\./(run|study)\.sh\b": is_a_dry_run_of_the_recipe,
    r"python3 -m tokenchain_toolkit\.": is_a_command_of_the_package,
    r"([A-Z_]+=\S* )*python tools/": is_a_benchmark,
    r"tools/install\.sh ": installs_what_is_listed,
    r"pip install ": is_an_extra,
    r"cd |\. \./path\.sh$|\./tokenchain\.sh\b|\.ci/run$|egs2/\S+/setup\.sh ": is_there,
}


@pytest.mark.parametrize(("command", "folder"), shown_commands().items())
def test_a_command_of_the_documents_is_as_it_is_shown(command, folder, capsys):
    (look,) = [look for pattern, look in LOOKED_AT.items() if re.match(pattern, command)]
    variables, words = parted(shlex.split(command))
    look(words, folder, **({"capsys": capsys} if look is is_a_command_of_the_package else variables))


def test_all_documents_are_read():
    commands = shown_commands()
    assert {"make lint", ".ci/run", "./study.sh study --dry_run", "make bench-demo"} <= commands.keys()
    assert any(command.startswith("python tools/bench/tokens.py --minutes") for command in commands)
    in_folders = {folder for command, folder in commands.items() if command.startswith("LIBRISPEECH=")}
    assert in_folders == {"egs2/librispeech_100/tokenchain1"}
