"""Where utterances lie in their talk."""

import pytest

from tokenchain_toolkit.corpora.stm import StmSegment
from tokenchain_toolkit.corpora.talk_cuts import SAMPLE_RATE, pad_segments, plan_cuts


def segments(*times):
    return [StmSegment("talk", start, end, "words", "words", line) for line, (start, end) in enumerate(times, start=1)]


@pytest.mark.parametrize(
    ("times", "padded"),
    [
        ([(0.2, 6.2), (6.3, 9.8)], [(0.05, 6.225), (6.225, 9.9)]),  # the room would overlap
        ([(1.0, 2.0), (3.0, 4.0)], [(0.85, 2.1), (2.85, 4.1)]),
        ([(0.1, 2.0)], [(0.0, 2.1)]),  # not before the talk
        ([(16.12, 25.02), (14.95, 16.19)], [(16.13, 25.12), (14.8, 16.13)]),  # overlapped before, and out of order
    ],
)
def test_training_utterances_get_room_and_share_an_overlap(times, padded):
    for found, expected in zip(pad_segments(segments(*times)), padded, strict=True):
        assert found == pytest.approx(expected)


def test_overlapping_utterances_of_a_test_set_stay_as_they_are():
    cuts, refused = plan_cuts(segments((1.0, 3.0), (2.5, 4.0)), 5 * SAMPLE_RATE, padded=False)
    assert not refused
    assert [(cut.first / SAMPLE_RATE, cut.end / SAMPLE_RATE) for cut in cuts.values()] == [(1.0, 3.0), (2.5, 4.0)]


def test_an_end_after_the_talk_is_cut_off_up_to_half_a_second():
    cuts, refused = plan_cuts(segments((1.0, 2.4), (1.5, 2.6)), 2 * SAMPLE_RATE, padded=False)
    assert cuts["talk-0000100-0000240"].end == 2 * SAMPLE_RATE
    assert refused == {"talk-0000150-0000260": "its talk's audio ends before it"}


def test_an_utterance_that_the_overlap_leaves_too_short_is_refused():
    cuts, refused = plan_cuts(segments((1.0, 3.0), (2.0, 2.1), (2.05, 2.15)), 4 * SAMPLE_RATE, padded=True)
    assert "shorter than 0.1 s" in refused["talk-0000200-0000210"]
    assert cuts.keys() | refused.keys() == {one.utt_id for one in segments((1.0, 3.0), (2.0, 2.1), (2.05, 2.15))}
