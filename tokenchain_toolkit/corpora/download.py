"""Fetching published archives: a download goes on where it broke off, is checked, and is unpacked into one folder."""

import hashlib
import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tokenchain_toolkit.corpora.unpacking import unpack
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.files import write_json

logger = logging.getLogger(__name__)

ATTEMPTS = 5  # in a row without a single byte
WAIT_SECONDS = 5.0  # before the second attempt; twice as long before each later one
TIMEOUT_SECONDS = 60.0
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A tar archive that a corpus is published as.

    Attributes:
        url: Its address, with https.
        holds: What of it is needed, as paths in it; it is fetched again when one of them has been removed.
        checksum: ``md5:<hex>`` or ``sha256:<hex>``. Empty where none is published: then the length that the server
            states and the sums inside the compressed file are all there is to check.
        size: Bytes; 0 where it is not known.
        growth: How many times as large it is unpacked.
    """

    url: str
    holds: tuple[str, ...]
    checksum: str = ""
    size: int = 0
    growth: float = 1.0

    @property
    def name(self) -> str:
        """File name of the archive."""
        return self.url.rpartition("/")[2]


def fetch(archive: Archive, folder: Path, *, keep_archive: bool = False, wait_seconds: float = WAIT_SECONDS) -> None:
    """Download, check and unpack an archive into ``folder``, unless what is needed of it is there from an earlier call.

    An archive that lies in ``folder`` already is not downloaded again, but checked like any other, and stays there.
    What is unpacked appears in ``folder`` only once all of it is there.

    Args:
        archive: Address, what is needed of it, and checksum.
        folder: Where it is unpacked; several archives may share it.
        keep_archive: Keep the archive that was downloaded after unpacking.
        wait_seconds: Pause before the second attempt at a broken download.

    Raises:
        DataError: The download fails, ``folder`` cannot be written to, the checksum is another one, or the archive is
            damaged, not to be trusted, or lacks what is needed.
        ConfigError: The address is neither https nor http with a checksum.
    """
    record, path = folder / f".{archive.name}.unpacked", folder / archive.name
    with _disk_named(folder):
        if is_unpacked(archive, folder):
            return
        was_there = path.is_file()
        if was_there:
            check_sum(path, archive.checksum)
        else:
            download(archive, path, wait_seconds=wait_seconds)
        unpack(path, folder)
        missing = _missing(archive, folder)
        if missing:
            raise DataError(f"{path} holds no {' and no '.join(missing)}, so it is another archive; remove it")
        write_json(record, asdict(archive))
        if not (was_there or keep_archive):
            path.unlink()


def is_unpacked(archive: Archive, folder: Path) -> bool:
    """Whether what is needed of an archive is in ``folder`` from an earlier ``fetch``."""
    return (folder / f".{archive.name}.unpacked").is_file() and not _missing(archive, folder)


def download(archive: Archive, path: Path, *, wait_seconds: float = WAIT_SECONDS) -> None:
    """Download a file to ``path``; an unfinished ``.part`` beside it is gone on with.

    A connection that breaks off is opened again, as long as bytes come or until ``ATTEMPTS`` have failed in a row.

    Args:
        archive: Address, what is needed of it, and checksum.
        path: File to write.
        wait_seconds: Pause before the second attempt; twice as long before each later one.

    Raises:
        DataError: The server refuses, cannot be reached, or sends a file with another checksum.
        ConfigError: The address is neither https nor http with a checksum.
        OSError: The file cannot be written.
    """
    _check_address(archive)
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while True:
        before = _size(part)
        try:
            _receive(archive.url, part)
            break
        except _TransferError as error:
            failures = 0 if _size(part) > before else failures + 1
            if error.refused or failures >= ATTEMPTS:
                raise DataError(
                    f"{archive.url}: cannot be downloaded ({error}); run this again to go on after "
                    f"{_size(part):,} bytes, or fetch the file by other means and put it at {path}"
                ) from error
            logger.warning("%s: %s after %s bytes; trying again", archive.url, error, f"{_size(part):,}")
            time.sleep(wait_seconds * 2 ** max(failures - 1, 0))
    try:
        check_sum(part, archive.checksum)
    except DataError:
        part.unlink()  # nothing tells which of its bytes are wrong
        raise
    part.replace(path)


def check_sum(path: Path, checksum: str) -> None:
    """Compare a file with its published checksum; an empty one is not compared.

    Raises:
        DataError: They differ.
    """
    if not checksum:
        logger.info("%s: no checksum is published, so it is known by its length and its own sums alone", path.name)
        return
    kind, _, expected = checksum.partition(":")
    digest = hashlib.new(kind, usedforsecurity=False)  # md5 is what OpenSLR publishes
    with path.open("rb") as handle:
        for block in iter(lambda: handle.read(BLOCK_BYTES), b""):
            digest.update(block)
    if digest.hexdigest() != expected:
        raise DataError(
            f"{path}: its {kind} is {digest.hexdigest()}, not {expected} as published, so it is damaged or another "
            "file; remove it if it is still there, and run this again to download it anew"
        )


class _TransferError(Exception):
    """The network or the server failed, not this machine's disk."""

    def __init__(self, error: Exception | str, *, refused: bool = False):
        super().__init__(str(error))
        self.refused = refused


@contextmanager
def _disk_named(folder: Path) -> Iterator[None]:
    """Say what to do where the disk does not take what comes, or does not give it back.

    Raises:
        DataError: It does not.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder} cannot be used ({error}); make room or mend its permissions, or name another folder with "
            "--downloads (./run.sh --data_args '--downloads FOLDER'), and run this again: what came is kept"
        ) from error


def _missing(archive: Archive, folder: Path) -> list[str]:
    return [each for each in archive.holds if not (folder / each).exists()]


def _check_address(archive: Archive) -> None:
    secure = archive.url.startswith("https://")
    if not secure and not (archive.url.startswith("http://") and archive.checksum):
        raise ConfigError(f"{archive.url}: give an address with https, or one with http and a checksum")


def _receive(url: str, part: Path) -> None:
    """Append what is missing of ``part``, or write it anew if the server does not send the missing piece alone.

    Raises:
        _TransferError: The network or the server failed.
        OSError: The file cannot be written.
    """
    from tqdm import tqdm

    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _TransferError(error, refused=error.code < 500) from error
        if error.headers.get("Content-Range", "").endswith(f"/{have}"):
            return  # it was whole, and only its name was not
        part.unlink()
        raise _TransferError("the server has a shorter file") from error
    except (http.client.HTTPException, OSError) as error:
        raise _TransferError(error) from error
    with response:
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        start = have if goes_on else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        label = url.rpartition("/")[2]
        with (
            part.open("ab" if goes_on else "wb") as handle,
            tqdm(total=total, initial=start, desc=label, unit="B", unit_scale=True, disable=None) as progress,
        ):
            for block in _blocks_of(response):
                handle.write(block)
                progress.update(len(block))
    if total is not None and _size(part) != total:
        raise _TransferError(f"the connection broke off, with {total:,} bytes in all")


def _blocks_of(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """What is sent; reading it alone is the network's part, so that an error of the disk is not taken for one of it."""
    try:
        while block := response.read(BLOCK_BYTES):
            yield block
    except (http.client.HTTPException, OSError) as error:
        raise _TransferError(error) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
