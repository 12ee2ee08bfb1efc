"""Are the files of a recipe there, links to the template, executable, and written for their purpose."""

import os
from pathlib import Path

from tokenchain_toolkit.recipe.findings import Findings

TEMPLATE = "../../TEMPLATE/tokenchain1"
LINKS = ("tokenchain.sh", "path.sh", "cmd.sh", "db.sh")
OWN_COPY_ALLOWED = ("cmd.sh", "db.sh")  # settings of a machine; the other two are code
SCRIPTS = ("run.sh", "local/data.sh")
UNFILLED = b"it is not filled in yet"  # of the template's local/data.sh
HANDS_ON = '"$@"'


def check_layout(root: Path) -> Findings:
    """Look at the files that a recipe is made of, and at nothing that it makes."""
    found = Findings("Files")
    for name in LINKS:
        found.problems += _faults_of_link(root / name)
    for name in SCRIPTS:
        found.problems += _faults_of_script(root / name)
    if not any((root / "conf").glob("*.yaml")):
        remedy = f"copy those of {TEMPLATE}/start/conf"
        found.problems.append(f"conf holds no configurations; {remedy}")
    run = root / "run.sh"
    if run.is_file():
        text = run.read_text(encoding="utf-8", errors="replace")
        if "tokenchain.sh" not in text:
            found.problems.append("run.sh does not call ./tokenchain.sh, which has the stages; end it with that call")
        elif HANDS_ON not in text:
            what = "run.sh keeps its options for itself, so that --stage has no effect"
            found.problems.append(f"{what}; end its call of ./tokenchain.sh with {HANDS_ON}")
    return found


def can_be_asked(root: Path) -> bool:
    """May ``run.sh --dry_run`` be called: it hands its options on, so that it runs nothing, and finds what it needs."""
    there = all((root / name).is_file() for name in (*LINKS, *SCRIPTS))
    return there and HANDS_ON in (root / "run.sh").read_text(encoding="utf-8", errors="replace")


def _faults_of_link(path: Path) -> list[str]:
    """A file that belongs to the template must be a link to it."""
    remedy = f"ln -sf {TEMPLATE}/{path.name} {path.name}"
    if path.is_symlink() and not path.exists():
        return [f"{path.name} is a link to {os.readlink(path)}, which is not there; {remedy}"]
    if not path.is_file():
        return [f"{path.name} is missing; {remedy}"]
    if not path.is_symlink() and path.name not in OWN_COPY_ALLOWED:
        return [f"{path.name} is a copy, which stays behind when the template changes; {remedy}"]
    if path.name == "tokenchain.sh" and not os.access(path, os.X_OK):
        return [f"{path.name} is not executable; chmod +x {path.resolve()}"]
    return []


def _faults_of_script(path: Path) -> list[str]:
    """A script of the recipe's own must be there, executable, and say what runs it."""
    name = f"local/{path.name}" if path.parent.name == "local" else path.name
    if not path.is_file():
        return [f"{name} is missing; copy {TEMPLATE}/start/{name} and fill it in"]
    faults = []
    if not os.access(path, os.X_OK):
        faults.append(f"{name} is not executable; chmod +x {name}")
    script = path.read_bytes()
    if not script.startswith(b"#!"):
        faults.append(f"{name} does not say what runs it; begin it with the line #!/usr/bin/env bash")
    if UNFILLED in script:
        faults.append(f"{name} is not filled in yet; let it write the sets as its first lines say")
    return faults
