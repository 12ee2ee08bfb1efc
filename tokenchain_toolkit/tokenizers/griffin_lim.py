"""From mel magnitudes to audio: non-negative mel inversion, then phase reconstruction.

Shapes: N samples, T frames, F frequency bins, M mel bands.
"""

from typing import Any

import torch

INVERSION_STEPS = 30
TINY = 1e-8


def invert_mel(mel_TM: torch.Tensor, mel_FM: torch.Tensor) -> torch.Tensor:
    """Non-negative magnitudes whose mel bands come close to ``mel_TM``.

    The clamped pseudo-inverse starts, and multiplicative least-squares steps, which keep the sign, refine it.

    Args:
        mel_TM: Mel magnitudes, positive.
        mel_FM: Mel filters.

    Returns:
        Shape (T, F).
    """
    magnitudes_TF = (mel_TM @ torch.linalg.pinv(mel_FM)).clamp(min=TINY)
    target_TF = mel_TM @ mel_FM.T
    for _ in range(INVERSION_STEPS):
        magnitudes_TF = magnitudes_TF * target_TF / (magnitudes_TF @ mel_FM @ mel_FM.T).clamp(min=TINY)
    return magnitudes_TF


def griffin_lim(
    magnitudes_TF: torch.Tensor, *, window_N: torch.Tensor, hop_length: int, iterations: int, momentum: float
) -> torch.Tensor:
    """Audio whose spectrogram has these magnitudes (fast Griffin-Lim, Perraudin et al. 2013).

    Args:
        magnitudes_TF: Frames centred on their hops, as ``features/framing.py`` makes them.
        window_N: Window of n_fft samples.
        hop_length: Samples per frame, even.
        iterations: Projections between audio and magnitudes.
        momentum: In [0, 1).

    Returns:
        T * hop_length samples.
    """
    # torch centres frame t on sample t * hop, we on the middle of hop t: one more frame at either end and half a hop
    # cut off afterwards make the two agree.
    magnitudes_FT = torch.cat([magnitudes_TF[:1], magnitudes_TF, magnitudes_TF[-1:]]).T
    length = (magnitudes_FT.shape[1] - 1) * hop_length
    transform: dict[str, Any] = {"n_fft": len(window_N), "hop_length": hop_length, "window": window_N}
    # A fixed seed: the same codes always give the same audio.
    generator = torch.Generator().manual_seed(0)
    phases = 2 * torch.pi * torch.rand(magnitudes_FT.shape, generator=generator)
    directions_FT = torch.polar(torch.ones_like(phases), phases)
    previous_FT = torch.zeros_like(directions_FT)
    for _ in range(iterations):
        samples_N = torch.istft(magnitudes_FT * directions_FT, length=length, **transform)
        rebuilt_FT = torch.stft(samples_N, pad_mode="constant", return_complex=True, **transform)
        moved_FT = rebuilt_FT - momentum / (1 + momentum) * previous_FT
        directions_FT = moved_FT / moved_FT.abs().clamp(min=TINY)
        previous_FT = rebuilt_FT
    samples_N = torch.istft(magnitudes_FT * directions_FT, length=length, **transform)
    return samples_N[hop_length // 2 : length - hop_length // 2]
