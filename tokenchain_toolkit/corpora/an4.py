"""AN4, the census corpus of CMU: people spelling names and saying numbers and dates, 16 kHz NIST SPHERE.

The corpus has a training and a test part. Validation is taken from training as ESPnet does: ``train_dev`` is the first
100 utterances by id, ``train_nodev`` the others; of an excerpt fewer are taken. So a speaker may be in both.

Text is as published: upper case, without the marks of sentence begin and end. The audio is used where it lies;
libsndfile reads uncompressed SPHERE, which AN4 is.
"""

import re
from pathlib import Path

from tokenchain_toolkit.corpora.published import warn_if_incomplete
from tokenchain_toolkit.corpora.utterances import (
    Transcript,
    Utterance,
    held_out_size,
    match_recordings,
    read_lines,
    write_sets,
)
from tokenchain_toolkit.errors import DataError

VALID_UTTERANCES = 100  # ESPnet's
REMEDY = "unpack an4_sphere.tar.gz anew, and set AN4= in db.sh to the folder with etc/ and wav/"
LINE = re.compile(r"(?P<text>.*)\((?P<name>[^-\s]+-(?P<speaker>[^-\s]+)-[^-\s]+)\)")
MARKS = ("<s>", "</s>")


def prepare_an4(out: Path, *, root: Path, overwrite: bool = False) -> bool:
    """Write ``train_nodev``, ``train_dev`` and ``test`` below ``out``.

    Args:
        out: Folder of data directories.
        root: Folder with ``etc/`` and ``wav/``.
        overwrite: Write again what is up to date.

    Returns:
        False if everything was up to date.

    Raises:
        DataError: The corpus is not there or not whole.
    """
    train, test = (
        read_part(root, part, folder) for part, folder in (("train", "an4_clstk"), ("test", "an4test_clstk"))
    )
    size = held_out_size(VALID_UTTERANCES, len(train))
    sets = {"train_nodev": train[size:], "train_dev": train[:size], "test": test}
    return write_sets(out, sets, corpus="an4", overwrite=overwrite)


def read_part(root: Path, part: str, folder: str) -> list[Utterance]:
    """The utterances of ``etc/an4_<part>.transcription``, sorted by id; recordings that it does not list are left out.

    Raises:
        DataError: A line is no transcript, or has no recording below ``wav/<folder>``.
    """
    transcripts, speakers = [], {}
    for place, line in read_lines(root / "etc" / f"an4_{part}.transcription", remedy=REMEDY):
        found = LINE.fullmatch(line)
        if found is None:
            raise DataError(f"{place}: {line!r} is not '<s> WORDS </s> (name-speaker-b)'; {REMEDY}")
        text = " ".join(word for word in found["text"].split() if word not in MARKS)
        transcripts.append(Transcript(found["name"], text, place))
        speakers[found["name"]] = found["speaker"]
    recordings = {path.stem: path for path in (root / "wav" / folder).glob("*/*.sph")}
    matched = match_recordings(transcripts, recordings, remedy=REMEDY, every_recording=False)
    warn_if_incomplete(f"AN4 {part}", len(matched), root)
    utterances = [Utterance(_speaker_first(each.name), speakers[each.name], each.text, path) for each, path in matched]
    return sorted(utterances, key=lambda each: each.utt_id)


def _speaker_first(name: str) -> str:
    """``an251-fash-b`` is ``fash-an251-b``, as in ESPnet."""
    sentence, speaker, microphone = name.split("-")
    return f"{speaker}-{sentence}-{microphone}"
