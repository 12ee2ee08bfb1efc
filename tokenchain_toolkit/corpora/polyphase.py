"""Resampling of many short files between the same two rates.

torchaudio designs its filter anew at each call and convolves with every phase; on corpora of thousands of short files
that costs more than the synthesis.
"""

import math
from functools import lru_cache

import numpy as np


def resample_polyphase(samples_T: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resample mono audio with a polyphase Kaiser filter.

    Args:
        samples_T: Samples, shape (num_samples,).
        from_rate: Their rate in Hz.
        to_rate: Wanted rate in Hz.

    Returns:
        float32 samples, shape (ceil(num_samples * to_rate / from_rate),).
    """
    from scipy.signal import resample_poly

    if from_rate == to_rate:
        return samples_T.astype(np.float32)
    divisor = math.gcd(from_rate, to_rate)
    up, down = to_rate // divisor, from_rate // divisor
    return resample_poly(samples_T.astype(np.float32), up, down, window=_low_pass(max(up, down)))


@lru_cache
def _low_pass(factor: int) -> np.ndarray:
    """Filter that cuts at 1/``factor`` of the upsampled band, shape (num_taps,)."""
    from scipy.signal import firwin

    return firwin(20 * factor + 1, 1.0 / factor, window=("kaiser", 5.0)).astype(np.float32)
