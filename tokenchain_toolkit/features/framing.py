"""The one framing rule: an utterance of n samples has ceil(n / hop) frames, each centred on its hop.

MFCC and the acoustic codec both use it, so their frame counts agree for every length.
Shapes: N samples, T frames, F frequency bins, M mel bands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def num_frames(num_samples: int, *, hop_length: int) -> int:
    """Frames of an utterance: the last, partly filled hop counts as one."""
    return -(-num_samples // hop_length)


def magnitude_spectrogram(
    samples_N: torch.Tensor, *, hop_length: int, window_N: torch.Tensor, n_fft: int
) -> torch.Tensor:
    """Magnitudes of the short-time Fourier transform.

    Args:
        samples_N: Mono audio, shape (N,) or, for utterances of equal length, (B, N).
        hop_length: Samples per frame, even.
        window_N: Analysis window, at most ``n_fft`` samples.
        n_fft: Samples per transform, even, at least ``hop_length``.

    Returns:
        Shape (T, n_fft // 2 + 1), behind B if there is one, with T = ceil(N / hop_length).
    """
    import torch

    length = samples_N.shape[-1]
    frames = num_frames(length, hop_length=hop_length)
    before = (n_fft - hop_length) // 2
    after = frames * hop_length - length + before
    padded = torch.nn.functional.pad(samples_N, (before, after))
    spectrum_FT = torch.stft(
        padded,
        n_fft,
        hop_length=hop_length,
        win_length=len(window_N),
        window=window_N,
        center=False,
        return_complex=True,
    )
    return spectrum_FT.abs().mT


def mel_matrix(*, n_fft: int, num_mels: int, sample_rate: int) -> torch.Tensor:
    """Triangular mel filters over the whole band, shape (n_fft // 2 + 1, num_mels)."""
    from torchaudio.functional import melscale_fbanks

    return melscale_fbanks(
        n_freqs=n_fft // 2 + 1, f_min=0.0, f_max=sample_rate / 2, n_mels=num_mels, sample_rate=sample_rate
    )
