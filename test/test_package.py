"""The import rule, and that importing and asking for help stay light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tokenchain_toolkit

PACKAGE = Path(tokenchain_toolkit.__file__).parent
NAME = PACKAGE.name
HEAVY = ("torch", "torchaudio", "transformers", "lightning", "sklearn", "espnet", "espnet2", "matplotlib", "numpy")
COMMANDS = sorted(path.stem for path in (PACKAGE / "bin").glob("*.py") if not path.stem.startswith("_"))

# Folder -> folders of the package that it must not import.
FORBIDDEN = {
    "config": {"bin", "tasks", "data", "models", "inference", "metrics", "tokenizers", "features", "text", "report"},
    "models": {"bin", "tasks", "data"},
    **dict.fromkeys(
        ("data", "inference", "metrics", "tokenizers", "features", "text", "report", "recipe"), {"bin", "tasks"}
    ),
    "tasks": {"bin", "planning"},
    "planning": {"bin"},
}
# Big dependency -> the only folders that may import it.
OWNERS = {
    "espnet": {"models", "inference"},
    "espnet2": {"models", "inference"},
    "transformers": {"features", "tokenizers", "models", "inference", "metrics"},
}
BANNED = {"pickle", "espnet2.tasks", "espnet2.train.preprocessor"}


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, at its top level or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_part_of(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def modules() -> list[tuple[str, str, str]]:
    """(folder inside the package, file, imported name) for every import of the package."""
    return [
        (path.relative_to(PACKAGE).parts[0], str(path.relative_to(PACKAGE)), name)
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in imports_of(path)
    ]


def test_imports_flow_one_way() -> None:
    wrong = [
        f"{file} imports {name}"
        for folder, file, name in modules()
        for target in FORBIDDEN.get(folder, ())
        if is_part_of(name, f"{NAME}.{target}")
    ]
    assert not wrong


def test_big_dependencies_have_their_owners() -> None:
    wrong = [
        f"{file} imports {name}"
        for folder, file, name in modules()
        for library, owners in OWNERS.items()
        if is_part_of(name, library) and folder not in owners
    ]
    assert not wrong


def test_nothing_unsafe_or_downloading_is_imported() -> None:
    wrong = [f"{file} imports {name}" for _, file, name in modules() if any(is_part_of(name, bad) for bad in BANNED)]
    assert not wrong


def loaded_by(code: str) -> set[str]:
    """Heavy libraries that a fresh interpreter has loaded after ``code``."""
    probe = f"import sys\n{code}\nsys.stderr.write('loaded:' + ' '.join(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("loaded:")[2].split())


def test_the_probe_sees_what_is_loaded() -> None:
    assert "numpy" in loaded_by("import numpy")


def test_importing_the_package_is_light_and_silent() -> None:
    assert not loaded_by(f"import {NAME}")
    done = subprocess.run([sys.executable, "-c", f"import {NAME}"], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_light(command: str) -> None:
    code = f"""
from {NAME}.bin.{command} import main
try:
    main(["--help"])
except SystemExit as stop:
    assert not stop.code
else:
    raise AssertionError("no help")
"""
    assert not loaded_by(code)


def test_there_are_commands() -> None:
    assert {"validate", "train_bpe"} <= set(COMMANDS)


def test_a_device_that_is_not_there_is_named(tmp_path, caplog, monkeypatch):
    import torch

    from tokenchain_toolkit.bin import learn_tokenizer

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert learn_tokenizer.main(["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--device", "cuda"]) == 1
    assert "finds no GPU" in caplog.text


def test_an_interrupted_command_shows_no_traceback(caplog, capfd):
    import argparse

    from tokenchain_toolkit.bin._cli import run_command

    def work(arguments):
        raise KeyboardInterrupt

    assert run_command(work, argparse.ArgumentParser("slow"), []) == 130
    assert "slow: interrupted" in caplog.text and "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "20000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_idle_threads_soon_leave_their_cores_unless_told_otherwise(monkeypatch, given, expected):
    import argparse
    import os

    from tokenchain_toolkit.bin._cli import run_command

    found = []
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert run_command(lambda _: found.append(os.environ.get("GOMP_SPINCOUNT")), argparse.ArgumentParser(), []) == 0
    assert found == [expected]
