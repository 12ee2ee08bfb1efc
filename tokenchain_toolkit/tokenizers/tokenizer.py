"""A learned tokenizer: audio to semantic tokens and acoustic codes, and tokens back to audio.

Shapes: N samples, T semantic frames, F acoustic frames (T where both rates are equal), Q quantizers.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.data.audio import read_audio, resample
from tokenchain_toolkit.data.frame_rates import FrameRates
from tokenchain_toolkit.data.manifest import new_manifest, read_manifest
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.features.interface import FeatureExtractor, build_features
from tokenchain_toolkit.files import sha256_of
from tokenchain_toolkit.tokenizers.codec import CODEC, SPECTRAL_RVQ, Codec, load_codec
from tokenchain_toolkit.tokenizers.kmeans import Kmeans, load_kmeans

KMEANS, MANIFEST, CONFIG = "kmeans.safetensors", "manifest.json", "config.yaml"
LARGEST_FRAME_DIFFERENCE = 2  # What the unpadded convolutions of an SSL model can cost at the end of an utterance.


@dataclass(frozen=True)
class KmeansTokens:
    """Semantic tokens: the nearest centroids of features."""

    features: FeatureExtractor
    kmeans: Kmeans

    def __call__(self, samples_N: np.ndarray) -> np.ndarray:
        """Tokens of one utterance, int16 (T,)."""
        return self.kmeans.assign(self.features.extract([samples_N])[0])


class Tokenizer:
    """Semantic tokens, and acoustic codes where there is a codec.

    Args:
        semantic: k-means over features; None where the codec's first codebook gives the semantic tokens.
        codec: Acoustic codec, or None.
        manifest: What goes beside every dump that this tokenizer makes.
    """

    def __init__(self, semantic: KmeansTokens | None, codec: Codec | None, manifest: dict[str, Any]):
        self.semantic = semantic
        self.codec = codec
        self.manifest = manifest
        self.sample_rate = int(manifest["semantic"]["sample_rate"])
        self.rates = FrameRates.of(manifest) if codec is not None else None
        self.hop_length = round(self.sample_rate / manifest["semantic"]["frame_rate"])

    def encode_file(self, path: str | Path, *, name: str, speed: float = 1.0) -> tuple[np.ndarray, np.ndarray | None]:
        """Tokens of one audio file, each half from audio at its own rate.

        Args:
            path: Audio file.
            name: Of the utterance, for error messages.
            speed: Factor at which it is played.

        Returns:
            The semantic tokens, int16 (T,), and the codes, int16 (F, Q), or None without a codec.

        Raises:
            DataError: It is not readable, too short, or its two halves do not last equally long.
        """
        samples_N = read_audio(path, sample_rate=self.sample_rate, speed=speed)
        if self.codec is None or self.codec.sample_rate == self.sample_rate:
            return self._encode(samples_N, samples_N, name)
        for_codec_N = read_audio(path, sample_rate=self.codec.sample_rate, speed=speed)
        return self._encode(samples_N, for_codec_N, name)

    def encode(
        self, samples: list[np.ndarray], *, utt_ids: list[str] | None = None
    ) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Tokens of each utterance, as of ``encode_file``; the same alone as among others.

        Args:
            samples: Mono float32 audio at ``sample_rate``, each of shape (num_samples,).
            utt_ids: Names for error messages.

        Raises:
            DataError: An utterance is too short, or its two halves do not last equally long.
        """
        names = utt_ids or [f"utterance {index}" for index in range(len(samples))]
        found = []
        for samples_N, name in zip(samples, names, strict=True):
            other_rate = self.codec is not None and self.codec.sample_rate != self.sample_rate
            for_codec_N = resample(samples_N, self.sample_rate, self.output_rate) if other_rate else samples_N
            found.append(self._encode(samples_N, for_codec_N, name))
        return found

    def codebooks(self) -> list[np.ndarray]:
        """Entries (K, D) of each quantizer that acoustic codes have, without one that gives the semantic tokens."""
        return self._codec().codebooks()[0 if self.semantic is not None else 1 :]

    @property
    def output_rate(self) -> int:
        """Hz of the audio that ``decode`` gives."""
        return self._codec().sample_rate

    def decode(self, semantic: list[np.ndarray], codes: list[np.ndarray]) -> list[np.ndarray]:
        """Audio at ``output_rate`` of acoustic codes of shape (F, Q).

        Args:
            semantic: Semantic tokens at the codes' frames; needed where they are the codec's first codebook.
            codes: Acoustic codes.

        Raises:
            DataError: The tokenizer has no codec, or the codes are not its own.
        """
        if self.semantic is not None:
            return self._codec().decode(codes)
        pairs = zip(semantic, codes, strict=True)
        return self._codec().decode([np.concatenate([first_F[:, None], rest_FQ], 1) for first_F, rest_FQ in pairs])

    def _codec(self) -> Codec:
        if self.codec is None:
            raise DataError("this tokenizer has no acoustic codec; learn one with codec.enabled=true")
        return self.codec

    def _encode(
        self, samples_N: np.ndarray, for_codec_N: np.ndarray, name: str
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Tokens of one utterance; halves of equal rate are cut to the shorter one."""
        if len(samples_N) < self.hop_length:
            raise DataError(f"{name}: {len(samples_N)} samples are less than one frame ({self.hop_length})")
        if self.semantic is None:
            all_FQ = self._codec().encode(for_codec_N)
            return all_FQ[:, 0].copy(), all_FQ[:, 1:].copy()
        semantic_T = self.semantic(samples_N)
        if not len(semantic_T):
            raise DataError(f"{name}: {len(samples_N)} samples are too short for the SSL model")
        if self.codec is None or self.rates is None:
            return semantic_T, None
        codes_FQ = self.codec.encode(for_codec_N)
        if (
            self.rates.semantic == self.rates.acoustic
            and abs(len(semantic_T) - len(codes_FQ)) <= LARGEST_FRAME_DIFFERENCE
        ):
            frames = min(len(semantic_T), len(codes_FQ))
            semantic_T, codes_FQ = semantic_T[:frames], codes_FQ[:frames]
        self.rates.check(len(semantic_T), len(codes_FQ), name=name)
        return semantic_T, codes_FQ


def tokenizer_manifest(
    folder: Path, config: TokenizerConfig, features: FeatureExtractor | None, codec: Codec | None
) -> dict[str, Any]:
    """The manifest of the tokenizer whose weights lie in ``folder``; ``features`` are those that k-means clusters."""
    first_is_semantic = features is None
    acoustic = None
    if codec is not None:
        acoustic = {
            "kind": config.codec.kind,
            "num_quantizers": codec.num_quantizers - first_is_semantic,
            "codebook_size": codec.codebook_size,
            "frame_rate": codec.frame_rate,
            "sample_rate": codec.sample_rate,
            **codec.describe(),
        }
    if features is not None:
        semantic: dict[str, Any] = {
            "kind": config.semantic.kind,
            "features": features.describe(),
            "num_clusters": config.semantic.kmeans.num_clusters,
            "centroids_sha256": sha256_of(folder / KMEANS),
            "frame_rate": features.frame_rate,
            "sample_rate": features.sample_rate,
        }
    else:
        assert acoustic is not None and codec is not None
        shared = ("frame_rate", "sample_rate", "weights_sha256")
        semantic = {"kind": f"first codebook of {config.codec.kind}", "num_clusters": codec.codebook_size}
        semantic |= {name: acoustic[name] for name in shared}
    return new_manifest(semantic={**semantic, "deduplicated": False}, acoustic=acoustic)


def load_tokenizer(folder: Path, *, device: str = "cpu") -> Tokenizer:
    """Load what ``learn_tokenizer`` wrote.

    Args:
        folder: ``exp/tokenizer_<tag>``.
        device: Torch device of an SSL model and of a neural codec.

    Raises:
        DataError: A file is missing, damaged or not the one that the manifest names.
        ConfigError: ``config.yaml``, its SSL model or its codec is not usable.
    """
    folder = Path(folder)
    if (folder / "model.json").is_file():
        raise DataError(f"{folder} holds a model, no tokenizer; name a folder that learn_tokenizer has written")
    manifest = read_manifest(folder / MANIFEST)
    config = load_config(TokenizerConfig, folder / CONFIG)
    semantic = None
    if config.semantic.kind != "codec":
        kmeans = load_kmeans(folder / KMEANS)
        _check_weights(folder / KMEANS, manifest["semantic"]["centroids_sha256"])
        semantic = KmeansTokens(build_features(config, device=device), kmeans)
    codec = None
    if manifest["acoustic"]:
        codec = load_codec(config.codec, folder, device=device)
        if config.codec.kind == SPECTRAL_RVQ:
            _check_weights(folder / CODEC, manifest["acoustic"]["weights_sha256"])
    found = tokenizer_manifest(folder, config, semantic.features if semantic else None, codec)
    if {**found, "versions": None} != {**manifest, "versions": None}:
        raise DataError(
            f"{folder}: {CONFIG}, its SSL model or its codec is not what {MANIFEST} names; restore it, or learn again"
        )
    return Tokenizer(semantic, codec, manifest)


def _check_weights(path: Path, expected: str) -> None:
    """Refuse weights other than those that the manifest names."""
    if sha256_of(path) != expected:
        raise DataError(f"{path} is not the file that manifest.json names; restore it, or learn the tokenizer again")
