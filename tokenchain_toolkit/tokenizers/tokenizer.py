"""A learned tokenizer: audio to semantic tokens and acoustic codes, and codes back to audio."""

from pathlib import Path
from typing import Any

import numpy as np

from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.data.manifest import new_manifest, read_manifest
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.features.interface import FeatureExtractor, build_features
from tokenchain_toolkit.files import sha256_of
from tokenchain_toolkit.tokenizers.kmeans import Kmeans, load_kmeans
from tokenchain_toolkit.tokenizers.spectral_rvq import KIND, SpectralRvq, load_spectral_rvq

KMEANS, CODEC, MANIFEST, CONFIG = "kmeans.safetensors", "codec.safetensors", "manifest.json", "config.yaml"
LARGEST_FRAME_DIFFERENCE = 2  # What the unpadded convolutions of an SSL model can cost at the end of an utterance.


class Tokenizer:
    """Semantic tokens by k-means over features, and acoustic codes where there is a codec.

    Args:
        features: What the k-means clusters.
        kmeans: Its centroids.
        codec: Acoustic codec at the same frame rate, or None.
        manifest: What goes beside every dump that this tokenizer makes.
    """

    def __init__(self, features: FeatureExtractor, kmeans: Kmeans, codec: SpectralRvq | None, manifest: dict[str, Any]):
        self.features = features
        self.kmeans = kmeans
        self.codec = codec
        self.manifest = manifest
        self.sample_rate = features.sample_rate
        self.frame_rate = features.frame_rate
        self.hop_length = round(features.sample_rate / features.frame_rate)

    def encode(
        self, samples: list[np.ndarray], *, utt_ids: list[str] | None = None
    ) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Tokens of each utterance; the same alone as among others.

        Args:
            samples: Mono float32 audio at ``sample_rate``, each of shape (num_samples,).
            utt_ids: Names for error messages.

        Returns:
            Per utterance the semantic tokens, int16 (T,), and the codes, int16 (T, Q), or None without a codec.

        Raises:
            DataError: An utterance is too short, or its two halves differ by more than two frames.
        """
        names = utt_ids or [f"utterance {index}" for index in range(len(samples))]
        return [self._encode_one(samples_N, name) for samples_N, name in zip(samples, names, strict=True)]

    def decode_codes(self, codes: list[np.ndarray]) -> list[np.ndarray]:
        """Audio of acoustic codes of shape (T, Q), each float32 of T * hop_length samples.

        Raises:
            DataError: The tokenizer has no codec, or the codes are not its own.
        """
        if self.codec is None:
            raise DataError("this tokenizer has no acoustic codec; learn one with codec.enabled=true")
        return self.codec.decode(codes)

    def _encode_one(self, samples_N: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Tokens of one utterance, both halves trimmed to the shorter one."""
        if len(samples_N) < self.hop_length:
            raise DataError(f"{name}: {len(samples_N)} samples are less than one frame ({self.hop_length})")
        semantic_T = self.kmeans.assign(self.features.extract([samples_N])[0])
        if not len(semantic_T):
            raise DataError(f"{name}: {len(samples_N)} samples are too short for the SSL model")
        if self.codec is None:
            return semantic_T, None
        codes_TQ = self.codec.encode(samples_N)
        if abs(len(semantic_T) - len(codes_TQ)) > LARGEST_FRAME_DIFFERENCE:
            raise DataError(
                f"{name}: {len(semantic_T)} semantic frames but {len(codes_TQ)} acoustic ones; the two halves of the "
                "tokenizer must have the same frame rate"
            )
        frames = min(len(semantic_T), len(codes_TQ))
        return semantic_T[:frames], codes_TQ[:frames]


def tokenizer_manifest(folder: Path, config: TokenizerConfig, features: FeatureExtractor) -> dict[str, Any]:
    """The manifest of the tokenizer whose weights lie in ``folder``."""
    rates = {"frame_rate": features.frame_rate, "sample_rate": features.sample_rate}
    semantic = {
        "kind": config.semantic.kind,
        "features": features.describe(),
        "num_clusters": config.semantic.kmeans.num_clusters,
        "centroids_sha256": sha256_of(folder / KMEANS),
        "deduplicated": False,
        **rates,
    }
    if not config.codec.enabled:
        return new_manifest(semantic=semantic, acoustic=None)
    acoustic = {
        "kind": KIND,
        "num_quantizers": config.codec.num_quantizers,
        "codebook_size": config.codec.codebook_size,
        "weights_sha256": sha256_of(folder / CODEC),
        **rates,
    }
    return new_manifest(semantic=semantic, acoustic=acoustic)


def load_tokenizer(folder: Path, *, device: str = "cpu") -> Tokenizer:
    """Load what ``learn_tokenizer`` wrote.

    Args:
        folder: ``exp/tokenizer_<tag>``.
        device: Torch device of an SSL model.

    Raises:
        DataError: A file is missing, damaged or not the one that the manifest names.
        ConfigError: ``config.yaml`` or its SSL model is not usable.
    """
    folder = Path(folder)
    manifest = read_manifest(folder / MANIFEST)
    config = load_config(TokenizerConfig, folder / CONFIG)
    kmeans = load_kmeans(folder / KMEANS)
    codec = load_spectral_rvq(folder / CODEC) if manifest["acoustic"] else None
    _check_weights(folder / KMEANS, manifest["semantic"]["centroids_sha256"])
    if codec is not None:
        _check_weights(folder / CODEC, manifest["acoustic"]["weights_sha256"])
    features = build_features(config, device=device)
    if features.describe() != manifest["semantic"]["features"]:
        raise DataError(f"{folder}: {CONFIG} or its SSL model is not what {MANIFEST} names; restore it, or learn again")
    return Tokenizer(features, kmeans, codec, manifest)


def _check_weights(path: Path, expected: str) -> None:
    """Refuse weights other than those that the manifest names."""
    if sha256_of(path) != expected:
        raise DataError(f"{path} is not the file that manifest.json names; restore it, or learn the tokenizer again")
