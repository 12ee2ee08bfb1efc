"""What the report reads and how much of it is shown."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class ReportConfig:
    """Limits of the report.

    ``audio_megabytes`` bounds the embedded WAV data of the samples (as stored, a third larger than what it holds),
    ``ladder_megabytes`` that of the worst utterances of error ladders.
    """

    utterances_per_set: int = 8
    worst_per_experiment: int = 5
    audio_megabytes: float = 6.5
    ladder_megabytes: float = 6.5
    audio_sample_rate: int = 16000


@dataclass(frozen=True)
class ReportInputs:
    """Folders of one recipe; ``data`` and ``dump`` need not exist."""

    exp: Path
    data: Path
    dump: Path
