"""Distortions are what their names say, and the distance counts units."""

import numpy as np
import pytest

from tokenchain_toolkit.metrics.robustness import add_noise, distortions, reverberate, robustness, unit_edit_distance


@pytest.fixture
def tone():
    return (0.2 * np.sin(2 * np.pi * 300 * np.arange(16000) / 16000)).astype(np.float32)


def test_equal_units_have_no_distance_whatever_their_durations():
    assert unit_edit_distance([np.array([1, 1, 2, 3])], [np.array([1, 2, 2, 2, 3, 3])]) == 0
    assert unit_edit_distance([np.array([1, 2, 3, 4])], [np.array([1, 5, 5, 3])]) == 0.5
    assert unit_edit_distance([np.array([0]), np.array([1, 2, 1])], [np.array([1]), np.array([1, 2, 1])]) == 0.25


@pytest.mark.parametrize("snr_db", [0, 20])
def test_noise_has_the_asked_level(tone, snr_db):
    noise_N = add_noise(tone, np.random.default_rng(0), snr_db=snr_db) - tone
    assert 10 * np.log10(np.square(tone).mean() / np.square(noise_N).mean()) == pytest.approx(snr_db, abs=0.2)


def test_an_echo_is_as_strong_as_the_click_and_dies_away():
    click_N = np.zeros(16000, np.float32)
    click_N[100] = 1
    echo_N = reverberate(click_N, np.random.default_rng(0), sample_rate=16000)
    echo_N[100] -= 1
    assert np.square(echo_N).sum() == pytest.approx(1, rel=1e-3) and np.abs(echo_N[:100]).max() < 1e-6
    assert np.abs(echo_N[6600:]).max() < 1e-4 < np.abs(echo_N[101:1000]).max()


def test_the_same_seed_gives_the_same_distortions(tone):
    first, second = distortions(sample_rate=16000), distortions(sample_rate=16000)
    for name, distort in first.items():
        assert np.array_equal(distort(tone), second[name](tone)), name
        assert distort(tone).dtype == np.float32, name
    assert len(first["speed 1.1"](tone)) == pytest.approx(16000 / 1.1, abs=1)


def test_tokens_that_follow_the_sign_alone_feel_no_gain(tone):
    found = robustness(lambda samples_N: (samples_N[::40] > 0).astype(np.int16), [tone], sample_rate=16000)
    assert found["gain -12 dB"] == 0 < found["noise 10 dB"]
