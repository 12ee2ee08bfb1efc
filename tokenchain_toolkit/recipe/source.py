"""What a recipe takes from another one, its source: is it there, does it fit together, is nothing else in its place.

Paths of both recipes are the same relative to their folders. What is taken becomes links in the recipe's own folder.
"""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.data.manifest import check_same_tokenizer, read_manifest
from tokenchain_toolkit.data.stage_folder import DONE, STARTED
from tokenchain_toolkit.errors import DataError

MANIFEST, TOKENS = "manifest.json", "tokens.txt"


@dataclass(frozen=True)
class Misplaced:
    """A path that does not belong to the source that is given: a link elsewhere, or what was made here."""

    path: Path
    why: str
    is_link: bool


def check_source(source: Path, *, needed: Sequence[Path]) -> None:
    """Look at what is taken from a source.

    Args:
        source: Its folder.
        needed: Files that it must have, relative to it. Manifests among them must be of the same semantic tokens, lists
            of text units must be equal.

    Raises:
        DataError: It is no other folder, files are missing, or text units differ.
        TokenizerMismatchError: Manifests differ.
    """
    named = os.path.abspath(source)
    if not source.is_dir() or source.samefile(Path(".")):
        what = "the recipe itself" if source.is_dir() else f"no folder; run the recipe in {named} first"
        raise DataError(f"--source {source} is {what}, or name another, by its whole path or from the recipe's folder")
    missing = [path for path in needed if not (source / path).is_file()]
    if missing:
        lines = "".join(f"\n  {path}" for path in missing)
        raise DataError(
            f"{len(missing)} files are taken from {named} and are not there; run the recipe in {named} first, with the "
            f"same --tag, --data, --dump and --exp, or mend --source_sets:{lines}"
        )
    manifests = [source / path for path in needed if path.name == MANIFEST]
    for path in manifests[1:]:
        check_same_tokenizer(
            read_manifest(manifests[0]),
            read_manifest(path),
            our_name=str(manifests[0].parent),
            their_name=str(path.parent),
        )
    lists = [source / path for path in needed if path.name == TOKENS]
    for path in lists[1:]:
        if path.read_bytes() != lists[0].read_bytes():
            raise DataError(f"{lists[0]} and {path} are different text units; run the recipe in {named} to its end")


def check_places(source: Path | None, *, exp: Path, adopted: Sequence[Path], own: Sequence[Path]) -> None:
    """Refuse to mix what is of the source, of another one, and of the recipe itself.

    Args:
        source: Folder of the recipe that is taken from; None if there is none.
        exp: Folder of the experiments.
        adopted: What is to be a link to the same path of the source.
        own: What the recipe is to make itself.

    Raises:
        DataError: Something else is in a place; the message lists all, with commands that make room.
    """
    found = misplaced(source, adopted=adopted, own=own)
    if not found:
        return
    lines = "".join(f"\n  {each.path} {each.why}" for each in found)
    given = "without --source" if source is None else f"with --source {source}"
    commands = "".join(f"\n  {command}" for command in _making_room(found, exp))
    raise DataError(
        f"{given}, what is here would be mixed with what another run has made:{lines}\n"
        f"Run with the --source of before; or make room, which keeps all models, and run again:{commands}"
    )


def misplaced(source: Path | None, *, adopted: Sequence[Path], own: Sequence[Path]) -> list[Misplaced]:
    """The paths, as in ``check_places``, that hold something else."""
    found = []
    for path in adopted:
        if path.is_symlink():
            if source is None or path.resolve() != (source / path).resolve():
                found.append(Misplaced(path, f"leads to {os.readlink(path)}", True))
        elif path.exists() or any((path.parent / name).is_file() for name in (DONE, STARTED)):
            found.append(Misplaced(path, "was made here", False))
    # A link that somebody made to put a set or a model on another disk is left alone.
    found += [
        Misplaced(path, f"leads to {os.readlink(path)}", True)
        for path in own
        if path.is_symlink() and (not path.exists() or Path(os.readlink(path)).parts[-len(path.parts) :] == path.parts)
    ]
    return found


def _making_room(found: Sequence[Misplaced], exp: Path) -> list[str]:
    """Commands that take all of it away: experiments together, since those on top of a model belong to it."""
    commands = []
    if any(each.path.is_relative_to(exp) for each in found):
        commands.append(f"mv {shlex.quote(str(exp))} {shlex.quote(str(_free_name(exp)))}")
    others = [each for each in found if not each.path.is_relative_to(exp)]
    links = [str(each.path) for each in others if each.is_link]
    if links:
        commands.append(f"rm {shlex.join(links)}")
    return commands + [
        f"mv {shlex.quote(str(each.path))} {shlex.quote(str(_free_name(each.path)))}"
        for each in others
        if not each.is_link
    ]


def _free_name(path: Path) -> Path:
    """A name beside a path that is not taken."""
    names = (
        path.with_name(f"{path.name}_before{number or ''}") for number in range(len(list(path.parent.iterdir())) + 1)
    )
    return next(name for name in names if not name.exists())
