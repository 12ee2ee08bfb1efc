"""The folder that a stage owns: one run in it at a time, what it had before, and which of its files are gone."""

import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import write_text

DONE, STARTED, OUTPUTS = ".done", ".started", ".outputs"
BEFORE = ".before"  # the output of an earlier run, until this one is complete
LOCK = ".lock"
OF_THE_STAMP = {DONE, STARTED, OUTPUTS, BEFORE, LOCK}
SPARE_FOLDERS = ("checkpoints", "logs", "tensorboard")  # what nothing after the stage needs
BINARY = (".ark", ".model", ".safetensors", ".wav")
SPARE_FILES = (".*", "*.ckpt", "*.log", "events.out.*")
LOCK_NAME_BYTES = 200

# Which stage of a recipe makes what, by the end of the folder's path; the first that fits.
MAKERS = (
    ("token_list/*", "train_bpe"),
    ("tokenizer_*", "learn_tokenizer"),
    ("units_*", "make_units"),
    ("*_decode_*", "score"),
    ("t2s_*", "decode_t2s"),
    ("decode_*", "decode_asr"),
    ("synth_*", "synthesize"),
    ("chain_*", "train_chain"),
    ("chain_*/asr", "train_chain"),
    ("chain_*/t2s", "train_chain"),
    ("asr", "train_asr"),
    ("t2s", "train_t2s"),
    ("s2a", "train_s2a"),
    ("dump*/*/*", "extract_tokens"),
    ("data*/*", "data"),
)


def lock_folder(folder: Path) -> IO[str]:
    """Keep other runs out of a folder as long as the returned file is open; the system closes it with the process.

    Raises:
        DataError: Another run has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = (folder / LOCK).open("a+", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            return handle  # a file system without locks
        handle.seek(0)
        who = handle.read(LOCK_NAME_BYTES).strip() or "unknown"
        handle.close()
        raise DataError(
            f"another run is at work in {folder} (process {who}); wait for it or end it, or name another folder"
        ) from error
    handle.truncate(0)
    handle.write(f"{os.getpid()} on {socket.gethostname()}\n")
    handle.flush()
    return handle


def is_empty(folder: Path) -> bool:
    """Is nothing in a folder but what the stamp puts there?"""
    return not any(path.name not in OF_THE_STAMP for path in folder.iterdir())


def set_aside(folder: Path) -> None:
    """Empty a folder, and keep what is complete in it in a folder inside it until ``drop_before`` or ``put_back``.

    What a killed run left is removed; something complete from before it stays.
    """
    folder = folder.resolve()
    if (folder / DONE).is_file():
        drop_before(folder)
        folder.rename(_beside(folder))
        recover(folder)
        return
    for path in folder.iterdir():
        if path.name not in (BEFORE, LOCK):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def put_back(folder: Path) -> None:
    """Make the folder what it was before ``set_aside``; without something complete from before, remove it."""
    folder = folder.resolve()
    if (folder / BEFORE).is_dir():
        (folder / BEFORE).rename(_beside(folder))
    shutil.rmtree(folder)
    if _beside(folder).is_dir():
        _beside(folder).rename(folder)


def recover(folder: Path) -> None:
    """Go on where ``set_aside`` or ``put_back`` was killed, and what was complete is beside the folder."""
    folder = folder.resolve()
    if _beside(folder).is_dir() and not (folder / BEFORE).exists():
        folder.mkdir(exist_ok=True)
        _beside(folder).rename(folder / BEFORE)


def _beside(folder: Path) -> Path:
    """A name beside the folder, since a folder can be moved neither into itself nor out of one that is removed."""
    return folder.with_name(f".{folder.name}{BEFORE}")


def drop_before(folder: Path) -> None:
    """Remove what is kept from before, if anything is."""
    shutil.rmtree(folder / BEFORE, ignore_errors=True)


def list_outputs(folder: Path, *, also: Iterable[Path] = ()) -> None:
    """Write down which files a stage has made, for ``lost_outputs``; what only it needed may go.

    Of those that nobody writes by hand the size stands behind the name.

    Args:
        folder: Where the list goes.
        also: Further folders whose files are listed with those of ``folder``.
    """
    lines = []
    for path in [path for one in (folder, *also) for path in _needed(one) if path.is_file()]:
        size = f"\t{path.stat().st_size}" if path.suffix in BINARY else ""
        lines.append(f"{os.path.relpath(path, folder)}{size}\n")
    write_text(folder / OUTPUTS, "".join(sorted(lines)))


def lost_outputs(folder: Path) -> list[Path]:
    """Files that a stage has made and that are gone, or shorter than they were."""
    listed = folder / OUTPUTS
    if not listed.is_file():
        return []
    lost = []
    for line in listed.read_text(encoding="utf-8").splitlines():
        name, _, size = line.partition("\t")
        path = folder / name
        if not path.exists() or (size.isdigit() and path.stat().st_size < int(size)):
            lost.append(path)
    return lost


def loss_of(path: Path) -> str:
    """What has happened to one of the ``lost_outputs``."""
    return "is cut short" if path.exists() else "is gone"


def files_below(folder: Path, name: str) -> list[Path]:
    """Files of one name in a folder and those below, without those kept from before."""
    return sorted(path for path in folder.rglob(name) if BEFORE not in path.relative_to(folder).parts)


def missing_input(path: Path, needed_by: Path) -> str:
    """What to tell a user about an input that is not there."""
    if other := folder_instead(path):
        return other
    maker = _maker(path.parent)
    again = f"run the stage {maker} first" if maker else "run the stage that makes it first, or mend the path"
    return f"{path} is missing, and {needed_by} is made from it; {again}"


def folder_instead(path: Path) -> str | None:
    """What to tell a user who has named a file of a folder, or the folder above, where ``path`` was looked for."""
    if path.parent.is_file():
        return f"{path.parent} is a file; name its folder, {path.parent.parent}, instead"
    below = sorted(str(found.parent) for found in path.parent.glob(f"*/{path.name}") if found.parent.name != BEFORE)
    return f"{path} is missing; name {' or '.join(below)} instead" if below else None


def lost_input(path: Path, needed_by: Path) -> str:
    """What to tell a user about a file that the complete output of an earlier stage has lost."""
    maker = _maker(path.parent)
    stage = f"the stage {maker}" if maker else "the stage that made it"
    return f"{path} {loss_of(path)}, and {needed_by} is made from it; run {stage} again, which makes it anew"


def _maker(folder: Path) -> str | None:
    return next((stage for pattern, stage in MAKERS if folder.absolute().match(pattern)), None)


def _needed(folder: Path) -> Iterator[Path]:
    """The files of one stage below a folder, without those that can go."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name not in (BEFORE, *SPARE_FOLDERS) and not (path / DONE).is_file():
                yield from _needed(path)
        elif not any(fnmatch(path.name, pattern) for pattern in SPARE_FILES):
            yield path
