"""Audio on its way into a measure: faulty files are refused before anything is measured, empty ones are named.

Shapes: N samples.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.data.audio_scan import AudioRules, scan_audio
from tokenchain_toolkit.data.kaldi import DataDir
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics.measurement import UnmeasurableError

RATE = 16000  # Hz; every measure of speech here is taken at it
MIN_SECONDS = 0.1
SILENCE = 1e-3  # peak, 60 dB below full scale; what is softer holds no speech that a measure could judge
SHOWN = 5


@dataclass(frozen=True)
class Speech:
    """Audio to measure, utt_id -> file in sorted order, and the natural speech that holds the same utterances."""

    wavs: dict[str, str]
    natural: DataDir


def check_audio(paths: Iterable[str]) -> None:
    """Read every file once, so that a fault stops the command before the first measure and not after the last.

    Raises:
        DataError: Files are missing, cut off or not readable; the first few are named.
    """
    rules = AudioRules(min_seconds=0.0, max_seconds=float("inf"), allow_resample=True)
    faults = []
    for path in sorted(set(paths)):
        scan = scan_audio(path, rules=rules)
        if scan.problems and not _is_empty(path):
            faults.append(f"{path} {scan.problems[0][0]}")
    if faults:
        more = f", and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise DataError(
            f"{len(faults)} audio files cannot be measured: {'; '.join(faults[:SHOWN])}{more}; "
            "make them again, or remove their utterances from wav.scp"
        )


def read_speech(path: str) -> np.ndarray:
    """Samples of one file at 16 kHz, shape (N,), within [-1, 1].

    Raises:
        UnmeasurableError: It is too short or silent.
        DataError: It is missing or not readable; `check_audio` finds that earlier.
    """
    if _is_empty(path):
        raise UnmeasurableError("holds no samples")
    samples_N = read_audio(path, sample_rate=RATE)
    if len(samples_N) < MIN_SECONDS * RATE:
        raise UnmeasurableError(f"is shorter than {MIN_SECONDS:g} s ({len(samples_N) / RATE:.2f} s)")
    if np.abs(samples_N).max() < SILENCE:
        raise UnmeasurableError("is silent: all samples lie 60 dB or more below full scale")
    return np.clip(samples_N, -1.0, 1.0)  # resampling goes beyond a little where the recording is at full scale


def _is_empty(path: str) -> bool:
    """Whether a readable file holds no samples at all, as speech does that ended before it began."""
    import soundfile

    try:
        return Path(path).is_file() and not soundfile.info(path).frames
    except (soundfile.SoundFileError, TypeError):  # TypeError: soundfile asks for the rate of headerless audio
        return False
