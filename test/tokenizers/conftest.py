"""A tiny learned tokenizer and audio that it was learned from."""

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.config.tokenizer import CodecConfig, HeadConfig, KmeansConfig, SemanticConfig, TokenizerConfig
from tokenchain_toolkit.tokenizers.learning import learn_tokenizer


def sweep(seconds, seed):
    """A harmonic sound whose pitch and loudness move, with a little noise."""
    random = np.random.default_rng(seed)
    time_N = np.arange(int(seconds * 16000)) / 16000
    pitch = 100 + 80 * random.random() + 30 * np.sin(2 * np.pi * 1.5 * time_N + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    sound = sum(np.sin(k * phase) / k for k in range(1, 12)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time_N))
    return (0.1 * sound + 0.002 * random.standard_normal(len(time_N))).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_config():
    return TokenizerConfig(
        semantic=SemanticConfig(kmeans=KmeansConfig(num_clusters=12, iterations=3)),
        codec=CodecConfig(
            num_mels=40,
            num_quantizers=3,
            codebook_size=16,
            iterations=3,
            griffin_lim_iterations=8,
            head=HeadConfig(steps=0),
        ),
    )


@pytest.fixture(scope="session")
def wavs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wavs")
    table = {}
    for index in range(6):
        path = folder / f"utt{index}.wav"
        soundfile.write(path, sweep(0.8 + 0.11 * index, index), 16000, subtype="FLOAT")
        table[f"utt{index}"] = str(path)
    return table


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory, tiny_config, wavs):
    folder = tmp_path_factory.mktemp("exp") / "tokenizer_tiny"
    learn_tokenizer(tiny_config, wavs, folder)
    return folder
