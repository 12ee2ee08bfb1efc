"""The sets of a recipe: utterances and hours, from tokens where they are extracted, else from the headers of audio."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.data.stage_folder import DONE
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.planning.findings import FAIL, OK, Finding

SAMPLED_FILES = 200
NAMED = 5


@dataclass(frozen=True)
class SetFacts:
    """One set of ``data/``.

    Attributes:
        name: Its folder's name.
        num_utts: Utterances.
        seconds: utt_id -> duration: of every utterance, or of a sample of them.
        is_sampled: Whether it is a sample.
        unreadable: Sampled utterances whose file could not be opened.
    """

    name: str
    num_utts: int
    seconds: dict[str, float]
    is_sampled: bool
    unreadable: tuple[str, ...] = ()

    @property
    def hours(self) -> float:
        """Hours of the whole set, estimated from the sample where it is one."""
        return float(np.mean([*self.seconds.values()])) * self.num_utts / 3600 if self.seconds else 0.0

    def all_seconds(self) -> np.ndarray:
        """A duration for every utterance; a sample is drawn from again."""
        known = np.array([*self.seconds.values()], dtype=float)
        return np.random.default_rng(0).choice(known, self.num_utts) if self.is_sampled and len(known) else known


def read_sets(data: Path, dump: Path | None) -> list[SetFacts]:
    """Facts of every set.

    Args:
        data: Folder of the data directories.
        dump: Folder of the token dumps of one tokenizer, if it is known.

    Raises:
        DataError: A table or a dump cannot be read.
    """
    return [_read_set(scp.parent, dump) for scp in sorted(data.glob("*/wav.scp"))]


def _read_set(folder: Path, dump: Path | None) -> SetFacts:
    wavs = read_table(folder / "wav.scp")
    if dump is not None and is_extracted(dump / folder.name):
        tokens = read_dump(dump / folder.name)
        rate = float(tokens.manifest["semantic"]["frame_rate"])
        known = dict(zip(tokens.utt_ids, (tokens.lengths / rate).tolist(), strict=True))
        return SetFacts(folder.name, len(wavs), known, is_sampled=False)
    chosen = sorted(wavs)[:: max(1, len(wavs) // SAMPLED_FILES)]
    found = {utt_id: _duration(wavs[utt_id]) for utt_id in chosen}
    return SetFacts(
        name=folder.name,
        num_utts=len(wavs),
        seconds={utt_id: seconds for utt_id, seconds in found.items() if seconds is not None},
        is_sampled=len(chosen) < len(wavs),
        unreadable=tuple(utt_id for utt_id, seconds in found.items() if seconds is None),
    )


def is_extracted(dump: Path) -> bool:
    """Whether a set's dump is complete."""
    return (dump / DONE).is_file()


def _duration(path: str) -> float | None:
    """Seconds of an audio file by its header; None if it cannot be read."""
    import soundfile

    try:
        return float(soundfile.info(path).duration)
    except (soundfile.SoundFileError, TypeError):
        return None


def describe_set(facts: SetFacts, data: Path, *, role: str = "") -> Finding:
    """Hours and utterances of a set of ``data`` in one line, and what the set is for, if that is told."""
    check = str(data / facts.name)
    if not facts.num_utts:
        return Finding(check, FAIL, "holds no utterances", "run stage data again")
    if facts.unreadable:
        found = f"{len(facts.unreadable)} of {len(facts.unreadable) + len(facts.seconds)} audio files looked at"
        return Finding(
            check, FAIL, f"{found} cannot be read, such as of {named(facts.unreadable)}", "stage validate names all"
        )
    how = f", by {len(facts.seconds)} of its files" if facts.is_sampled else ""
    mean = facts.hours * 3600 / facts.num_utts
    purpose = f"; {role}" if role else ""
    amount = f"{facts.num_utts:,} utterances, {facts.hours:.3g} hours (mean {mean:.1f} s{how})"
    return Finding(check, OK, amount + purpose)


def named(utt_ids: Sequence[str]) -> str:
    """The first few of a list of names."""
    return ", ".join(utt_ids[:NAMED])
