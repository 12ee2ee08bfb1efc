"""Where the corpora are published, how a download is known to be whole, and how large it is.

======================  ==========================================================
corpus                  checksum
======================  ==========================================================
LibriSpeech             MD5, published in openslr.org/resources/12/md5sum.txt
Mini LibriSpeech        MD5, published in openslr.org/resources/31/md5sum.txt
LJSpeech 1.1            SHA-256, as in torchaudio's loader of the corpus
TED-LIUM 2              SHA-256, as in torchaudio's loader of the corpus
AN4                     none published: length and gzip's own sum
======================  ==========================================================

AN4's own server has no https; the address here is the copy that NVIDIA NeMo's tutorials use.

Sizes are those that TensorFlow Datasets lists beside the same archives' checksums; Mini LibriSpeech's are rounded, as
openslr.org/31 shows them, and AN4's is estimated. How much larger they are unpacked is estimated: FLAC does not get
smaller by packing, LJSpeech has 23.9 hours of 22.05 kHz, and the talks of TED-LIUM are taken to shrink by a fifth.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tokenchain_toolkit.corpora.download import Archive, fetch, is_unpacked
from tokenchain_toolkit.errors import DataError

OPENSLR = "https://www.openslr.org/resources"

LIBRISPEECH = {
    subset: Archive(f"{OPENSLR}/{number}/{subset}.tar.gz", (f"LibriSpeech/{subset}",), f"md5:{digest}", size)
    for number, subset, digest, size in (
        (12, "train-clean-100", "2a93770f6d5c6c964bc36631d331a522", 6_387_309_499),
        (12, "train-clean-360", "c0e676e450a7ff2f54aeade5171606fa", 23_049_477_885),
        (12, "train-other-500", "d1a0fd59409feb2c614ce4d30c387708", 30_593_501_606),
        (12, "dev-clean", "42e2234ba48799c1f50f24a7926300a1", 337_926_286),
        (12, "dev-other", "c8d0bcc9cca99d4f8b62fcc847357931", 314_305_928),
        (12, "test-clean", "32fa31d27d2e1cad72775fee3f4849a9", 346_663_984),
        (12, "test-other", "fb5a50374b501bb3bac4815ee91d3135", 328_757_843),
        (31, "train-clean-5", "5df7d4e78065366204ca6845bb08f490", 332_000_000),
        (31, "dev-clean-2", "6d7ab67ac6a1d2c993d050e16d61080d", 126_000_000),
    )
}
LJSPEECH = Archive(
    "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
    ("LJSpeech-1.1/metadata.csv", "LJSpeech-1.1/wavs"),
    "sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
    size=2_748_572_632,
    growth=1.4,
)
TEDLIUM2 = Archive(
    f"{OPENSLR}/19/TEDLIUM_release2.tar.gz",
    ("TEDLIUM_release2/train", "TEDLIUM_release2/dev", "TEDLIUM_release2/test"),
    "sha256:93281b5fcaaae5c88671c9d000b443cb3c7ea3499ad12010b3934ca41a7b9c58",
    size=36_791_529_840,
    growth=1.25,
)
AN4 = Archive(
    "https://dldata-public.s3.us-east-2.amazonaws.com/an4_sphere.tar.gz",
    ("an4/etc", "an4/wav"),
    size=64_000_000,
    growth=1.5,
)


def fetch_all(
    archives: Sequence[Archive], folder: Path, *, openslr: str = OPENSLR, keep_archives: bool = False
) -> None:
    """Download, check and unpack archives one after another.

    Args:
        archives: Of the table above.
        folder: Where they are unpacked.
        openslr: Address of an OpenSLR mirror's ``resources``, in place of the main server's.
        keep_archives: Keep the archives after unpacking.

    Raises:
        DataError: The disk has not enough room, or a download or an archive fails.
        ConfigError: ``openslr`` is no https address.
    """
    needed, free = needed_bytes(archives, folder, keep_archives=keep_archives), _free_bytes(folder)
    if needed > free:
        raise DataError(
            f"{folder.absolute()}: archives and what they hold take up to {needed / 1e9:.1f} GB more, and "
            f"{free / 1e9:.1f} GB are free; free some, name a folder on another disk with --downloads (./run.sh "
            "--data_args '--downloads FOLDER'), or name a copy of the corpus in db.sh"
        )
    for archive in archives:
        mirrored = replace(archive, url=archive.url.replace(OPENSLR, openslr.rstrip("/"), 1))
        fetch(mirrored, folder, keep_archive=keep_archives)


def needed_bytes(archives: Sequence[Archive], folder: Path, *, keep_archives: bool = False) -> int:
    """Bytes that ``fetch_all`` takes of the disk at its height, beside what is in ``folder`` already."""
    missing = [archive for archive in archives if not is_unpacked(archive, folder)]
    to_come = [archive.size - _downloaded_bytes(archive, folder) for archive in missing]
    unpacked = sum(round(archive.size * archive.growth) for archive in missing)
    return unpacked + max(sum(to_come) if keep_archives else max(to_come, default=0), 0)


def _downloaded_bytes(archive: Archive, folder: Path) -> int:
    """What of an archive was downloaded before."""
    places = (folder / archive.name, folder / f"{archive.name}.part")
    return max((path.stat().st_size for path in places if path.is_file()), default=0)


def _free_bytes(folder: Path) -> int:
    """Free disk where a folder is or will be."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(there).free
