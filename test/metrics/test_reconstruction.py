"""Measures of rebuilt speech: perfect for a copy, worse for what is worse."""

import sys

import numpy as np
import pytest

from tokenchain_toolkit.errors import MissingDependencyError
from tokenchain_toolkit.metrics.reconstruction import measure_reconstruction, mel_distance


def voice(pitch, seconds=1.5):
    """A buzz with formant-like humps, whose loudness comes and goes as syllables do."""
    time_N = np.arange(int(16000 * seconds)) / 16000
    sound_N = sum(np.sin(2 * np.pi * k * pitch * time_N) / (1 + abs(k * pitch - 700) / 200) for k in range(1, 20))
    return (0.05 * sound_N * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * time_N))).astype(np.float32)


def rates(original=16000, rebuilt=16000):
    return {"original_rate": original, "rebuilt_rate": rebuilt}


def test_mel_distance_is_zero_for_a_copy_and_counts_decibels():
    assert mel_distance(voice(120), voice(120)) == 0
    loud_N = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    assert mel_distance(loud_N, loud_N / 2) == pytest.approx(6.02, abs=0.01)


def test_a_copy_is_perfect_and_worse_is_worse():
    pytest.importorskip("pesq", reason="left out: the extra 'metrics' is not installed")
    original = voice(120)
    noise_N = np.random.default_rng(0).standard_normal(len(original)).astype(np.float32)
    copy = measure_reconstruction([original], [original], **rates())
    little, much = (
        measure_reconstruction([original], [original + level * noise_N], **rates()) for level in (0.002, 0.05)
    )
    assert copy.stoi == pytest.approx(1, abs=1e-4) and copy.mel_distance == 0 and copy.gross_pitch_error == 0
    assert copy.pesq > 4.5 and copy.pesq > little.pesq > much.pesq
    assert copy.stoi > little.stoi > much.stoi and 0 < little.mel_distance < much.mel_distance


def test_another_pitch_is_a_gross_error_and_a_longer_end_is_not_looked_at():
    pytest.importorskip("pyworld", reason="left out: the extra 'metrics' is not installed")
    found = measure_reconstruction([voice(120)], [voice(180)], **rates())
    assert found.gross_pitch_error > 0.9
    longer = np.concatenate([voice(120), np.ones(4000, np.float32)])
    assert measure_reconstruction([voice(120)], [longer], **rates()).mel_distance == 0


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(MissingDependencyError, match="dev metrics"):
        measure_reconstruction([voice(120)], [voice(120)], **rates())
