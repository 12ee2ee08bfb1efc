"""From the spectral codec's log-mel frames to a finer magnitude spectrogram, from which Griffin-Lim makes audio.

The codes give one mel spectrum for each hop. The network sees the frames around it, so it can smooth out what the
quantization of each frame alone got wrong, fill in the harmonics that a mel band holds several of, and say how the
sound moves within a hop. Its blocks are those of ConvNeXt (Liu et al. 2022), as in Vocos (Siuzdak 2023); the phases
are Griffin-Lim's, because a network that is to learn them needs a discriminator and hours.

Shapes: B utterances, T frames, S fine frames of each, M mel bands, D features, F frequency bins, N samples.
"""

import torch
import torch.nn.functional as F
from torch import nn

from tokenchain_toolkit.config.tokenizer import HeadConfig
from tokenchain_toolkit.features.framing import magnitude_spectrogram

FLOOR = 1e-2  # magnitudes below it count as it in the logarithm
CONVERGENCE_WEIGHT = 0.5  # of the spectral convergence, beside the distance of the logarithms


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
        num_mels: M.
        hop_length: Samples of a frame of the codec, a multiple of the fine hop.
    """

    def __init__(self, config: HeadConfig, *, num_mels: int, hop_length: int):
        super().__init__()
        self.config = config
        self.hop_length = hop_length
        self.fine_frames = hop_length // config.hop_length
        self.register_buffer("mean_M", torch.zeros(num_mels))
        self.register_buffer("scale_M", torch.ones(num_mels))
        self.register_buffer("window_N", torch.hann_window(config.n_fft), persistent=False)
        dim, kernel = config.hidden_dim, config.kernel_size
        self.first = nn.Conv1d(num_mels, dim, kernel, padding=kernel // 2)
        self.first_norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.num_layers))
        self.last_norm = nn.LayerNorm(dim)
        self.last = nn.Linear(dim, self.fine_frames * (config.n_fft // 2 + 1))

    def set_scale(self, log_mel_NM: torch.Tensor) -> None:
        """Bring inputs like these to zero mean and unit variance."""
        self.mean_M.copy_(log_mel_NM.mean(0))
        self.scale_M.copy_(1 / log_mel_NM.std(0).clamp(min=1e-3))

    def forward(self, log_mel_BTM: torch.Tensor) -> torch.Tensor:
        """Log magnitudes of the fine spectrogram, shape (B, T * S, F)."""
        inputs_BTM = (log_mel_BTM - self.mean_M) * self.scale_M
        hidden_BTD = self.first_norm(self.first(inputs_BTM.mT).mT)
        for block in self.blocks:
            hidden_BTD = block(hidden_BTD)
        return self.last(self.last_norm(hidden_BTD)).unflatten(2, (self.fine_frames, -1)).flatten(1, 2)

    def compute_loss(self, log_mel_BTM: torch.Tensor, samples_BN: torch.Tensor) -> torch.Tensor:
        """Distance of log magnitudes (L1), and spectral convergence (Arik et al. 2019).

        Args:
            log_mel_BTM: Frames, as the codec gives them back.
            samples_BN: The audio they were made of, N = T * hop.
        """
        target_BTF = magnitude_spectrogram(
            samples_BN,
            hop_length=self.config.hop_length,
            window_N=self.get_buffer("window_N"),
            n_fft=self.config.n_fft,
        )
        found_BTF = self(log_mel_BTM)
        distance = (found_BTF - target_BTF.clamp(min=FLOOR).log()).abs().mean()
        missed = (found_BTF.exp() - target_BTF).square().sum().sqrt()
        return distance + CONVERGENCE_WEIGHT * missed / target_BTF.square().sum().sqrt().clamp(min=FLOOR)
