"""How much speech a recipe is going to train on: from its sets, or while there are none, from a number of hours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.planning.recipe import Settings, TokenSizes, expected_sizes
from tokenchain_toolkit.planning.sets import SetFacts, is_extracted
from tokenchain_toolkit.planning.text_fit import CtcFacts, frames_per_unit_of

VALID_WORDS = ("valid", "dev")
ASSUMED_VALID_SHARE = 0.03
LIBRISPEECH_MEAN_SECONDS = 12.3


@dataclass(frozen=True)
class ExpectedSpeech:
    """Semantic frames of every utterance of the training and the validation set.

    Attributes:
        name: Of the training set.
        sizes: Numbers of tokens.
        train: As S2A has them.
        valid: As S2A has them.
        train_units: As ASR and T2S have them; other than ``train`` where they work on units.
        valid_units: Those of the validation set.
        all_seconds: Audio of all sets.
    """

    name: str
    sizes: TokenSizes
    train: np.ndarray
    valid: np.ndarray
    train_units: np.ndarray
    valid_units: np.ndarray
    all_seconds: float


def typical_seconds(hours: float, *, mean_seconds: float = LIBRISPEECH_MEAN_SECONDS) -> np.ndarray:
    """Durations that sum up to about so many hours: most around 14 s and a quarter spread below, as in LibriSpeech.

    Args:
        hours: Of all utterances.
        mean_seconds: Of an utterance; the distribution is scaled to it.
    """
    random = np.random.default_rng(0)
    count = max(round(3600 * hours / mean_seconds), 1)
    bulk, spread = np.clip(random.normal(14.2, 1.4, count), 1.5, 17), random.uniform(1.5, 12, count)
    drawn = np.where(random.random(count) < 0.25, spread, bulk)
    return drawn * (mean_seconds / drawn.mean())


def speech_of_hours(hours: float, settings: Settings) -> ExpectedSpeech:
    """So many hours of read speech."""
    sizes = expected_sizes(settings, None, None)
    seconds = typical_seconds(hours)
    frames = (seconds * sizes.frame_rate).astype(np.int64)
    few = frames[: round(ASSUMED_VALID_SHARE * len(frames))]
    return ExpectedSpeech(
        f"{hours:g} h of training speech", sizes, frames, few, frames, few, all_seconds=float(seconds.sum())
    )


def speech_of_sets(
    sets: Sequence[SetFacts],
    ctc: Sequence[CtcFacts],
    train_set: str,
    valid_set: str,
    *,
    settings: Settings,
    dump: Path | None,
) -> ExpectedSpeech:
    """The sets of ``data/``.

    Args:
        sets: All of them, at least one.
        ctc: What is known of their texts.
        train_set: Name of the training set; the one with the most hours if empty.
        valid_set: Name of the validation set; the one that is named like one if empty.
        settings: Of the recipe.
        dump: Folder of the tokens, if it is known.

    Raises:
        ConfigError: A set that is named is not there.
    """
    train = training_set(sets, train_set)
    valid = _named(sets, valid_set) or next((each for each in sets if _looks_like_validation(each.name)), None)
    tokens = dump / train.name if dump is not None else None
    sizes = expected_sizes(settings, tokens, frames_per_unit_of(ctc, train.name))
    frames = {each.name: (each.all_seconds() * sizes.frame_rate).astype(np.int64) for each in (train, valid) if each}
    units = {name: _units(name, dump, settings, frames[name]) for name in frames}
    none, valid_name = np.zeros(0, np.int64), valid.name if valid else ""
    return ExpectedSpeech(
        name=f"training set {train.name}, {train.hours:.3g} hours",
        sizes=sizes,
        train=frames[train.name],
        valid=frames.get(valid_name, none),
        train_units=units[train.name],
        valid_units=units.get(valid_name, none),
        all_seconds=3600 * sum(each.hours for each in sets),
    )


def training_set(sets: Sequence[SetFacts], name: str) -> SetFacts:
    """The set of that name, or the one with the most hours if it is empty.

    Raises:
        ConfigError: It is not there.
    """
    return _named(sets, name) or max(sets, key=lambda facts: facts.hours)


def _named(sets: Sequence[SetFacts], name: str) -> SetFacts | None:
    """The set of that name; None if none is asked for.

    Raises:
        ConfigError: It is not there.
    """
    chosen = [facts for facts in sets if facts.name == name]
    if name and not chosen:
        raise ConfigError(f"the data holds no set {name}; it has {', '.join(facts.name for facts in sets)}")
    return chosen[0] if chosen else None


def _looks_like_validation(name: str) -> bool:
    return any(word in name for word in VALID_WORDS)


def _units(name: str, dump: Path | None, settings: Settings, frames: np.ndarray) -> np.ndarray:
    """Units of every utterance of a set; its frames where there are no units, or they are not made yet."""
    if dump is None or not settings.has_units or not is_extracted(dump / f"{name}_units"):
        return frames
    return read_dump(dump / f"{name}_units").lengths
