"""What every feature extractor offers to k-means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from tokenchain_toolkit.config.tokenizer import TokenizerConfig


class FeatureExtractor(Protocol):
    """Speech features at a fixed frame rate.

    Attributes:
        sample_rate: Hz of the audio it takes.
        frame_rate: Frames per second.
        dim: Features per frame.
    """

    sample_rate: int
    frame_rate: float
    dim: int

    def describe(self) -> dict[str, Any]:
        """Everything that the features depend on, for the manifest; plain JSON values, no paths."""
        ...

    def extract(self, samples: list[np.ndarray]) -> list[np.ndarray]:
        """Features of each utterance, float32 of shape (T, dim); the same alone as among others."""
        ...


def build_features(config: TokenizerConfig, *, device: str = "cpu") -> FeatureExtractor:
    """The extractor that ``config.semantic.kind`` names.

    Args:
        config: Tokenizer configuration.
        device: Torch device of an SSL model; MFCC stays on the CPU.

    Raises:
        ConfigError: The SSL model cannot be loaded or does not fit the configuration.
    """
    if config.semantic.kind == "ssl":
        from tokenchain_toolkit.features.ssl import SslFeatures

        return SslFeatures(
            config.semantic.ssl, sample_rate=config.sample_rate, hop_length=config.hop_length, device=device
        )
    from tokenchain_toolkit.features.mfcc import MfccFeatures

    return MfccFeatures(config.semantic.mfcc, sample_rate=config.sample_rate, hop_length=config.hop_length)
