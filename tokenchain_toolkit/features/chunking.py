"""Cutting the frames of a long utterance into overlapping chunks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chunk:
    """Frames ``start`` to ``stop`` are computed, ``keep_start`` to ``keep_stop`` of them are kept."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def cut_into_chunks(frames: int, *, size: int, overlap: int) -> list[Chunk]:
    """Chunks whose kept parts are the frames 0 to ``frames``, each once and in order.

    Args:
        frames: Frames of the utterance, at least 1.
        size: Most frames of a chunk.
        overlap: Frames of context at each inner end; less than half of ``size``.
    """
    if frames <= size:
        return [Chunk(0, frames, 0, frames)]
    chunks = []
    keep_start = 0
    while keep_start < frames:
        start = max(keep_start - overlap, 0)
        stop = min(start + size, frames)
        keep_stop = frames if stop == frames else stop - overlap
        chunks.append(Chunk(start, stop, keep_start, keep_stop))
        keep_start = keep_stop
    return chunks
