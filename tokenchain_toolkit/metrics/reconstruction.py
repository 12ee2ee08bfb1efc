"""How well a codec rebuilds speech: PESQ, STOI, mel distance, gross pitch error.

Shapes: N samples, T frames, M mel bands.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from tokenchain_toolkit.data.audio import resample
from tokenchain_toolkit.errors import MissingDependencyError
from tokenchain_toolkit.features.framing import magnitude_spectrogram, mel_matrix

RATE = 16000  # Hz; PESQ wide-band and STOI are defined near it, so all measures are taken at it
HOP, FFT, MELS, FLOOR = 320, 1024, 80, 1e-3
PITCH_STEP_MS = 10.0
GROSS = 0.2  # relative deviation of the pitch that counts as an error


@dataclass(frozen=True)
class Reconstruction:
    """Means over the utterances.

    Attributes:
        pesq: Wide-band PESQ (ITU-T P.862.2), 1 to 4.6; higher is better. NaN if no utterance was long enough.
        stoi: Short-time objective intelligibility, up to 1; higher is better.
        mel_distance: Root mean square difference of log-mel frames in dB; lower is better.
        gross_pitch_error: Share of the frames voiced in both whose pitch is off by more than 20 %; lower is better.
    """

    pesq: float
    stoi: float
    mel_distance: float
    gross_pitch_error: float


def measure_reconstruction(
    originals: list[np.ndarray], rebuilt: list[np.ndarray], *, original_rate: int, rebuilt_rate: int
) -> Reconstruction:
    """Compare utterances with what a codec made of them.

    Args:
        originals: Each of shape (N,).
        rebuilt: The same utterances; a difference in length at the end is cut off.
        original_rate: Hz.
        rebuilt_rate: Hz.

    Raises:
        MissingDependencyError: pesq, pystoi or pyworld is not installed.
    """
    try:
        import pesq
        import pystoi

        with warnings.catch_warnings():  # pyworld asks for its own version in a way that setuptools will drop
            warnings.simplefilter("ignore")
            import pyworld  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"measuring speech needs the packages of the extra 'metrics' ({error}); install them by "
            "'tools/install.sh .venv dev metrics'"
        ) from error
    scores: list[tuple[float, float, float]] = []
    gross = voiced = 0
    for original_N, rebuilt_N in zip(originals, rebuilt, strict=True):
        left_N, right_N = _at_rate(original_N, original_rate), _at_rate(rebuilt_N, rebuilt_rate)
        length = min(len(left_N), len(right_N))
        left_N, right_N = left_N[:length], right_N[:length]
        try:
            quality = float(pesq.pesq(RATE, left_N, right_N, "wb"))
        except pesq.PesqError:  # no speech found, or less than a quarter of a second
            quality = float("nan")
        scores.append((quality, float(pystoi.stoi(left_N, right_N, RATE)), mel_distance(left_N, right_N)))
        errors, both = _pitch_errors(left_N, right_N)
        gross, voiced = gross + errors, voiced + both
    known = [quality for quality, _, _ in scores if not np.isnan(quality)]
    _, stoi, distance = np.mean(np.array(scores), axis=0)
    return Reconstruction(
        pesq=float(np.mean(known)) if known else float("nan"),
        stoi=float(stoi),
        mel_distance=float(distance),
        gross_pitch_error=gross / max(voiced, 1),
    )


def mel_distance(left_N: np.ndarray, right_N: np.ndarray) -> float:
    """Root mean square difference in dB of the log-mel frames of two sounds of equal length at 16 kHz."""
    frames = []
    for samples_N in (left_N, right_N):
        magnitudes_TF = magnitude_spectrogram(
            torch.from_numpy(samples_N), hop_length=HOP, window_N=torch.hann_window(FFT), n_fft=FFT
        )
        mel_TM = magnitudes_TF @ mel_matrix(n_fft=FFT, num_mels=MELS, sample_rate=RATE)
        frames.append(20 * mel_TM.clamp_min(FLOOR).log10())
    return float((frames[0] - frames[1]).square().mean().sqrt())


def _pitch_errors(left_N: np.ndarray, right_N: np.ndarray) -> tuple[int, int]:
    """Frames voiced in both whose pitches differ grossly, and all frames voiced in both."""
    import pyworld

    pitches = []
    for samples_N in (left_N, right_N):
        samples = samples_N.astype(np.float64)
        pitch_T, time_T = pyworld.dio(samples, RATE, frame_period=PITCH_STEP_MS)
        pitches.append(pyworld.stonemask(samples, pitch_T, time_T, RATE))
    both_T = (pitches[0] > 0) & (pitches[1] > 0)
    ratio_T = pitches[1][both_T] / pitches[0][both_T]
    return int((np.abs(ratio_T - 1) > GROSS).sum()), int(both_T.sum())


def _at_rate(samples_N: np.ndarray, rate: int) -> np.ndarray:
    return samples_N if rate == RATE else resample(samples_N, rate, RATE)
