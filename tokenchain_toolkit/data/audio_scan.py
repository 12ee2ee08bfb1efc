"""Judging one audio file by all of its samples.

Shape suffixes: T samples, C channels.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FULL_SCALE = 1 - 1.5 / 2**15  # the two loudest values of 16-bit audio
CLIPPED_SHARE = 0.001
BLOCK_FRAMES = 1 << 18
WAV_SIZE = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)  # as libsndfile reports a wrong header
GIVEN = "(in a recipe --validate_args of run.sh)"  # how an option gets to stage validate
STREAMED = 0x7FFF0000  # programs that write WAV to a pipe put at least this for "unknown size"


@dataclass(frozen=True)
class AudioRules:
    """What audio must be like; another rate and more channels are let through with ``allow_resample``."""

    sample_rate: int = 16000
    min_seconds: float = 0.1
    max_seconds: float = 60.0
    allow_resample: bool = False


@dataclass
class AudioScan:
    """What the scan of one file found; findings are (what is wrong, remedy)."""

    seconds: float = 0.0
    sample_rate: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)


def scan_audio(path: str, *, rules: AudioRules) -> AudioScan:
    """Read one file block by block and judge it."""
    import soundfile

    audio = AudioScan()
    if not Path(path).is_file():
        audio.problems.append(("is no file", "mend the path, or remove the utterance from all tables"))
        return audio
    try:
        with soundfile.SoundFile(path) as handle:
            audio.sample_rate = handle.samplerate
            _judge_format(audio, handle, rules)
            _judge_samples(audio, handle, rules)
    # TypeError: soundfile takes .raw for headerless audio and asks for its rate.
    except (soundfile.SoundFileError, TypeError) as error:
        audio.problems.append(
            (f"is not readable as audio ({error})", "write it again as WAV or FLAC, or remove the utterance")
        )
    return audio


def _judge_format(audio: AudioScan, handle: Any, rules: AudioRules) -> None:
    """The file must be whole; rate and channels must be the expected ones, unless resampling is allowed."""
    size = WAV_SIZE.search(handle.extra_info)
    if size and int(size[2]) < int(size[1]) < STREAMED:
        what = f"is cut off: its header promises {size[1]} bytes of audio, and {size[2]} are there"
        audio.problems.append((what, "copy or download the file again, or remove the utterance"))
    if rules.allow_resample:
        return
    if audio.sample_rate != rules.sample_rate:
        what = f"has {audio.sample_rate} Hz, not {rules.sample_rate} Hz"
        audio.problems.append((what, f"resample it, or have it resampled when it is read, by --allow_resample {GIVEN}"))
    if handle.channels != 1:
        audio.problems.append(
            (
                f"has {handle.channels} channels, not one",
                f"mix it down, or have the channels averaged, by --allow_resample {GIVEN}",
            )
        )


def _judge_samples(audio: AudioScan, handle: Any, rules: AudioRules) -> None:
    """Length, finite values, clipping and silence, over all samples."""
    import numpy as np

    num_frames, num_loud, peak, finite = 0, 0, 0.0, True
    for block_TC in handle.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
        num_frames += len(block_TC)
        magnitude_T = np.abs(block_TC).max(axis=1)
        finite = finite and bool(np.isfinite(magnitude_T).all())
        num_loud += int((magnitude_T >= FULL_SCALE).sum())
        peak = max(peak, float(magnitude_T.max(initial=0.0)))
    audio.seconds = num_frames / audio.sample_rate
    length = f"({audio.seconds:.2f} s)"
    if not num_frames:
        audio.problems.append(("holds no samples", "record it again, or remove the utterance from all tables"))
    elif audio.seconds < rules.min_seconds:
        remedy = f"remove the utterance, or lower --min_seconds {GIVEN}"
        audio.problems.append((f"is shorter than {rules.min_seconds:g} s {length}", remedy))
    elif audio.seconds > rules.max_seconds:
        remedy = f"cut it into utterances, or raise --max_seconds {GIVEN}"
        audio.problems.append((f"is longer than {rules.max_seconds:g} s {length}", remedy))
    if not finite:
        audio.problems.append(("holds NaN or infinite samples", "write it again, or remove the utterance"))
    elif num_frames and peak == 0.0:
        audio.warnings.append(("is silent: all samples are zero", "check the recording"))
    elif num_loud > CLIPPED_SHARE * num_frames:
        share = 100 * num_loud / num_frames
        audio.warnings.append((f"is clipped: {share:.1f} % of the samples are at full scale", "record it more softly"))
