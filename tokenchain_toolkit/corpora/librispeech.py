"""LibriSpeech and Mini LibriSpeech: English read from audiobooks, 16 kHz FLAC that is used where it lies.

A set is one published subset under its name with underscores (``train_clean_100``, ``test_other``), or several:
``train_960`` is all 960 hours of training, ``dev`` is dev-clean and dev-other, as in ESPnet. The set ``held_out`` is
made of some speakers of the training set, which then lacks them.

Text is as published: upper case without punctuation, apostrophes kept. The speaker is the reader, whatever the chapter.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenchain_toolkit.corpora.archives import LIBRISPEECH
from tokenchain_toolkit.corpora.published import warn_if_incomplete
from tokenchain_toolkit.corpora.utterances import (
    Transcript,
    Utterance,
    hold_out_speakers,
    match_recordings,
    read_lines,
    write_sets,
)
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.text.normalise import tidy

logger = logging.getLogger(__name__)

SETS: dict[str, tuple[str, ...]] = {
    **{subset.replace("-", "_"): (subset,) for subset in LIBRISPEECH},
    "train_460": ("train-clean-100", "train-clean-360"),
    "train_960": ("train-clean-100", "train-clean-360", "train-other-500"),
    "dev": ("dev-clean", "dev-other"),
}
HELD_OUT = "held_out"
TRANSCRIPTS = ".trans.txt"


def subsets_of(names: Iterable[str]) -> list[str]:
    """The published subsets that these sets are made of, each once.

    Raises:
        ConfigError: There is no such set.
    """
    subsets: list[str] = []
    for name in names:
        if name not in SETS and name != HELD_OUT:
            raise ConfigError(f"LibriSpeech has no set {name}; choose among {', '.join(SETS)} and {HELD_OUT}")
        subsets += [subset for subset in SETS.get(name, ()) if subset not in subsets]
    return subsets


def prepare_librispeech(
    out: Path, *, root: Path, train_set: str, valid_set: str, test_sets: Sequence[str], overwrite: bool = False
) -> bool:
    """Write the chosen sets below ``out``.

    Args:
        out: Folder of data directories.
        root: Folder that holds the subsets, such as ``train-clean-100``.
        train_set: A name in ``SETS``.
        valid_set: A name in ``SETS``, or ``held_out``.
        test_sets: Names in ``SETS``.
        overwrite: Write again what is up to date.

    Returns:
        False if everything was up to date.

    Raises:
        DataError: ``root`` lacks a subset, or a subset is not whole.
        ConfigError: There is no such set.
    """
    there = [subset for subset in LIBRISPEECH if (root / subset).is_dir()]
    carve = valid_set == HELD_OUT
    names = [name for name in dict.fromkeys([train_set, valid_set, *test_sets]) if name != HELD_OUT]
    if train_set == HELD_OUT or (HELD_OUT in test_sets and not carve):
        raise ConfigError(f"{HELD_OUT} is for validation; name it as --valid_set, too, or not at all")
    _check_presence(root, names, there)
    subsets = {subset: read_subset(root / subset) for subset in subsets_of(names)}
    for subset, utterances in subsets.items():
        warn_if_incomplete(subset, len(utterances), root / subset)
    sets = {name: [each for subset in SETS[name] for each in subsets[subset]] for name in names}
    if carve:
        sets[train_set], sets[HELD_OUT] = hold_out_speakers(sets[train_set])
        _tell_of_holding_out(sets, train_set)
    return write_sets(out, sets, corpus="librispeech", overwrite=overwrite)


def read_subset(folder: Path) -> list[Utterance]:
    """The utterances of one subset, from ``<speaker>/<chapter>/<speaker>-<chapter>.trans.txt`` and the FLAC beside it.

    Raises:
        DataError: The subset is not whole, or a file lies in another chapter's folder.
    """
    remedy = f"unpack {folder.name}.tar.gz anew"
    transcripts: list[Transcript] = []
    recordings: dict[str, Path] = {}
    for chapter in sorted(folder.glob("*/*")):
        prefix = f"{chapter.parent.name}-{chapter.name}"
        for path in sorted(chapter.glob("*")):
            if path.name.endswith(TRANSCRIPTS):
                for place, line in read_lines(path, remedy=remedy):
                    name, _, text = line.partition(" ")
                    transcripts.append(Transcript(name, tidy(text), place))
            elif path.suffix == ".flac":
                if not path.stem.startswith(f"{prefix}-"):
                    raise DataError(f"{path} is no recording of speaker and chapter {prefix}; {remedy}")
                recordings[path.stem] = path
    if not transcripts and not recordings:
        raise DataError(f"{folder} holds no <speaker>/<chapter>/*.flac; {remedy}")
    matched = match_recordings(transcripts, recordings, remedy=remedy)
    return [Utterance(each.name, each.name.partition("-")[0], each.text, path) for each, path in matched]


def _check_presence(root: Path, names: Sequence[str], there: Sequence[str]) -> None:
    """All subsets of these sets must be there."""
    for name in names:
        missing = [subset for subset in subsets_of([name]) if subset not in there]
        if missing:
            possible = [each for each in SETS if set(SETS[each]) <= set(there)]
            lacks = f"{root.absolute()} has no {' and no '.join(missing)}, which the set {name} is made of"
            below = [path.parent for path in sorted(root.glob(f"*/{missing[0]}"))]
            if below:
                raise DataError(f"{lacks}; {below[0].absolute()} has: name that folder in db.sh")
            raise DataError(
                f"{lacks}; name sets that "
                f"it has ({', '.join(possible) or 'none'}) with --train_set, --valid_set and --test_sets (--valid_set "
                f"{HELD_OUT} takes some speakers of the training set), or give another folder in db.sh (an empty one "
                "downloads what is needed)"
            )


def _tell_of_holding_out(sets: dict[str, list[Utterance]], train_set: str) -> None:
    held, kept = sets[HELD_OUT], sets[train_set]
    logger.info(
        "%s is made of %d speakers (%d utterances) of %s, which keeps the other %d utterances",
        HELD_OUT,
        len({each.speaker for each in held}),
        len(held),
        train_set,
        len(kept),
    )
