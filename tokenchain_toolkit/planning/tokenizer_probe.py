"""Measured speed of what makes tokens, of making audio of codes, and of training the spectral codec's head, on noise.

Shapes: N samples, T frames, Q quantizers, K codebook entries, M mel bands.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.features.interface import build_features
from tokenchain_toolkit.models.asr import count_parameters
from tokenchain_toolkit.tokenizers.codec import SPECTRAL_RVQ, Codec, load_codec
from tokenchain_toolkit.tokenizers.head_training import HeadExample, build_head_optimizer, take_step
from tokenchain_toolkit.tokenizers.spectral_rvq import LogMel, SpectralRvq, new_head, spectral_settings

NOISE_SECONDS = 10


@dataclass(frozen=True)
class ExtractionMeasure:
    """Speed of what makes tokens: seconds of audio for each second of time, and what was measured of it."""

    speed: float
    what: str


@dataclass(frozen=True)
class HeadMeasure:
    """Training of the spectral codec's head.

    Attributes:
        step_seconds: Median of an update.
        num_steps: Updates that it takes by its settings.
        num_parameters: All parameters.
    """

    step_seconds: float
    num_steps: int
    num_parameters: int


@dataclass(frozen=True)
class VocodingMeasure:
    """Speed of the codec's decoder: seconds of audio for each second of time; its sample and frame rate in Hz."""

    speed: float
    sample_rate: int
    frame_rate: float


def has_head(config: TokenizerConfig) -> bool:
    """Whether the tokenizer has a spectral codec with a head to be trained."""
    return config.codec.enabled and config.codec.kind == SPECTRAL_RVQ and config.codec.head.steps > 0


def measure_head(config: TokenizerConfig, *, device: str, seconds: float) -> HeadMeasure:
    """How long an update of the head takes, with segments and batches as its settings have them.

    Args:
        config: Tokenizer that has a head.
        device: Torch device to train on.
        seconds: Time to spend, about; two updates are made in any case.
    """
    settings, spectral = config.codec.head, spectral_settings(config)
    noise_N = _noise(max(NOISE_SECONDS * config.sample_rate, settings.segment_frames * config.hop_length))
    examples = [HeadExample(LogMel(spectral).analyse(noise_N), noise_N)]
    head = new_head(settings, spectral).to(device).train()
    optimizer, steps = build_head_optimizer(head, settings), count()

    def update() -> float:
        step = next(steps) % settings.steps
        return take_step(head, optimizer, examples, frames=settings.segment_frames, step=step, config=settings)

    return HeadMeasure(_seconds_each(update, seconds), settings.steps, count_parameters(head))


def measure_extraction(config: TokenizerConfig, *, device: str, seconds: float) -> ExtractionMeasure:
    """How fast the features that k-means clusters, and the codes of a pretrained codec, are made of noise.

    Of the spectral codec, whose codebooks are not learned yet, it is the frames that they are found for.

    Raises:
        ConfigError: A pretrained model cannot be loaded.
    """
    works: list[tuple[str, Callable[[], Any]]] = []
    if config.semantic.kind != "codec":
        features = build_features(config, device=device)
        noise_N = _noise(NOISE_SECONDS * features.sample_rate)
        works.append((f"{config.semantic.kind} features", lambda: features.extract([noise_N])))
    if config.codec.enabled and config.codec.kind == SPECTRAL_RVQ:
        frames, samples_N = LogMel(spectral_settings(config)), _noise(NOISE_SECONDS * config.sample_rate)
        works.append(("log-mel frames", lambda: frames.analyse(samples_N)))
    elif config.codec.enabled:
        codec = load_codec(config.codec, Path(), device=device)
        for_codec_N = _noise(NOISE_SECONDS * codec.sample_rate)
        works.append((config.codec.kind, lambda: codec.encode(for_codec_N)))
    per_audio = sum(_seconds_each(work, seconds / len(works)) for _, work in works) / NOISE_SECONDS
    left_out = ", without the codec's codes" if config.codec.enabled and config.codec.kind == SPECTRAL_RVQ else ""
    return ExtractionMeasure(1 / per_audio, " and ".join(name for name, _ in works) + left_out)


def measure_vocoding(config: TokenizerConfig, *, device: str, seconds: float) -> VocodingMeasure:
    """How fast the codec makes audio of codes; of the spectral codec with random weights.

    Raises:
        ConfigError: A pretrained codec cannot be loaded.
    """
    if config.codec.kind == SPECTRAL_RVQ:
        settings, sizes = spectral_settings(config), (config.codec.num_quantizers, config.codec.codebook_size)
        head = new_head(config.codec.head, settings).eval() if has_head(config) else None
        codec: Codec = SpectralRvq(np.zeros((*sizes, settings.num_mels), np.float32), settings, head)
    else:
        codec = load_codec(config.codec, Path(), device=device)
    shape = (round(NOISE_SECONDS * codec.frame_rate), codec.num_quantizers)
    codes_TQ = np.random.default_rng(0).integers(0, codec.codebook_size, shape)
    speed = NOISE_SECONDS / _seconds_each(lambda: codec.decode([codes_TQ]), seconds)
    return VocodingMeasure(speed, int(codec.sample_rate), codec.frame_rate)


def _noise(num_samples: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, num_samples).astype(np.float32)


def _seconds_each(work: Callable[[], Any], seconds: float) -> float:
    """Median time of a call, after one that warms up."""
    ends = time.monotonic() + seconds
    work()
    times: list[float] = []
    while not times or time.monotonic() < ends:
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
