"""kerstin: one woman reading German sentences (Rhasspy), 48 kHz, brought to 16 kHz.

The corpus has no official split: ``test`` is the last 100 utterances, ``valid`` the 100 before them, ``train`` the
others; of an excerpt fewer are held out. [assumed] All three have the one speaker.

Text is in lower case and without punctuation; umlauts and sharp s are letters like any others. [assumed]
"""

from pathlib import Path

from tokenchain_toolkit.corpora.published import warn_if_incomplete
from tokenchain_toolkit.corpora.utterances import (
    Transcript,
    Utterance,
    hold_out_last,
    match_recordings,
    read_lines,
    write_sets,
)
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.text.normalise import words

SPEAKER = "kerstin"
HELD_OUT_UTTERANCES = 100
REMEDY = "clone https://github.com/rhasspy/dataset-voice-kerstin anew, and set KERSTIN= in db.sh to the clone"


def prepare_kerstin(out: Path, *, root: Path, num_jobs: int = 2, overwrite: bool = False) -> bool:
    """Write ``train``, ``valid`` and ``test`` below ``out``, and their audio below ``out/wav``.

    Args:
        out: Folder of data directories.
        root: Clone of the dataset, with ``verified/metadata.csv`` and the FLAC files beside it.
        num_jobs: Files resampled at the same time.
        overwrite: Write again what is up to date.

    Returns:
        False if everything was up to date.

    Raises:
        DataError: The corpus is not there or not whole.
    """
    transcripts = []
    for place, line in read_lines(root / "verified" / "metadata.csv", remedy=REMEDY):
        name, separator, text = line.partition("|")
        if not separator:
            raise DataError(f"{place}: no '|' between name and text; {REMEDY}")
        transcripts.append(Transcript(name, words(text), place))
    recordings = {path.stem: path for path in (root / "verified").glob("*.flac")}
    matched = match_recordings(transcripts, recordings, remedy=REMEDY)
    warn_if_incomplete("kerstin", len(matched), root)
    utterances = [Utterance(f"{SPEAKER}-{each.name}", SPEAKER, each.text, path) for each, path in matched]
    sets = dict(zip(("train", "valid", "test"), hold_out_last(utterances, HELD_OUT_UTTERANCES), strict=True))
    return write_sets(out, sets, corpus="kerstin", resample=True, num_jobs=num_jobs, overwrite=overwrite)
