"""Unpacking archives from elsewhere: their members stay in their folder, and half of an archive is none."""

import logging
import shutil
import tarfile
import zlib
from pathlib import Path

from tokenchain_toolkit.errors import DataError, MissingDependencyError

logger = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20


def unpack(path: Path, folder: Path) -> None:
    """Unpack a tar archive; nothing of it is kept if any member is not to be trusted.

    Links that stay within the archive are left out and named: no corpus needs them.

    Args:
        path: Archive.
        folder: Where its members go; folders that are there already are filled up.

    Raises:
        DataError: The archive is damaged, or a member is a device, or it or what it links to would lie outside.
        MissingDependencyError: This Python cannot unpack safely.
        OSError: ``folder`` cannot be written to.
    """
    if not hasattr(tarfile, "data_filter"):
        raise MissingDependencyError("unpacking archives safely needs Python 3.10.12, 3.11.4, 3.12 or newer")
    staging = folder / f".{path.name}.unpacking"
    shutil.rmtree(staging, ignore_errors=True)  # of a killed run
    try:
        with tarfile.open(path) as tar:
            tar.extractall(staging, filter=_files_and_folders)
            _read_to_the_end(tar)
        _move_into(staging, folder)
    except tarfile.FilterError as error:
        raise DataError(f"{path}: {error}; nothing of it was unpacked, do not trust where it comes from") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if error.errno is not None:  # the disk's, not the decompressor's
            raise
        raise _damaged(path, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _files_and_folders(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Python's filter for data, which refuses what leaves the folder; of links that do not, none is made."""
    checked = tarfile.data_filter(member, folder)
    if member.issym() or member.islnk():
        logger.warning("%s: a link to %s, which is left out", member.name, member.linkname)
        return None
    return checked


def _read_to_the_end(tar: tarfile.TarFile) -> None:
    """Read what follows the last member: the sum of a compressed file stands at its very end."""
    assert tar.fileobj is not None
    while tar.fileobj.read(BLOCK_BYTES):
        pass


def _move_into(source: Path, target: Path) -> None:
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir() and place.is_dir():
            _move_into(entry, place)
        else:
            entry.replace(place)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: is damaged ({error}); remove it and run this again to download it anew")
