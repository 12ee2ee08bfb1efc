"""Reading and writing audio files through soundfile."""

from pathlib import Path

import numpy as np
import soundfile

from tokenchain_toolkit.errors import DataError


def read_audio(path: str | Path, *, sample_rate: int, speed: float = 1.0) -> np.ndarray:
    """Read a file as mono float32 in [-1, 1] at ``sample_rate``.

    Several channels are averaged; another rate is resampled (torchaudio, windowed sinc).

    Args:
        path: Audio file.
        sample_rate: Hz.
        speed: Factor at which it is played; above 1 is shorter and higher.

    Returns:
        Samples, shape (num_samples,).

    Raises:
        DataError: The file is missing, unreadable or empty, or holds samples that are not finite.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such audio file; mend its line in wav.scp")
    try:
        samples_TC, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise DataError(f"{path}: not readable as audio ({error}); re-encode it, or remove the utterance") from error
    if not len(samples_TC):
        raise DataError(f"{path}: holds no samples; remove the utterance")
    if not np.isfinite(samples_TC).all():
        raise DataError(f"{path}: holds NaN or infinite samples; re-encode it, or remove the utterance")
    samples_T = samples_TC.mean(axis=1)
    played_rate = round(rate * speed)
    return samples_T if played_rate == sample_rate else resample(samples_T, played_rate, sample_rate)


def resample(samples_T: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resample mono audio with torchaudio's windowed sinc filter."""
    import torch
    import torchaudio.functional

    return torchaudio.functional.resample(torch.from_numpy(samples_T), from_rate, to_rate).numpy()


def write_audio(path: Path, samples_T: np.ndarray, *, sample_rate: int) -> None:
    """Write mono 16-bit WAV; what is louder than 0.99 is scaled back to it, so that nothing clips.

    Raises:
        DataError: A sample is not a finite number.
    """
    if not np.isfinite(samples_T).all():
        raise DataError(f"{path}: what is to be written holds NaN or infinite samples; look at the model that made it")
    peak = float(np.abs(samples_T).max(initial=0.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples_T / max(peak / 0.99, 1.0), sample_rate, subtype="PCM_16", format="WAV")
