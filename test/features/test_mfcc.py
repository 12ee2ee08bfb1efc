"""MFCC features: the framing rule, normalisation, independence of the batch."""

import numpy as np
import pytest

from tokenchain_toolkit.config.tokenizer import MfccConfig, TokenizerConfig
from tokenchain_toolkit.features.interface import build_features
from tokenchain_toolkit.features.mfcc import MfccFeatures

HOP = 320


def noise(length, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(length)).astype(np.float32)


def extractor(**settings):
    return MfccFeatures(MfccConfig(**settings), sample_rate=16000, hop_length=HOP)


@pytest.mark.parametrize("length", [1, 2, 319, 320, 321, 399, 400, 639, 640, 641, 1024, 15999, 16000, 16001])
def test_there_are_ceil_n_over_hop_frames(length):
    [features_TD] = extractor().extract([noise(length)])
    assert features_TD.shape == (int(np.ceil(length / HOP)), 39)
    assert features_TD.dtype == np.float32 and np.isfinite(features_TD).all()


def test_features_are_the_same_alone_as_batched():
    batch = [noise(length, seed) for seed, length in enumerate((400, 16000, 5000, 321))]
    mfcc = extractor()
    for samples_N, together_TD in zip(batch, mfcc.extract(batch), strict=True):
        assert np.array_equal(mfcc.extract([samples_N])[0], together_TD)


def test_normalisation_removes_loudness_and_can_be_switched_off():
    samples_N = noise(16000)
    quiet_TD, loud_TD = extractor().extract([samples_N, 4 * samples_N])
    assert np.allclose(quiet_TD, loud_TD, atol=1e-3)
    assert np.allclose(loud_TD.mean(axis=0), 0, atol=1e-4) and np.allclose(loud_TD.std(axis=0), 1, atol=1e-3)
    quiet_TD, loud_TD = extractor(normalize="none").extract([samples_N, 4 * samples_N])
    assert not np.allclose(quiet_TD, loud_TD, atol=0.5)


@pytest.mark.parametrize(("order", "dim"), [(0, 13), (1, 26), (2, 39)])
def test_deltas_add_dimensions_after_the_cepstra(order, dim):
    mfcc = extractor(delta_order=order, normalize="none")
    [features_TD] = mfcc.extract([noise(8000)])
    [cepstra_TD] = extractor(delta_order=0, normalize="none").extract([noise(8000)])
    assert features_TD.shape[1] == mfcc.dim == dim
    assert np.array_equal(features_TD[:, :13], cepstra_TD)


def test_frames_are_centred_on_their_hop():
    samples_N = np.zeros(20 * HOP, np.float32)
    samples_N[10 * HOP + HOP // 2] = 1.0
    [cepstra_TD] = extractor(delta_order=0, normalize="none").extract([samples_N])
    assert cepstra_TD[:, 0].argmax() == 10


def test_silence_is_finite():
    [features_TD] = extractor().extract([np.zeros(3200, np.float32)])
    assert np.isfinite(features_TD).all()


def test_the_default_configuration_builds_mfcc_at_50_hz():
    features = build_features(TokenizerConfig())
    assert isinstance(features, MfccFeatures)
    assert (features.sample_rate, features.frame_rate, features.dim) == (16000, 50.0, 39)
