"""LJSpeech: one woman reading English non-fiction, 22.05 kHz, brought to 16 kHz.

The corpus has no official split. ``eval1`` is the last 250 utterances, ``dev`` the 250 before them, ``tr_no_dev`` the
others, as in ESPnet; of an excerpt fewer are held out. All three have the one speaker.

Text is the corpus's normalised one (numbers and abbreviations written out), in lower case and without punctuation,
since the recogniser has to spell it. [assumed]
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

SPEAKER = "LJ"
HELD_OUT_UTTERANCES = 250  # ESPnet's
REMEDY = "unpack LJSpeech-1.1.tar.bz2 anew, and set LJSPEECH= in db.sh to the folder with metadata.csv and wavs/"


def prepare_ljspeech(out: Path, *, root: Path, num_jobs: int = 2, overwrite: bool = False) -> bool:
    """Write ``tr_no_dev``, ``dev`` and ``eval1`` below ``out``, and their audio below ``out/wav``.

    Args:
        out: Folder of data directories.
        root: Folder with ``metadata.csv`` and ``wavs/``.
        num_jobs: Files resampled at the same time.
        overwrite: Write again what is up to date.

    Returns:
        False if everything was up to date.

    Raises:
        DataError: The corpus is not there or not whole.
    """
    transcripts = []
    for place, line in read_lines(root / "metadata.csv", remedy=REMEDY):
        fields = line.split("|")
        if len(fields) != 3:
            raise DataError(f"{place}: {len(fields)} fields instead of 'name|text|normalised text'; {REMEDY}")
        transcripts.append(Transcript(fields[0], words(fields[2]), place))
    recordings = {path.stem: path for path in (root / "wavs").glob("*.wav")}
    matched = match_recordings(transcripts, recordings, remedy=REMEDY)
    warn_if_incomplete("LJSpeech", len(matched), root)
    utterances = [Utterance(each.name, SPEAKER, each.text, path) for each, path in matched]  # LJ001-0001 begins with LJ
    sets = dict(zip(("tr_no_dev", "dev", "eval1"), hold_out_last(utterances, HELD_OUT_UTTERANCES), strict=True))
    return write_sets(out, sets, corpus="ljspeech", resample=True, num_jobs=num_jobs, overwrite=overwrite)
