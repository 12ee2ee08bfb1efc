"""Chunks keep every frame once, with context on both sides."""

import pytest

from tokenchain_toolkit.features.chunking import Chunk, cut_into_chunks


@pytest.mark.parametrize("frames", [1, 10, 11, 13, 14, 27, 100])
@pytest.mark.parametrize("overlap", [0, 1, 4])
def test_every_frame_is_kept_once_and_has_its_context(frames, overlap):
    chunks = cut_into_chunks(frames, size=10, overlap=overlap)
    assert [frame for one in chunks for frame in range(one.keep_start, one.keep_stop)] == list(range(frames))
    for one in chunks:
        assert one.stop - one.start <= 10
        assert one.start == 0 or one.keep_start - one.start >= overlap
        assert one.stop == frames or one.stop - one.keep_stop >= overlap


def test_a_short_utterance_is_one_chunk():
    assert cut_into_chunks(10, size=10, overlap=4) == [Chunk(0, 10, 0, 10)]
