"""Two frame rates: alignment in time, and halves that are not of the same audio."""

import numpy as np
import pytest

from tokenchain_toolkit.data.frame_rates import FrameRates
from tokenchain_toolkit.errors import DataError


@pytest.mark.parametrize(
    ("acoustic", "expected"), [(50, [0, 1, 2, 3]), (75, [0, 1, 1, 2, 3, 3]), (100, [0, 0, 1, 1, 2, 2, 3, 3])]
)
def test_each_acoustic_frame_is_given_the_token_that_lasts_at_its_middle(acoustic, expected):
    rates = FrameRates(50, acoustic)
    aligned = rates.align(np.arange(4), rates.acoustic_frames(4))
    assert rates.tokens_per_frame == 1 and aligned.tolist() == expected


def test_a_slow_acoustic_frame_is_given_all_of_its_tokens():
    rates = FrameRates(50, 12.5)
    assert rates.tokens_per_frame == 4
    assert rates.align(np.arange(8), 2).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize(("acoustic", "frames"), [(75, 7), (12.5, 3)])
def test_past_the_end_the_last_token_repeats(acoustic, frames):
    aligned = FrameRates(50, acoustic).align(np.arange(4), frames)
    assert len(aligned) == frames and aligned.max() == aligned.flat[-1] == 3


@pytest.mark.parametrize(
    ("acoustic", "frames", "passes"),
    [
        (50, 100, True),
        (50, 101, False),
        (75, 150, True),
        (75, 152, True),
        (75, 156, False),
        (12.5, 25, True),
        (12.5, 27, True),
        (12.5, 28, False),
        (12.5, 100, False),
    ],
)
def test_durations_must_agree(acoustic, frames, passes):
    rates = FrameRates(50, acoustic)
    if passes:
        return rates.check(100, frames, name="utt7")
    with pytest.raises(DataError, match="utt7 has 100 semantic tokens at 50 Hz"):
        rates.check(100, frames, name="utt7")
    return None
