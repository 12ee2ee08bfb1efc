"""Disk of the stage data: archives that are downloaded, what they hold, and the audio that is written beside it."""

from collections.abc import Callable, Sequence

from tokenchain_toolkit.corpora.archives import AN4, LIBRISPEECH, LJSPEECH, TEDLIUM2, needed_bytes
from tokenchain_toolkit.corpora.download import Archive
from tokenchain_toolkit.corpora.librispeech import SETS, subsets_of
from tokenchain_toolkit.planning.corpora import used_variables
from tokenchain_toolkit.planning.estimates import StageEstimate
from tokenchain_toolkit.planning.recipe_run import RecipeRun

DOWNLOADS = "downloads"
SAMPLE_RATE, SAMPLE_BYTES = 16000, 2


def _of_librispeech(sets: Sequence[str]) -> list[Archive]:
    return [LIBRISPEECH[subset] for subset in subsets_of([name for name in sets if name in SETS])]


# Variable of db.sh -> what is downloaded where it is empty, by the sets that run.sh names.
ARCHIVES: dict[str, Callable[[Sequence[str]], list[Archive]]] = {
    "LIBRISPEECH": _of_librispeech,
    "MINI_LIBRISPEECH": _of_librispeech,
    "LJSPEECH": lambda sets: [LJSPEECH],
    "TEDLIUM2": lambda sets: [TEDLIUM2],
    "AN4": lambda sets: [AN4],
}
# Corpora whose utterances are written as 16-bit WAV at 16 kHz: resampled, cut out of talks, put together, or made.
WRITTEN = ("LJSPEECH", "KERSTIN", "TEDLIUM2", "FSDD", "MINI_SYNTH_SCALE")


def data_stage(run: RecipeRun, *, seconds: float) -> StageEstimate | None:
    """What stage data takes of the disk, at its height; None if that is nothing, or not known.

    Args:
        run: The recipe's commands.
        seconds: Speech of the sets that it makes itself.
    """
    variables = used_variables(run.root)
    lacking = [name for name, value in variables.items() if name in ARCHIVES and not value]
    archives = [archive for name in lacking for archive in ARCHIVES[name](list(run.roles))]
    fetched = needed_bytes(archives, run.root / DOWNLOADS)
    is_written = any(name in variables for name in WRITTEN) and not (run.data / "wav").is_dir()
    written = round(seconds * SAMPLE_RATE * SAMPLE_BYTES) if is_written else 0
    if not fetched + written:
        return None
    parts = ["archives and what they hold, for " + ", ".join(lacking)] if fetched else []
    parts += ["audio at 16 kHz"] if written else []
    return StageEstimate("data", 0.0, fetched + written, 0, f"{' and '.join(parts)}; its time is not reckoned")
