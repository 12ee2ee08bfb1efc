"""Where the corpora are published, and how a download is known to be whole.

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
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tokenchain_toolkit.corpora.download import Archive, fetch

OPENSLR = "https://www.openslr.org/resources"

LIBRISPEECH = {
    subset: Archive(f"{OPENSLR}/{number}/{subset}.tar.gz", (f"LibriSpeech/{subset}",), f"md5:{digest}")
    for number, subset, digest in (
        (12, "train-clean-100", "2a93770f6d5c6c964bc36631d331a522"),
        (12, "train-clean-360", "c0e676e450a7ff2f54aeade5171606fa"),
        (12, "train-other-500", "d1a0fd59409feb2c614ce4d30c387708"),
        (12, "dev-clean", "42e2234ba48799c1f50f24a7926300a1"),
        (12, "dev-other", "c8d0bcc9cca99d4f8b62fcc847357931"),
        (12, "test-clean", "32fa31d27d2e1cad72775fee3f4849a9"),
        (12, "test-other", "fb5a50374b501bb3bac4815ee91d3135"),
        (31, "train-clean-5", "5df7d4e78065366204ca6845bb08f490"),
        (31, "dev-clean-2", "6d7ab67ac6a1d2c993d050e16d61080d"),
    )
}
LJSPEECH = Archive(
    "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
    ("LJSpeech-1.1/metadata.csv", "LJSpeech-1.1/wavs"),
    "sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
)
TEDLIUM2 = Archive(
    f"{OPENSLR}/19/TEDLIUM_release2.tar.gz",
    ("TEDLIUM_release2/train", "TEDLIUM_release2/dev", "TEDLIUM_release2/test"),
    "sha256:93281b5fcaaae5c88671c9d000b443cb3c7ea3499ad12010b3934ca41a7b9c58",
)
AN4 = Archive("https://dldata-public.s3.us-east-2.amazonaws.com/an4_sphere.tar.gz", ("an4/etc", "an4/wav"))


def fetch_all(
    archives: Iterable[Archive], folder: Path, *, openslr: str = OPENSLR, keep_archives: bool = False
) -> None:
    """Download, check and unpack archives one after another.

    Args:
        archives: Of the table above.
        folder: Where they are unpacked.
        openslr: Address of an OpenSLR mirror's ``resources``, in place of the main server's.
        keep_archives: Keep the archives after unpacking.

    Raises:
        DataError: A download or an archive fails.
        ConfigError: ``openslr`` is no https address.
    """
    for archive in archives:
        mirrored = replace(archive, url=archive.url.replace(OPENSLR, openslr.rstrip("/"), 1))
        fetch(mirrored, folder, keep_archive=keep_archives)
