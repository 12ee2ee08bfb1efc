"""From the spectral codec's log-mel frames to the magnitude spectrogram from which Griffin-Lim makes audio.

The codes give one mel spectrum for each hop. The network sees the frames around it, so it can smooth out what the
quantization of each frame alone got wrong, fill in the harmonics that a mel band holds several of, and say how the
sound moves within a hop. It learns what to add to the straight lines between the mel bands, so that it is of use after
a minute. Its blocks are those of ConvNeXt (Liu et al. 2022), as in Vocos (Siuzdak 2023); the phases are Griffin-Lim's,
because a network that is to learn them needs a discriminator and hours.

Shapes: B utterances, T frames, S fine frames of each, M mel bands, D features, F frequency bins, N samples.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tokenchain_toolkit.config.tokenizer import HeadConfig
from tokenchain_toolkit.features.framing import magnitude_spectrogram

POWER = 0.5  # of the magnitudes that the loss compares: between the ear's logarithm and what carries the energy


class _Block(nn.Module):
    """Depthwise convolution over time, then a narrow-wide-narrow pair of layers on each frame, added to the input."""

    def __init__(self, config: HeadConfig):
        super().__init__()
        dim = config.hidden_dim
        self.depthwise = nn.Conv1d(dim, dim, config.kernel_size, padding=config.kernel_size // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, config.expansion * dim)
        self.narrow = nn.Linear(config.expansion * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), 1 / config.num_layers))

    def forward(self, hidden_BTD: torch.Tensor) -> torch.Tensor:
        mixed_BTD = self.norm(self.depthwise(hidden_BTD.mT).mT)
        return hidden_BTD + self.scale * self.narrow(F.gelu(self.widen(mixed_BTD)))


class SpectralHead(nn.Module):
    """The network.

    Args:
        config: Sizes, and the fine spectrogram.
        mel_FM: The codec's mel filters, at the bins of its own, coarser spectrogram.
        hop_length: Samples of a frame of the codec, a multiple of the fine hop.
    """

    mean_M: torch.Tensor
    scale_M: torch.Tensor
    window_N: torch.Tensor

    def __init__(self, config: HeadConfig, *, mel_FM: torch.Tensor, hop_length: int):
        super().__init__()
        self.config = config
        self.hop_length = hop_length
        self.fine_frames = hop_length // config.hop_length
        self.register_buffer("mean_M", torch.zeros(mel_FM.shape[1]))
        self.register_buffer("scale_M", torch.ones(mel_FM.shape[1]))
        self.register_buffer("window_N", torch.hann_window(config.n_fft), persistent=False)
        dim, kernel, num_mels = config.hidden_dim, config.kernel_size, mel_FM.shape[1]
        self.first = nn.Conv1d(num_mels, dim, kernel, padding=kernel // 2)
        self.first_norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.num_layers))
        self.last_norm = nn.LayerNorm(dim)
        self.last = nn.Linear(dim, self.fine_frames * (config.n_fft // 2 + 1))
        self.skip = nn.Linear(num_mels, self.fine_frames * (config.n_fft // 2 + 1))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self._start_from(mel_FM)

    @torch.no_grad()
    def _start_from(self, mel_FM: torch.Tensor) -> None:
        """Let the skip connection draw straight lines, over frequency, from each mel band's level to the next."""
        num_bins = self.config.n_fft // 2 + 1
        peaks_M = mel_FM.argmax(0) / (len(mel_FM) - 1)
        place_F = torch.linspace(0, 1, num_bins).clamp(min=float(peaks_M[0]), max=float(peaks_M[-1]))
        right_F = torch.searchsorted(peaks_M, place_F).clamp(1, len(peaks_M) - 1)
        gap_F = (peaks_M[right_F] - peaks_M[right_F - 1]).clamp(min=1 / len(mel_FM))
        share_F = ((place_F - peaks_M[right_F - 1]) / gap_F).clamp(0, 1)
        lines_FM = torch.zeros(num_bins, mel_FM.shape[1])
        lines_FM.scatter_(1, right_F[:, None], share_F[:, None])
        lines_FM.scatter_(1, right_F[:, None] - 1, 1 - share_F[:, None])
        # A band sums over its bins, and a longer window over more samples.
        level_F = -lines_FM @ mel_FM.sum(0).log() + math.log(num_bins / len(mel_FM))
        self.skip.weight.copy_(lines_FM.repeat(self.fine_frames, 1))
        self.skip.bias.copy_(level_F.repeat(self.fine_frames))

    def set_scale(self, log_mel_NM: torch.Tensor) -> None:
        """Bring inputs like these to zero mean and unit variance."""
        self.mean_M.copy_(log_mel_NM.mean(0))
        self.scale_M.copy_(1 / log_mel_NM.std(0).clamp(min=1e-3))

    def forward(self, log_mel_BTM: torch.Tensor) -> torch.Tensor:
        """Log magnitudes of the fine spectrogram, shape (B, T * S, F)."""
        found_BTX = self.skip(log_mel_BTM) + self.last(self.hidden(log_mel_BTM))
        return found_BTX.unflatten(2, (self.fine_frames, -1)).flatten(1, 2)

    def hidden(self, log_mel_BTM: torch.Tensor) -> torch.Tensor:
        """What the blocks make of the frames, shape (B, T, D)."""
        inputs_BTM = (log_mel_BTM - self.mean_M) * self.scale_M
        hidden_BTD = self.first_norm(self.first(inputs_BTM.mT).mT)
        for block in self.blocks:
            hidden_BTD = block(hidden_BTD)
        return self.last_norm(hidden_BTD)

    def compute_loss(self, log_mel_BTM: torch.Tensor, samples_BN: torch.Tensor) -> torch.Tensor:
        """Mean square difference of compressed magnitudes, relative to their mean square.

        Args:
            log_mel_BTM: Frames, as the codec gives them back.
            samples_BN: The audio they were made of, N = T * hop.
        """
        target_BTF = magnitude_spectrogram(
            samples_BN,
            hop_length=self.config.hop_length,
            window_N=self.window_N,
            n_fft=self.config.n_fft,
        )
        expected_BTF = target_BTF.pow(POWER)
        missed_BTF = (self(log_mel_BTM) * POWER).exp() - expected_BTF
        return missed_BTF.square().mean() / expected_BTF.square().mean().clamp(min=1e-6)
