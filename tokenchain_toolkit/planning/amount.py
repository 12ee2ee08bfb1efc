"""How much speech the stages of a recipe work on: its sets and what is made of them, in semantic frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tokenchain_toolkit.data.token_dump import SEMANTIC, read_dump
from tokenchain_toolkit.planning.recipe_run import RecipeRun
from tokenchain_toolkit.planning.sets import SetFacts, is_extracted
from tokenchain_toolkit.recipe.commands import StageCommand
from tokenchain_toolkit.recipe.sets import TRAIN

ASSUMED_SHARE = 0.03  # of the training speech, in each other set that is not there yet
LIBRISPEECH_MEAN_SECONDS = 12.3


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


def sets_of_hours(hours: float, roles: dict[str, str]) -> list[SetFacts]:
    """Sets of read speech in the place of those that are not there yet.

    Args:
        hours: Of all training sets together; each other set has ``ASSUMED_SHARE`` of them.
        roles: Set -> what it is for.
    """
    num_training = sum(role == TRAIN for role in roles.values())
    return [
        set_of_hours(name, hours / num_training if role == TRAIN else ASSUMED_SHARE * hours)
        for name, role in roles.items()
    ]


def set_of_hours(name: str, hours: float, num_utts: int | None = None) -> SetFacts:
    """A set of so many hours and utterances; where their number is not known, they are as long as LibriSpeech's."""
    mean_seconds = 3600 * hours / num_utts if num_utts else LIBRISPEECH_MEAN_SECONDS
    seconds = typical_seconds(hours, mean_seconds=mean_seconds)
    known = {f"{name}{number}": float(each) for number, each in enumerate(seconds)}
    return SetFacts(name, len(known), known, is_sampled=False)


class Amounts:
    """Frames of every utterance of data directories, dumps and folders of audio, by the paths in a recipe's commands.

    A dump that is there is measured. Of any other path the frames are those of what it is to be made from.

    Args:
        run: The recipe's commands.
        sets: Those of ``data/``.
        frame_rate: Semantic frames per second.
    """

    def __init__(self, run: RecipeRun, sets: Sequence[SetFacts], *, frame_rate: float):
        self.root, self.frame_rate = run.root, frame_rate
        self._of_sets = {each.name: (each.all_seconds() * frame_rate).astype(np.int64) for each in sets}
        self._made: dict[str, np.ndarray] = {}
        self._measured: dict[str, np.ndarray] = {}
        for command in run.commands:
            self._follow(command)

    def _follow(self, command: StageCommand) -> None:
        """Note what a command makes, if it makes tokens or audio of tokens or audio."""
        out = command.one("out")
        if out is None:
            return
        if command.name in ("convert_units", "decode_t2s"):
            self._made[out] = self.of(command.one("dump"))
        elif command.name == "extract_tokens":
            self._made[out] = self.of(command.one("data"))
        elif command.name == "synthesize":
            frames, most = self.of(command.one("dump")), command.one("max_utts")
            count = len(frames) if most is None else min(int(most), len(frames))
            self._made[out] = frames[np.linspace(0, len(frames) - 1, count).astype(int)]

    def of(self, *paths: str | None) -> np.ndarray:
        """Frames of the utterances of all of these; none of one that nothing is known of."""
        return np.concatenate([np.zeros(0, np.int64), *(self._of(path) for path in paths if path is not None)])

    def _of(self, path: str) -> np.ndarray:
        if path in self._measured:
            return self._measured[path]
        if is_extracted(self.root / path) and (self.root / path / f"{SEMANTIC}.scp").is_file():
            return self._measured.setdefault(path, read_dump(self.root / path).lengths)
        # A dump that is another recipe's is no command's output here; it is named like its set.
        return self._made.get(path, self._of_sets.get(Path(path).name.removesuffix("_units"), np.zeros(0, np.int64)))
