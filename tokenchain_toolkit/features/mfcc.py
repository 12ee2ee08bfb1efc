"""Mel-frequency cepstra with deltas, normalised per utterance."""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torchaudio.functional import compute_deltas, create_dct

from tokenchain_toolkit.config.tokenizer import MfccConfig
from tokenchain_toolkit.features.framing import magnitude_spectrogram, mel_matrix

ENERGY_FLOOR = 1e-8
STD_FLOOR = 1e-4


class MfccFeatures:
    """MFCC as a ``FeatureExtractor``.

    Args:
        config: Numbers of bands, cepstra and deltas.
        sample_rate: Hz.
        hop_length: Samples per frame.
    """

    def __init__(self, config: MfccConfig, *, sample_rate: int, hop_length: int):
        self.config = config
        self.sample_rate = sample_rate
        self.hop_length = hop_length
        self.frame_rate = sample_rate / hop_length
        self.dim = config.num_ceps * (config.delta_order + 1)
        self._window_N = torch.hann_window(config.window_length)
        self._mel_FM = mel_matrix(n_fft=config.n_fft, num_mels=config.num_mels, sample_rate=sample_rate)
        self._dct_MC = create_dct(config.num_ceps, config.num_mels, norm="ortho")

    def describe(self) -> dict[str, Any]:
        """The settings."""
        return {"hop_length": self.hop_length, **asdict(self.config)}

    def extract(self, samples: list[np.ndarray]) -> list[np.ndarray]:
        """Features of each utterance, computed alone, so that they do not depend on what else is in the list."""
        return [self._extract_one(torch.from_numpy(samples_N)).numpy() for samples_N in samples]

    def _extract_one(self, samples_N: torch.Tensor) -> torch.Tensor:
        """Shape (T, dim)."""
        magnitudes_TF = magnitude_spectrogram(
            samples_N, hop_length=self.hop_length, window_N=self._window_N, n_fft=self.config.n_fft
        )
        log_mel_TM = (magnitudes_TF.square() @ self._mel_FM).clamp(min=ENERGY_FLOOR).log()
        streams_CT = [(log_mel_TM @ self._dct_MC).T.contiguous()]
        for _ in range(self.config.delta_order):
            streams_CT.append(compute_deltas(streams_CT[-1]))
        features_TD = torch.cat(streams_CT).T.contiguous()
        if self.config.normalize != "none":
            features_TD = features_TD - features_TD.mean(dim=0)
        if self.config.normalize == "mean_variance":
            features_TD = features_TD / features_TD.square().mean(dim=0).sqrt().clamp(min=STD_FLOOR)
        return features_TD
