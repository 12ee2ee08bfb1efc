"""How far semantic tokens change with what does not change the words: noise, gain, speed, reverberation.

Shapes: N samples, T frames.
"""

from collections.abc import Callable, Mapping

import numpy as np

from tokenchain_toolkit.data.audio import resample

REVERBERATION_SECONDS = 0.4  # until the echo has fallen by 60 dB
DIRECT_TO_ECHO = 1.0  # energy of the direct sound, relative to that of the echo


def add_noise(samples_N: np.ndarray, generator: np.random.Generator, *, snr_db: float) -> np.ndarray:
    """White noise at a signal-to-noise ratio."""
    power = float(np.square(samples_N).mean())
    scale = np.float32(np.sqrt(power / 10 ** (snr_db / 10)))
    return samples_N + scale * generator.standard_normal(len(samples_N), dtype=np.float32)


def change_gain(samples_N: np.ndarray, *, gain_db: float) -> np.ndarray:
    """Louder or softer."""
    return samples_N * np.float32(10 ** (gain_db / 20))


def reverberate(samples_N: np.ndarray, generator: np.random.Generator, *, sample_rate: int) -> np.ndarray:
    """An echo of noise that decays exponentially, as loud as the direct sound, and as many samples as before."""
    from scipy.signal import fftconvolve

    time_N = np.arange(int(REVERBERATION_SECONDS * sample_rate)) / sample_rate
    echo_N = generator.standard_normal(len(time_N)) * 10 ** (-3 * time_N / REVERBERATION_SECONDS)
    response_N = DIRECT_TO_ECHO**-0.5 * echo_N / np.sqrt(np.square(echo_N).sum())
    response_N[0] += 1.0
    return fftconvolve(samples_N, response_N)[: len(samples_N)].astype(np.float32)


def distortions(*, sample_rate: int, seed: int = 0) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The distortions that are reported, by name; the same samples and seed give the same result."""

    def generator() -> np.random.Generator:
        return np.random.default_rng(seed)

    return {
        "noise 20 dB": lambda samples_N: add_noise(samples_N, generator(), snr_db=20),
        "noise 10 dB": lambda samples_N: add_noise(samples_N, generator(), snr_db=10),
        "gain -12 dB": lambda samples_N: change_gain(samples_N, gain_db=-12),
        "speed 1.1": lambda samples_N: resample(samples_N, round(1.1 * sample_rate), sample_rate),
        "reverberation": lambda samples_N: reverberate(samples_N, generator(), sample_rate=sample_rate),
    }


def unit_edit_distance(expected: list[np.ndarray], found: list[np.ndarray]) -> float:
    """Edits between de-duplicated tokens per unit of the first ones (after Gat et al. 2023, who divide by frames).

    Args:
        expected: Tokens of the clean utterances, each of shape (T,).
        found: Those of the distorted ones.
    """
    from rapidfuzz.distance import Levenshtein

    edits = units = 0
    for expected_T, found_T in zip(expected, found, strict=True):
        left, right = _runs(expected_T), _runs(found_T)
        edits += Levenshtein.distance(left, right)
        units += len(left)
    return edits / max(units, 1)


def robustness(
    tokens_of: Callable[[np.ndarray], np.ndarray], samples: list[np.ndarray], *, sample_rate: int
) -> Mapping[str, float]:
    """Unit edit distance under each distortion.

    Args:
        tokens_of: Semantic tokens of one utterance.
        samples: Utterances, each of shape (N,).
        sample_rate: Hz.
    """
    clean = [tokens_of(samples_N) for samples_N in samples]
    return {
        name: unit_edit_distance(clean, [tokens_of(distort(samples_N)) for samples_N in samples])
        for name, distort in distortions(sample_rate=sample_rate).items()
    }


def _runs(tokens_T: np.ndarray) -> list[int]:
    return tokens_T[np.flatnonzero(np.diff(tokens_T, prepend=-1))].tolist()
