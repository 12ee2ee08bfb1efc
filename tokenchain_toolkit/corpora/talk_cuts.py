"""Cutting utterances out of long recordings by the times of their transcripts."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from tokenchain_toolkit.corpora.stm import StmSegment
from tokenchain_toolkit.errors import DataError

SAMPLE_RATE = 16000
START_PADDING, END_PADDING = 0.15, 0.1  # seconds
MAX_OVERSHOOT = 0.5  # seconds by which an utterance may end after its talk
MIN_SECONDS = 0.1


@dataclass(frozen=True)
class Cut:
    """Where an utterance lies in its talk, in samples."""

    first: int
    end: int


def num_samples(talk: Path) -> int:
    """Length of a talk in samples.

    Raises:
        DataError: It cannot be read, or is no mono audio at 16 kHz.
    """
    try:
        info = soundfile.info(talk)
    except soundfile.SoundFileError as error:
        raise DataError(
            f"{talk}: not readable as audio ({error}); unpack the release again, or, if its header says 'shorten', "
            "write it uncompressed with sph2pipe -p"
        ) from error
    if (info.samplerate, info.channels) != (SAMPLE_RATE, 1):
        raise DataError(
            f"{talk}: {info.samplerate} Hz and {info.channels} channels, where release 2 has {SAMPLE_RATE} Hz and one; "
            "take the files of the release"
        )
    return info.frames


def plan_cuts(segments: Sequence[StmSegment], length: int, *, padded: bool) -> tuple[dict[str, Cut], dict[str, str]]:
    """Where the utterances of one talk lie, and why some cannot be cut out.

    Args:
        segments: Of one talk.
        length: Samples of the talk.
        padded: Give the utterances room at their edges, and cut off where they overlap.

    Returns:
        Utterance -> place, and utterance -> reason.
    """
    times = pad_segments(segments) if padded else [(one.start, one.end) for one in segments]
    duration = length / SAMPLE_RATE
    cuts, refused = {}, {}
    for segment, (start, end) in zip(segments, times, strict=True):
        if segment.end > duration + MAX_OVERSHOOT:
            refused[segment.utt_id] = "its talk's audio ends before it"
        elif min(end, duration) - start < MIN_SECONDS:
            refused[segment.utt_id] = f"shorter than {MIN_SECONDS} s after overlaps are cut off"
        else:
            cuts[segment.utt_id] = Cut(round(start * SAMPLE_RATE), min(round(end * SAMPLE_RATE), length))
    return cuts, refused


def pad_segments(segments: Sequence[StmSegment]) -> list[tuple[float, float]]:
    """Start and end of each segment of one talk, in seconds, with room at the edges and no overlap between neighbours.

    Neighbours are those that follow each other by the middle of their times.
    """
    last = max(one.end for one in segments) + END_PADDING
    starts = [max(0.0, one.start - START_PADDING) for one in segments]
    ends = [min(last, one.end + END_PADDING) for one in segments]
    order = sorted(range(len(segments)), key=lambda index: segments[index].start + segments[index].end)
    for this, following in zip(order, order[1:], strict=False):
        if ends[this] > starts[following]:
            ends[this] = starts[following] = (ends[this] + starts[following]) / 2
    return list(zip(starts, ends, strict=True))


def cut_talk(talk: Path, cuts: Mapping[str, Cut], folder: Path) -> None:
    """Write ``<utt_id>.wav`` for every utterance, with the talk's own samples; the folder is there only when whole."""
    if folder.is_dir() or not cuts:
        return
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with soundfile.SoundFile(talk) as audio:
        for utt_id, cut in cuts.items():
            audio.seek(cut.first)
            samples_T = audio.read(cut.end - cut.first, dtype="int16")
            soundfile.write(partial / f"{utt_id}.wav", samples_T, SAMPLE_RATE, subtype="PCM_16", format="WAV")
    partial.rename(folder)
