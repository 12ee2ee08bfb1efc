"""Do the tokens depend on how they are computed? Alone, among others, in chunks, in half precision.

Shapes: N samples, T frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.features.interface import FeatureExtractor, build_features
from tokenchain_toolkit.tokenizers.kmeans import Kmeans, load_kmeans
from tokenchain_toolkit.tokenizers.tokenizer import CONFIG, KMEANS

CHUNKS_PER_UTTERANCE = 3
WHOLE = 1e9  # seconds: no utterance is cut


@dataclass(frozen=True)
class Agreement:
    """How one mode compares with each utterance alone in full precision.

    Attributes:
        mode: Name of the mode.
        mismatch: Share of frames with another token, in [0, 1].
        frames: Frames compared.
    """

    mode: str
    mismatch: float
    frames: int


def compare_modes(
    tokenizer: Path, wavs: Mapping[str, str], *, device: str = "cpu", half: str = "bfloat16"
) -> list[Agreement]:
    """Semantic tokens of some utterances in every mode that the tokenizer has, against alone in full precision.

    Args:
        tokenizer: ``exp/tokenizer_<tag>``.
        wavs: Audio file of each utterance.
        device: Torch device of an SSL model.
        half: Half precision to compare with, ``bfloat16`` or ``float16``.

    Returns:
        ``batched`` and, for SSL features, ``chunked`` (chunks of a third of the longest utterance, and the overlap) and
        the half precision.

    Raises:
        DataError: There are no utterances, one cannot be read, or the tokens are those of a codec.
    """
    if not wavs:
        raise DataError("no utterances to compare tokens on; name a data directory with a wav.scp")
    config = load_config(TokenizerConfig, tokenizer / CONFIG)
    if config.semantic.kind == "codec":
        raise DataError(f"{tokenizer}: its semantic tokens are the codec's, which takes utterances one by one only")
    kmeans = load_kmeans(tokenizer / KMEANS)
    samples = [read_audio(path, sample_rate=config.sample_rate) for path in wavs.values()]
    full = _with_ssl(config, dtype="float32", chunk_seconds=WHOLE)
    features = build_features(full, device=device)
    alone = [_tokens(features, kmeans, [one])[0] for one in samples]
    found = [_compare("batched", alone, _tokens(features, kmeans, samples))]
    if config.semantic.kind != "ssl":
        return found
    longest = max(len(tokens_T) for tokens_T in alone) / features.frame_rate
    overlap = min(config.semantic.ssl.overlap_seconds, longest / (2 * CHUNKS_PER_UTTERANCE))
    chunk_seconds = longest / CHUNKS_PER_UTTERANCE + 2 * overlap
    chunked = _with_ssl(full, chunk_seconds=chunk_seconds, overlap_seconds=overlap)
    halved = _with_ssl(full, dtype=half)
    for mode, variant in (("chunked", chunked), (half, halved)):
        found.append(_compare(mode, alone, _tokens(build_features(variant, device=device), kmeans, samples)))
    return found


def _with_ssl(config: TokenizerConfig, **changes: float | str) -> TokenizerConfig:
    """The configuration with other SSL settings."""
    ssl = replace(config.semantic.ssl, **changes)  # type: ignore[arg-type]
    return replace(config, semantic=replace(config.semantic, ssl=ssl))


def _tokens(features: FeatureExtractor, kmeans: Kmeans, samples: list[np.ndarray]) -> list[np.ndarray]:
    """Semantic tokens of utterances that are extracted together."""
    return [kmeans.assign(features_TD) for features_TD in features.extract(samples)]


def _compare(mode: str, expected: list[np.ndarray], found: list[np.ndarray]) -> Agreement:
    """Share of frames that differ; a frame that one side lacks differs."""
    different = frames = 0
    for expected_T, found_T in zip(expected, found, strict=True):
        shared = min(len(expected_T), len(found_T))
        longest = max(len(expected_T), len(found_T))
        different += int((expected_T[:shared] != found_T[:shared]).sum()) + longest - shared
        frames += longest
    return Agreement(mode=mode, mismatch=different / max(frames, 1), frames=frames)
