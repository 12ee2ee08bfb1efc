"""What the published corpora share: transcripts matched with recordings, held-out parts, and sets written to disk."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import soundfile

from tokenchain_toolkit.corpora.polyphase import resample_polyphase
from tokenchain_toolkit.data.audio import read_audio, write_audio
from tokenchain_toolkit.data.kaldi import write_data_dir
from tokenchain_toolkit.data.stamp import StageStamp
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import atomic_path

logger = logging.getLogger(__name__)

SAMPLE_RATE = 16000
SHOWN = 5


@dataclass(frozen=True)
class Transcript:
    """One transcript: the name of its recording, the words, and where they stand (``file:line``)."""

    name: str
    text: str
    place: str


@dataclass(frozen=True)
class Utterance:
    """One utterance of a corpus; ``utt_id`` begins with the speaker."""

    utt_id: str
    speaker: str
    text: str
    audio: Path


def read_lines(path: Path, *, remedy: str) -> list[tuple[str, str]]:
    """The lines of a text file that are not empty, as (``file:line``, line).

    Args:
        path: File in UTF-8.
        remedy: What to do if it is missing or something else.

    Raises:
        DataError: It is.
    """
    if not path.is_file():
        raise DataError(f"{path.absolute()} is missing; {remedy}")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}); {remedy}") from error
    return [(f"{path}:{number}", line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]


def match_recordings(
    transcripts: Sequence[Transcript],
    recordings: Mapping[str, Path],
    *,
    remedy: str,
    every_recording: bool = True,
) -> list[tuple[Transcript, Path]]:
    """Join transcripts with recordings of the same name.

    Args:
        transcripts: In any order.
        recordings: Audio file of each name.
        remedy: What to do about a corpus that is not whole.
        every_recording: Whether a recording without a transcript is a fault of the copy; else it is left out and named.

    Raises:
        DataError: A transcript has no recording, is empty or stands twice, or a recording has no transcript; all such
            faults are counted and the first ones named.
    """
    faults, first_place = [], dict[str, str]()
    for each in transcripts:
        if each.name in first_place:
            faults.append(f"{each.place}: {each.name} stands twice, first in {first_place[each.name]}")
        elif each.name not in recordings:
            faults.append(f"{each.place}: {each.name} has no recording")
        elif not each.text:
            faults.append(f"{each.place}: {each.name} has no words")
        first_place.setdefault(each.name, each.place)
    silent = [path for name, path in sorted(recordings.items()) if name not in first_place]
    if every_recording:
        faults += [f"{path} has no transcript" for path in silent]
    elif silent:
        logger.warning("left out, as they have no transcript: %s", _listed([str(path) for path in silent]))
    if faults:
        raise DataError(f"{len(faults)} faults: {_listed(faults)}; {remedy}")
    return [(each, recordings[each.name]) for each in transcripts]


def hold_out_speakers(
    utterances: Sequence[Utterance], *, share: float = 0.05
) -> tuple[list[Utterance], list[Utterance]]:
    """Part utterances by speaker into training and validation; a speaker's name alone decides its place in the draw.

    Args:
        utterances: Of several speakers.
        share: Least share of the utterances to hold out.

    Returns:
        Those for training, and those held out.

    Raises:
        DataError: There is only one speaker.
    """
    counts = Counter(each.speaker for each in utterances)
    order = sorted(counts, key=lambda name: hashlib.sha256(name.encode()).digest())
    held: set[str] = set()
    for speaker in order[:-1]:
        if sum(counts[name] for name in held) >= share * len(utterances):
            break
        held.add(speaker)
    if not held:
        raise DataError(f"{len(order)} speaker is too few to hold one out for validation; name a set with more")
    train = [each for each in utterances if each.speaker not in held]
    return train, [each for each in utterances if each.speaker in held]


def held_out_size(wanted: int, total: int) -> int:
    """Utterances to hold out of ``total``: as many as wanted, of an excerpt 15 % at most, and at least one."""
    return max(1, min(wanted, int(0.15 * total)))


def hold_out_last(utterances: Sequence[Utterance], wanted: int) -> tuple[list[Utterance], ...]:
    """Part utterances in their order into training, validation and test, the last two of ``wanted`` each.

    An excerpt has smaller parts, see ``held_out_size``.
    """
    size = held_out_size(wanted, len(utterances))
    ordered = sorted(utterances, key=lambda each: each.utt_id)
    return ordered[: -2 * size], ordered[-2 * size : -size], ordered[-size:]


def write_sets(
    out: Path,
    sets: Mapping[str, Sequence[Utterance]],
    *,
    corpus: str,
    resample: bool = False,
    num_jobs: int = 2,
    overwrite: bool = False,
) -> bool:
    """Write data directories below ``out``.

    Args:
        out: Folder of data directories.
        sets: Utterances of each set.
        corpus: Name of the corpus, for the stamp.
        resample: Write the audio at 16 kHz below ``out/wav``, going on where a killed run ended; False leaves it where
            it is.
        num_jobs: Files resampled at the same time.
        overwrite: Write again what is up to date.

    Returns:
        False if everything was up to date.

    Raises:
        DataError: A set is empty, an id stands twice in it, or audio is unreadable.
    """
    for name, utterances in sets.items():
        _check_set(name, utterances)
    if resample:
        return _write_resampled(out, sets, corpus=corpus, num_jobs=num_jobs, overwrite=overwrite)
    written = [
        _write_in_place(out / name, utterances, corpus=corpus, overwrite=overwrite) for name, utterances in sets.items()
    ]
    return any(written)


def _check_set(name: str, utterances: Sequence[Utterance]) -> None:
    if not utterances:
        raise DataError(f"no utterances are left for the set {name}; name a larger one")
    seen: dict[str, Path] = {}
    for each in utterances:
        if each.utt_id in seen:
            raise DataError(
                f"{each.audio} and {seen[each.utt_id]} both give the utterance {each.utt_id} of the set {name}; "
                "remove one of the two copies"
            )
        seen[each.utt_id] = each.audio


def _write_in_place(folder: Path, utterances: Sequence[Utterance], *, corpus: str, overwrite: bool) -> bool:
    stamp = StageStamp(folder, inputs=[], config={"corpus": corpus, "content": _fingerprint({"": utterances})})
    if not stamp.begin(overwrite=overwrite):
        logger.info("%s is up to date", folder)
        return False
    _write_tables(folder, utterances, {each.utt_id: str(each.audio.absolute()) for each in utterances})
    stamp.finish()
    return True


def _write_resampled(
    out: Path, sets: Mapping[str, Sequence[Utterance]], *, corpus: str, num_jobs: int, overwrite: bool
) -> bool:
    audio = out.resolve() / "wav"
    stamp = StageStamp(audio, inputs=[], config={"corpus": corpus, "content": _fingerprint(sets)})
    if not stamp.begin(overwrite=overwrite, also=[out / name for name in sets]):
        logger.info("%s in %s is up to date", corpus, out)
        return False
    for name, utterances in sets.items():
        wavs = {each.utt_id: audio / name / f"{each.utt_id}.wav" for each in utterances}
        _resample_files({each.audio: wavs[each.utt_id] for each in utterances}, num_jobs=num_jobs, label=name)
        _write_tables(out / name, utterances, {utt_id: str(path) for utt_id, path in wavs.items()})
    stamp.finish(also=[out / name for name in sets])
    return True


def _resample_files(files: Mapping[Path, Path], *, num_jobs: int, label: str) -> None:
    """Write each audio file at ``SAMPLE_RATE``; what a killed run has finished is kept."""
    from tqdm import tqdm

    missing = {source: target for source, target in files.items() if not target.is_file()}
    with ThreadPoolExecutor(max_workers=num_jobs) as pool:
        done = pool.map(_resample_file, missing.keys(), missing.values())
        for _ in tqdm(done, total=len(missing), desc=f"audio of {label}", unit="utt", disable=None):
            pass


def _resample_file(source: Path, target: Path) -> None:
    try:
        rate = soundfile.info(source).samplerate
    except soundfile.SoundFileError as error:
        raise DataError(f"{source}: not readable as audio ({error}); fetch the corpus again") from error
    samples_T = resample_polyphase(read_audio(source, sample_rate=rate), rate, SAMPLE_RATE)
    with atomic_path(target) as temporary:
        write_audio(temporary, samples_T, sample_rate=SAMPLE_RATE)


def _write_tables(folder: Path, utterances: Sequence[Utterance], wavs: Mapping[str, str]) -> None:
    texts = {each.utt_id: each.text for each in utterances}
    write_data_dir(folder, wavs=wavs, texts=texts, speakers={each.utt_id: each.speaker for each in utterances})
    speakers = len({each.speaker for each in utterances})
    logger.info("%s: %d utterances, %d speakers", folder, len(utterances), speakers)


def _fingerprint(sets: Mapping[str, Sequence[Utterance]]) -> str:
    """Hash of the utterances and of size and time of their audio files."""
    digest = hashlib.sha256()
    for name, utterances in sets.items():
        for each in utterances:
            stat = each.audio.stat()
            row = [name, each.utt_id, each.speaker, each.text, str(each.audio.absolute())]
            digest.update(json.dumps([*row, stat.st_size, stat.st_mtime_ns]).encode())
    return digest.hexdigest()


def _listed(findings: Sequence[str]) -> str:
    more = len(findings) - SHOWN
    return "; ".join(findings[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
