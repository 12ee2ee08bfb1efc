"""Learning a tokenizer from the audio of one data set. Shapes: T frames, D features, M mel bands."""

import logging
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tokenchain_toolkit.config.load import save_config
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.data.manifest import write_manifest
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.features.framing import num_frames
from tokenchain_toolkit.features.interface import FeatureExtractor, build_features
from tokenchain_toolkit.tokenizers.kmeans import learn_kmeans
from tokenchain_toolkit.tokenizers.spectral_rvq import LogMel, learn_spectral_rvq, spectral_settings
from tokenchain_toolkit.tokenizers.tokenizer import CODEC, CONFIG, KMEANS, MANIFEST, tokenizer_manifest

LOG = logging.getLogger(__name__)


def learn_tokenizer(config: TokenizerConfig, wavs: Mapping[str, str], out: Path, *, device: str = "cpu") -> None:
    """Learn k-means and, if enabled, the codec, and write them with manifest and configuration.

    Args:
        config: Tokenizer configuration.
        wavs: Audio file of each utterance.
        out: ``exp/tokenizer_<tag>``.
        device: Torch device of an SSL model.

    Raises:
        DataError: No utterance is readable, or there are fewer frames than clusters.
        ConfigError: The SSL model cannot be loaded.
    """
    features = build_features(config, device=device)
    features_ND, log_mel_NM = _collect(config, wavs, features)
    settings = config.semantic.kmeans
    LOG.info("k-means: %d clusters from %d frames", settings.num_clusters, len(features_ND))
    kmeans, stats = learn_kmeans(
        features_ND,
        num_clusters=settings.num_clusters,
        seed=settings.seed,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
    )
    LOG.info("k-means: mean squared distance %.4g, %d dead clusters", stats.inertia, stats.dead_clusters)
    kmeans.save(out / KMEANS)
    if config.codec.enabled:
        LOG.info("codec: %d quantizers from %d frames", config.codec.num_quantizers, len(log_mel_NM))
        codec = learn_spectral_rvq(log_mel_NM, config)
        errors = ", ".join(f"{error:.2f}" for error in codec.distortions(log_mel_NM))
        LOG.info("codec: log-mel error in dB by quantizers used: %s", errors)
        codec.save(out / CODEC)
    save_config(config, out / CONFIG)
    write_manifest(out / MANIFEST, tokenizer_manifest(out, config, features))


def _collect(
    config: TokenizerConfig, wavs: Mapping[str, str], features: FeatureExtractor
) -> tuple[np.ndarray, np.ndarray]:
    """Features and log-mel frames of whole utterances in random order, up to the frames that each half asks for."""
    from tqdm import tqdm

    analysis = LogMel(spectral_settings(config)) if config.codec.enabled else None
    wanted = {"semantic": config.semantic.kmeans.max_frames, "codec": config.codec.max_frames if analysis else 0}
    rows: dict[str, list[np.ndarray]] = {"semantic": [], "codec": []}
    counts = {"semantic": 0, "codec": 0}
    unreadable = []
    order = sorted(wavs)
    random.Random(config.semantic.kmeans.seed).shuffle(order)
    with tqdm(total=max(wanted.values()), desc="frames", unit_scale=True, disable=None) as progress:
        for utt_id in order:
            if all(counts[half] >= wanted[half] for half in wanted):
                break
            try:
                samples_N = read_audio(wavs[utt_id], sample_rate=config.sample_rate)
            except DataError as error:
                unreadable.append(f"{utt_id}: {error}")
                continue
            if counts["semantic"] < wanted["semantic"]:
                rows["semantic"].append(features.extract([samples_N])[0])
                counts["semantic"] += len(rows["semantic"][-1])
            if analysis is not None and counts["codec"] < wanted["codec"]:
                rows["codec"].append(analysis.analyse(samples_N))
                counts["codec"] += len(rows["codec"][-1])
            progress.update(num_frames(len(samples_N), hop_length=config.hop_length))
    for text in unreadable:
        LOG.warning("not used for learning: %s", text)
    if not counts["semantic"]:
        raise DataError(f"none of {len(wavs)} utterances is readable, {(unreadable or ['wav.scp is empty'])[0]}")
    return np.concatenate(rows["semantic"]), np.concatenate(rows["codec"] or [np.zeros((0, 1), np.float32)])
