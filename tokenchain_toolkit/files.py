"""Writing files so that a killed process leaves the old file or the new one, never half of one; and where to work."""

import errno
import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenchain_toolkit.errors import DataError


@contextmanager
def disk_faults_named() -> Iterator[None]:
    """Turn the system's error about a disk that is full, or may not be written, into one that says what to do.

    Raises:
        DataError: It is.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise DataError(f"no permission ({error}); mend it, or name another folder") from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            raise DataError(f"a file is where a folder should be ({error}); move it, or name another folder") from error
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(
            f"the disk is full ({error}); free some space and run the stage again: what is finished is kept"
        ) from error


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let requests to end (SIGINT, SIGTERM) wait until what is between is done; in the main thread, which gets them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: came.append(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler or signal.SIG_DFL)
    for one in came:
        signal.raise_signal(one)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; on success flush it to disk and rename it to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Work in a folder: paths in a recipe are relative to its own."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` atomically, as indented JSON with sorted keys."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read one JSON file.

    Raises:
        DataError: It holds something else, as after a crash of the machine.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        what = f"{path} is damaged, it holds no JSON ({error})"
        raise DataError(f"{what}; remove it and run the stage that makes it again, with --overwrite") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def digest_of_tensors(tensors: Mapping[str, Any]) -> str:
    """SHA-256 over the names and values of a model's weights, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
