"""Norms of natural speech: what a loop is, which lengths are expected, what is not known is not judged."""

import numpy as np
import pytest

from tokenchain_toolkit.metrics.speech_norms import (
    LOOP_FACTOR,
    MAX_PERIOD,
    SpeechNorms,
    learn_norms,
    length_line,
    longest_loop,
)


@pytest.mark.parametrize(
    ("tokens", "loop"),
    [
        ([], 0),
        ([4], 0),
        ([1, 2, 3, 4], 0),
        ([1, 2, 2, 2, 2, 3, 4, 5], 3),
        ([9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 8], 6),
        ([1, 2, 3, 9, 8, 7, 1, 2, 3], 0),  # a period longer than half of it
        ([1, 2, 1, 3, 1, 4, 1, 5], 1),
    ],
)
def test_a_loop_is_what_repeats_the_frames_one_period_before(tokens, loop):
    assert longest_loop(np.array(tokens, dtype=np.int16)) == loop


def test_loops_of_any_period_up_to_the_longest_are_found():
    for period in (1, 7, MAX_PERIOD):
        once = np.random.default_rng(period).permutation(1000)[:period]
        assert longest_loop(np.concatenate([once, once, once])) == 2 * period


def test_the_norms_are_the_line_and_the_loops_of_natural_speech():
    tokens = [3, 5, 8, 10]
    # Seven frames and four for each token; each fourth frame is as the one before.
    speech = [np.array([t - (t % 4 == 3) for t in range(7 + 4 * n)]) for n in tokens]
    norms = learn_norms(speech, tokens)
    assert (norms.extra_frames, norms.frames_per_token) == pytest.approx((7, 4))
    assert norms.expected_frames(6) == pytest.approx(31)
    assert norms.longest_loop == LOOP_FACTOR * 1


def test_texts_of_one_length_are_expected_to_last_their_mean():
    extra, slope = length_line([5, 5, 5], [10, 12, 17])
    assert extra + 5 * slope == pytest.approx(13)


def test_nothing_is_expected_without_a_norm_and_at_least_a_frame_with_one():
    assert SpeechNorms().expected_frames(9) == 0
    assert SpeechNorms(frames_per_token=5.0, extra_frames=-20.0).expected_frames(2) == 1
