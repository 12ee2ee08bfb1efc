"""Hours and utterances of the training sets of the recipes that come with the toolkit.

Those of LibriSpeech (Panayotov et al. 2015), TED-LIUM 2 (Rousseau et al. 2014, segments of its Kaldi recipe) and
LJSpeech (its page) are as published; Mini LibriSpeech has five of LibriSpeech's hours. AN4, kerstin and the sets that
the toolkit makes itself are counted: utterances by their lists, hours by the mean of those that were at hand.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.planning.amount import ASSUMED_SHARE, set_of_hours, typical_seconds
from tokenchain_toolkit.planning.sets import SetFacts
from tokenchain_toolkit.recipe.sets import TRAIN

SETS = {  # recipe -> name of a set -> hours and utterances
    "an4": {"train_nodev": (0.64, 848)},
    "fsdd": {"train": (1.4, 2500), "valid": (0.11, 200), "speechocean_adapt": (0.026, 30)},
    "kerstin": {"train": (1.55, 1174)},
    "librispeech": {"train_960": (960.9, 281_241)},
    "librispeech_100": {"train_clean_100": (100.6, 28_539)},
    "ljspeech": {"tr_no_dev": (23.0, 12_600)},
    "mini_librispeech": {"train_clean_5": (4.75, 1443)},
    "mini_synth": {"read_train": (2.52, 5000), "talk_train": (1.05, 2500), "read_valid": (0.1, 200)},
    "tedlium2": {"train": (207.0, 92_973), "train_clean_100": (100.6, 28_539)},
}


@cache
def frames_of_sets(recipe: str, names: tuple[str, ...], *, frame_rate: float) -> np.ndarray:
    """Frames of every utterance of these sets together, distributed as LibriSpeech's are around each set's mean.

    Args:
        recipe: Its name, that of the folder in ``egs2``.
        names: Of its sets.
        frame_rate: Frames per second.

    Raises:
        ConfigError: Nothing is known of one of them.
    """
    seconds = [typical_seconds(hours, mean_seconds=3600 * hours / count) for hours, count in _sizes(recipe, names)]
    return (np.concatenate(seconds) * frame_rate).astype(np.int64)


def hours_of_sets(recipe: str, names: tuple[str, ...]) -> float:
    """Hours of these sets together; arguments and errors as of ``frames_of_sets``."""
    return sum(hours for hours, _ in _sizes(recipe, names))


def published_sets(recipe: str, roles: Mapping[str, str]) -> list[SetFacts]:
    """Sets as large as published in the place of those that are not there yet; none where a training set is not known.

    Args:
        recipe: Its name, that of the folder in ``egs2``.
        roles: Set -> what it is for; a set that is not of ``SETS`` and not for training has ``ASSUMED_SHARE`` of them.
    """
    training = tuple(name for name, role in roles.items() if role == TRAIN)
    try:
        other = ASSUMED_SHARE * hours_of_sets(recipe, training)
    except ConfigError:
        return []
    sizes = dict(zip(training, _sizes(recipe, training), strict=True))
    return [set_of_hours(name, *sizes.get(name, (other, None))) for name in roles]


def _sizes(recipe: str, names: tuple[str, ...]) -> list[tuple[float, int]]:
    """Hours and utterances of each set."""
    known = SETS.get(recipe, {})
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            f"{recipe}: the size of {', '.join(unknown)} is not known here; add it to planning/corpus_sizes.py, or let "
            "the doctor look at the recipe's data/"
        )
    return [known[name] for name in names]
