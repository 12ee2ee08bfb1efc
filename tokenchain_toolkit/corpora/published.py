"""How much of each corpus is published, and a warning where a copy holds less.

An excerpt may be used like the corpus; but what is measured on it must not be taken for a figure of the corpus.

======================  ======================================================================
corpus                  where the numbers are from
======================  ======================================================================
LibriSpeech             its card on the Hugging Face hub, openslr/librispeech_asr
Mini LibriSpeech        files of both archives of openslr.org/31, as its users count them
TED-LIUM 2              its README: 1,495 talks for training; Kaldi's recipe: 1,514 in all,
                        of which 8 are ``dev`` and 11 ``test``
LJSpeech 1.1            its README
AN4                     its lists, which ESPnet divides into 848 + 100 and 130
kerstin                 its README
======================  ======================================================================
"""

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

UTTERANCES = {
    "train-clean-100": 28539,
    "train-clean-360": 104014,
    "train-other-500": 148688,
    "dev-clean": 2703,
    "dev-other": 2864,
    "test-clean": 2620,
    "test-other": 2939,
    "train-clean-5": 1519,
    "dev-clean-2": 1089,
    "LJSpeech": 13100,
    "AN4 train": 948,
    "AN4 test": 130,
    "kerstin": 1374,
}
TALKS = {"TED-LIUM 2 train": 1495, "TED-LIUM 2 dev": 8, "TED-LIUM 2 test": 11}


def warn_if_incomplete(part: str, found: int, folder: Path) -> None:
    """Say so if a copy holds less of a corpus, or of a part of it, than is published.

    Args:
        part: A name in ``UTTERANCES`` or ``TALKS``.
        found: How many of them the copy holds.
        folder: Where it lies.
    """
    published, unit = (TALKS[part], "talks") if part in TALKS else (UTTERANCES[part], "utterances")
    if found < published:
        what = f"{found:,} of the {published:,} published {unit} are in {folder.absolute()}"
        logger.warning("%s: %s; figures on it are not those of %s", part, what, part)
