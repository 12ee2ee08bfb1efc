"""Learning a tokenizer from the audio of one data set. Shapes: N or T frames, D features, M mel bands."""

import logging
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tokenchain_toolkit.config.load import save_config
from tokenchain_toolkit.config.tokenizer import KmeansConfig, TokenizerConfig
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.data.manifest import write_manifest
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.features.interface import FeatureExtractor, build_features
from tokenchain_toolkit.files import read_json, write_json
from tokenchain_toolkit.tokenizers.codec import CODEC, HEAD, SPECTRAL_RVQ, load_codec
from tokenchain_toolkit.tokenizers.head_training import HeadExample, train_head
from tokenchain_toolkit.tokenizers.kmeans import Kmeans, KmeansLearner, seed_stability
from tokenchain_toolkit.tokenizers.spectral_rvq import (
    LogMel,
    SpectralRvq,
    learn_spectral_rvq,
    new_head,
    save_head,
    spectral_settings,
)
from tokenchain_toolkit.tokenizers.tokenizer import CONFIG, KMEANS, MANIFEST, tokenizer_manifest

LOG = logging.getLogger(__name__)
LEARNING = "learning.json"
CHECKPOINT, HEAD_CHECKPOINT = "kmeans.partial.safetensors", "codec_head.partial"
BYTES = 4  # of a feature
COPIES = 2  # of a block while it is put together
STABILITY_FRAMES = 20_000


def learn_tokenizer(config: TokenizerConfig, wavs: Mapping[str, str], out: Path, *, device: str = "cpu") -> None:
    """Learn k-means and the spectral codec, write them with manifest, configuration and ``learning.json``.

    A pretrained codec is loaded and named by the manifest; a semantic half that is its first codebook needs no k-means.

    k-means learns from a stream of blocks of at most ``kmeans.memory_gb``, whatever the size of the corpus; a killed
    run goes on from its last block. The inertia in ``learning.json`` is that of the last block.

    Args:
        config: Tokenizer configuration.
        wavs: Audio file of each utterance.
        out: ``exp/tokenizer_<tag>``.
        device: Torch device of an SSL model and of k-means.

    Raises:
        DataError: No utterance is readable, or there are fewer frames than clusters.
        ConfigError: The SSL model or the pretrained codec cannot be loaded.
    """
    reader = _Reader(wavs, sample_rate=config.sample_rate, seed=config.semantic.kmeans.seed)
    features = None
    facts: dict[str, Any] = {}
    if config.semantic.kind != "codec":
        features = build_features(config, device=device)
        if (out / CHECKPOINT).is_file() and (out / LEARNING).is_file():
            facts = read_json(out / LEARNING)  # of a run that was killed after k-means
        else:
            kmeans, facts = _learn_semantic(config.semantic.kmeans, reader, features, out, device=device)
            kmeans.save(out / KMEANS)
            write_json(out / LEARNING, facts)
    codec = None
    if config.codec.enabled:
        if config.codec.kind == SPECTRAL_RVQ:
            facts |= _learn_codec(config, reader, out, device=device)
        codec = load_codec(config.codec, out, device=device)
    save_config(config, out / CONFIG)
    write_json(out / LEARNING, facts)
    write_manifest(out / MANIFEST, tokenizer_manifest(out, config, features, codec))
    (out / CHECKPOINT).unlink(missing_ok=True)


def _learn_codec(config: TokenizerConfig, reader: "_Reader", out: Path, *, device: str) -> dict[str, Any]:
    """Learn the spectral codec and its head, write them, and tell how far off they are."""
    log_mel_NM = _codec_frames(config, reader)
    LOG.info("codec: %d quantizers from %d frames", config.codec.num_quantizers, len(log_mel_NM))
    codec = learn_spectral_rvq(log_mel_NM, config)
    errors = codec.distortions(log_mel_NM)
    LOG.info("codec: log-mel error in dB by quantizers used: %s", ", ".join(f"{error:.2f}" for error in errors))
    codec.save(out / CODEC)
    facts: dict[str, Any] = {"codec_error_db": errors}
    settings = config.codec.head
    if settings.steps:
        head = new_head(settings, codec.settings)
        examples = _head_examples(config, codec, reader)
        facts["head_loss"] = train_head(
            head, examples, config=settings, checkpoint=out / HEAD_CHECKPOINT, device=device
        )
        save_head(out / HEAD, head)
        (out / HEAD_CHECKPOINT).unlink(missing_ok=True)
    return facts


def _head_examples(config: TokenizerConfig, codec: SpectralRvq, reader: "_Reader") -> list[HeadExample]:
    """Speech for the head, up to ``codec.head.max_frames``."""
    wanted = config.codec.head.max_frames * config.hop_length
    stream = reader.frames(lambda samples_N: samples_N, position=0, wanted=wanted, label="codec's head")
    return [HeadExample(codec.dequantize(codec.encode(samples_N)), samples_N) for _, samples_N in stream]


class _Reader:
    """The utterances of a set in an order drawn by the seed; unreadable ones are named once and left out."""

    def __init__(self, wavs: Mapping[str, str], *, sample_rate: int, seed: int):
        self.wavs = wavs
        self.sample_rate = sample_rate
        self.order = sorted(wavs)
        random.Random(seed).shuffle(self.order)
        self.unreadable: dict[str, str] = {}

    def frames(
        self, analyse: Callable[[np.ndarray], np.ndarray], *, position: int, wanted: int, label: str
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Place in the order and frames of one utterance after another, until there are ``wanted`` frames."""
        from tqdm import tqdm

        count = 0
        with tqdm(total=wanted or None, desc=label, unit=" frames", unit_scale=True, disable=None) as progress:
            for place in range(position, len(self.order)):
                if wanted and count >= wanted:
                    return
                utt_id = self.order[place]
                try:
                    samples_N = read_audio(self.wavs[utt_id], sample_rate=self.sample_rate)
                except DataError as error:
                    if utt_id not in self.unreadable:
                        LOG.warning("not used for learning: %s: %s", utt_id, error)
                    self.unreadable[utt_id] = str(error)
                    continue
                frames_ND = analyse(samples_N)
                count += len(frames_ND)
                progress.update(len(frames_ND))
                yield place, frames_ND


def _learn_semantic(
    settings: KmeansConfig, reader: _Reader, features: FeatureExtractor, out: Path, *, device: str
) -> tuple[Kmeans, dict[str, Any]]:
    """k-means over the stream of the reader's frames, and what is to be known of it."""
    learner = KmeansLearner(settings.num_clusters, seed=settings.seed, iterations=settings.iterations, device=device)
    position = frames = 0
    if (out / CHECKPOINT).is_file():
        position, frames = learner.resume(out / CHECKPOINT)
        LOG.info("k-means: going on after %d frames", frames)
    block_frames = max(int(settings.memory_gb * 1e9 / (BYTES * COPIES * features.dim)), settings.num_clusters)
    block_ND = np.zeros((0, features.dim), np.float32)
    for next_position, block_ND in _blocks(reader, features, settings, position, frames, block_frames):
        learner.absorb(block_ND)
        frames += len(block_ND)
        learner.save(out / CHECKPOINT, position=next_position, frames=frames)
    if not frames:
        reasons = list(reader.unreadable.values()) or ["wav.scp is empty"]
        raise DataError(f"none of {len(reader.wavs)} utterances is readable, {reasons[0]}")
    facts: dict[str, Any] = {"frames": frames, "hours": frames / features.frame_rate / 3600}
    facts |= {"inertia": learner.inertia, "dead_clusters": learner.dead_clusters}
    if len(block_ND) >= settings.num_clusters:
        rows = np.random.default_rng(settings.seed).permutation(len(block_ND))[:STABILITY_FRAMES]
        sizes = {"num_clusters": settings.num_clusters, "seed": settings.seed, "iterations": settings.iterations}
        facts["seed_stability"] = seed_stability(block_ND[rows], **sizes)
    LOG.info("k-means: %s", ", ".join(f"{name} {value:.4g}" for name, value in facts.items()))
    return learner.result(), facts


def _blocks(
    reader: _Reader, features: FeatureExtractor, settings: KmeansConfig, position: int, frames: int, block_frames: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of frames, each with the place in the order at which the next one begins."""
    wanted = max(settings.max_frames - frames, 0) if settings.max_frames else 0
    if settings.max_frames and not wanted:
        return
    rows: list[np.ndarray] = []
    count = 0
    stream = reader.frames(
        lambda samples_N: features.extract([samples_N])[0], position=position, wanted=wanted, label="k-means"
    )
    for place, features_TD in stream:
        rows.append(features_TD)
        count += len(features_TD)
        if count >= block_frames:
            yield place + 1, np.concatenate(rows)
            rows, count = [], 0
    if count:
        yield len(reader.order), np.concatenate(rows)


def _codec_frames(config: TokenizerConfig, reader: _Reader) -> np.ndarray:
    """Log-mel frames for the codec, up to ``codec.max_frames``."""
    analysis = LogMel(spectral_settings(config))
    stream = reader.frames(analysis.analyse, position=0, wanted=config.codec.max_frames, label="codec")
    return np.concatenate([log_mel_TM for _, log_mel_TM in stream])
