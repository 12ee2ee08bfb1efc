"""The installer, with an interpreter that records pip's calls instead of running them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LISTS = ROOT / "tools" / "requirements"
Done = subprocess.CompletedProcess[str]


def lines_of(name: str) -> list[Requirement]:
    lines = (LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the installer reads, with an environment whose pip only records."""
    copy = tmp_path / "tree"
    shutil.copytree(ROOT / "tools", copy / "tools")
    shutil.copy(ROOT / "setup.py", copy)
    fake = copy / ".venv" / "bin" / "python"
    fake.parent.mkdir(parents=True)
    fake.write_text(
        f'#!/usr/bin/env bash\nif [[ "$1 $2" == "-m pip" ]]; then echo "$*" >>"{copy}/pip_calls"; exit 0; fi\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    fake.chmod(0o755)
    return copy


def install(tree: Path, *arguments: str, **variables: str) -> Done:
    command = ["bash", str(tree / "tools" / "install.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, check=False)


def installs(tree: Path) -> list[str]:
    """Recorded installations of requirements."""
    calls = tree / "pip_calls"
    return [line for line in calls.read_text().splitlines() if "--requirement" in line] if calls.exists() else []


def test_an_environment_that_has_everything_is_left_alone(tree: Path) -> None:
    for path in (tree / "tools" / "requirements").glob("*.txt"):
        path.write_text("pytest>=1\n")
    assert install(tree).returncode == 0
    assert not installs(tree)
    assert len(list((tree / ".venv").glob(".tokenchain-installed-*"))) == 1
    assert "up to date" in install(tree).stderr


def test_what_is_missing_is_installed_with_pinned_versions(tree: Path) -> None:
    (tree / "tools" / "requirements" / "run.txt").write_text("not-there-at-all==1\n")
    done = install(tree)
    assert done.returncode == 0
    assert "lacks not-there-at-all==1 (not installed)" in done.stderr
    ordinary, espnet = installs(tree)
    assert all("--constraint tools/requirements/constraints.txt" in call for call in (ordinary, espnet))
    assert "run.txt" in ordinary and "dev.txt" in ordinary and "espnet" not in ordinary
    assert "--no-deps" in espnet and "espnet.txt" in espnet


def test_packages_with_faulty_lists_are_installed_without_them(tree: Path) -> None:
    (tree / "tools" / "requirements" / "run.txt").write_text("not-there-at-all==1\n")
    assert install(tree, ".venv", "dev", "metrics").returncode == 0
    ordinary, alone = installs(tree)
    assert "metrics.txt" in ordinary and "--no-deps" not in ordinary and "resemblyzer" not in ordinary
    assert "--no-deps" in alone and "espnet.txt" in alone and "resemblyzer.txt" in alone


def test_changed_requirements_make_the_stamp_stale(tree: Path) -> None:
    for path in (tree / "tools" / "requirements").glob("*.txt"):
        path.write_text("pytest>=1\n")
    install(tree)
    (tree / "tools" / "requirements" / "constraints.txt").write_text("pytest==1\n")
    assert "up to date" not in install(tree).stderr


def test_faults_say_how_to_go_on(tree: Path) -> None:
    done = install(tree, "new", PYTHON="no-such-python")
    assert done.returncode == 1 and "install Python 3.10, 3.11 or 3.12" in done.stderr
    done = install(tree, "new", PYTHON="false")
    assert done.returncode == 1 and "make install PYTHON=" in done.stderr
    assert not (tree / "new").exists()
    (tree / "dangling").symlink_to(tree / "nowhere")
    done = install(tree, "dangling")
    assert done.returncode == 1 and "link to nothing" in done.stderr
    done = install(tree, ".venv", "typo")
    assert done.returncode == 1 and "no such extra" in done.stderr


def test_every_requirement_has_a_pin_that_satisfies_it() -> None:
    pins = {pin.name: str(pin.specifier).removeprefix("==") for pin in lines_of("constraints")}
    for name in ("run", "espnet", "dev", "demo", "codecs", "metrics", "resemblyzer"):
        for requirement in lines_of(name):
            assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement


def test_help_lists_every_target() -> None:
    shown = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = makefile.partition(".PHONY: all ")[2].splitlines()[0].split()
    assert targets and all(f"\n  {target} " in shown for target in targets)
