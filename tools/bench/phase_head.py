"""The spectral codec's head with phases of its own, as in Vocos (Siuzdak 2023) but without a discriminator.

What `codec.py` compares with Griffin-Lim's phases. Shapes: B segments, T frames, S fine frames of each, M mel bands, F
frequency bins, N samples.
"""

import torch
from torch import nn

from tokenchain_toolkit.config.tokenizer import HeadConfig
from tokenchain_toolkit.features.framing import magnitude_spectrogram
from tokenchain_toolkit.tokenizers.spectral_head import POWER, SpectralHead

RESOLUTIONS = (256, 512, 1024, 2048)  # samples of the windows in which the sound is compared
QUIET = 1e-3  # magnitudes below are equal to the loss
LOG_WEIGHT = 0.2  # of the difference in logarithms beside that of compressed magnitudes


class PhaseHead(SpectralHead):
    """Magnitudes and phases of the fine spectrogram, and their inverse transform."""

    def __init__(self, config: HeadConfig, *, mel_FM: torch.Tensor, hop_length: int):
        super().__init__(config, mel_FM=mel_FM, hop_length=hop_length)
        self.phase = nn.Linear(config.hidden_dim, self.fine_frames * (config.n_fft // 2 + 1))

    def synthesize(self, log_mel_BTM: torch.Tensor) -> torch.Tensor:
        """Audio, shape (B, T * hop)."""
        phase_BTX = self.phase(self.hidden(log_mel_BTM))
        phase_BTF = phase_BTX.unflatten(2, (self.fine_frames, -1)).flatten(1, 2)
        spectrum_BTF = torch.polar(self(log_mel_BTM).clamp(max=8).exp(), phase_BTF)
        # torch centres frame t on sample t * hop, the framing rule on the middle of hop t.
        framed_BFT = torch.cat([spectrum_BTF[:, :1], spectrum_BTF, spectrum_BTF[:, -1:]], dim=1).mT
        hop = self.config.hop_length
        samples_BN = torch.istft(framed_BFT, self.config.n_fft, hop_length=hop, window=self.window_N)
        return samples_BN[:, hop // 2 : hop // 2 + log_mel_BTM.shape[1] * self.hop_length]

    def compute_loss(self, log_mel_BTM: torch.Tensor, samples_BN: torch.Tensor) -> torch.Tensor:
        """That of the magnitudes alone, and the mean over resolutions of how the sound's magnitudes differ."""
        made_BN = self.synthesize(log_mel_BTM)
        heard = torch.stack([self._difference(made_BN, samples_BN, size) for size in RESOLUTIONS]).mean()
        return super().compute_loss(log_mel_BTM, samples_BN) + heard

    @staticmethod
    def _difference(made_BN: torch.Tensor, samples_BN: torch.Tensor, size: int) -> torch.Tensor:
        framing = {"hop_length": size // 4, "window_N": torch.hann_window(size), "n_fft": size}
        made_BTF = magnitude_spectrogram(made_BN, **framing).clamp(min=QUIET)
        target_BTF = magnitude_spectrogram(samples_BN, **framing).clamp(min=QUIET)
        compressed_BTF = target_BTF.pow(POWER)
        missed = (made_BTF.pow(POWER) - compressed_BTF).square().mean() / compressed_BTF.square().mean()
        return missed + LOG_WEIGHT * (made_BTF.log() - target_BTF.log()).abs().mean()
