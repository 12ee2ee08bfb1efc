"""TED-LIUM 2: talks with transcripts, 207 hours for training (Rousseau et al. 2014).

Reads release 2 (OpenSLR 19), ``TEDLIUM_release2/{train,dev,test}/{sph,stm}``, and cuts the utterances out of the talks.
``stm.py`` says what becomes of the transcripts. They are in lower case, and become upper case if text units of another
corpus that write in upper case are to write them. The speaker of an utterance is its talk. Times follow the preparation
that Kaldi and ESPnet publish:

* Training utterances begin 0.15 s earlier and end 0.1 s later than the transcripts say, which cut off edges of words.
  Where two then overlap, or did before, both are cut off in the middle of the overlap.
* Those of ``dev`` and ``test`` stay as they are, also where they overlap.
* An utterance may end up to 0.5 s after its talk does, and is cut off there.

``text_published`` of ``dev`` and ``test`` has their references with marks as words, of which the published error rates
are; ``score`` counts against both. ``skipped.tsv`` of each set lists what is left out, with the reason: utterances
without words, also of the published references; those that the audio does not hold or that the overlap leaves shorter
than 0.1 s; and, if the text units of another corpus are to write the texts, those that have characters that they cannot
write. If what has words and is left out is more than 1 % of a set, the preparation stops.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokenchain_toolkit.corpora.published import warn_if_incomplete
from tokenchain_toolkit.corpora.stm import StmSegment, read_stm
from tokenchain_toolkit.corpora.talk_cuts import SAMPLE_RATE, Cut, cut_talk, num_samples, plan_cuts
from tokenchain_toolkit.data.kaldi import PUBLISHED, write_data_dir, write_table
from tokenchain_toolkit.data.stamp import StageStamp
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import write_text
from tokenchain_toolkit.text.bpe import TextTokenizer
from tokenchain_toolkit.text.normalise import get_normaliser

logger = logging.getLogger(__name__)

RELEASE = "TEDLIUM_release2"
SETS = ("train", "dev", "test")
PADDED_SETS = ("train",)
VERSION = 2  # raise it when the same release gives another corpus
MAX_SKIPPED = 0.01
NO_WORDS = "no words"


@dataclass
class Selection:
    """What of a set is used: utterances of each talk and their texts, two of each, and why others are left out."""

    cuts: dict[str, dict[str, Cut]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def prepare_tedlium2(
    out: Path,
    *,
    root: Path,
    token_list: TextTokenizer | None = None,
    overwrite: bool = False,
) -> bool:
    """Write ``train``, ``dev`` and ``test`` below ``out``, and their audio below ``out/wav``; goes on after a kill.

    Args:
        out: Folder of data directories.
        root: The unpacked release, or the folder that holds it.
        token_list: Text units that must be able to write the texts, and that set their case; None for any.
        overwrite: Write again what is up to date.

    Returns:
        False if everything was up to date.

    Raises:
        DataError: A folder, a talk or a transcript is missing or not as it must be, or too much cannot be used.
    """
    release = find_release(root)
    transcripts = {name: sorted((release / name / "stm").glob("*.stm")) for name in SETS}
    talks = {name: check_talks(release / name, transcripts[name]) for name in SETS}
    for name in SETS:
        warn_if_incomplete(f"TED-LIUM 2 {name}", len(talks[name]), release / name)
    config = {
        "corpus": "tedlium2",
        "version": VERSION,
        "token_list": token_list.tokens if token_list else None,
        "audio": _digest_of_talks(talks),
    }
    audio = out.resolve() / "wav"
    stamp = StageStamp(audio, inputs=[path for paths in transcripts.values() for path in paths], config=config)
    if not stamp.begin(overwrite=overwrite, also=[out / name for name in SETS]):
        logger.info("TED-LIUM 2 in %s is up to date", out)
        return False
    for name in SETS:
        marks: Counter[str] = Counter()
        segments = [segment for path in transcripts[name] for segment in read_stm(path, marks)]
        found = select_utterances(segments, talks[name], token_list=token_list, padded=name in PADDED_SETS)
        _check_skipped(out / name, found.skipped, len(segments))
        for talk, cuts in found.cuts.items():
            cut_talk(talks[name][talk], cuts, audio / name / talk)
        _write_tables(out / name, audio / name, found)
        if name not in PADDED_SETS:
            write_table(out / name / PUBLISHED, found.published)
        removed = ", ".join(f"{count} {mark}" for mark, count in marks.most_common())
        logger.info("%s: marks removed from the texts: %s", out / name, removed or "none")
    stamp.finish(also=[out / name for name in SETS])
    return True


def find_release(folder: Path) -> Path:
    """The folder with ``train``, ``dev`` and ``test``: the given one, or ``TEDLIUM_release2`` in it.

    Raises:
        DataError: There is none.
    """
    for release in (folder, folder / RELEASE):
        if all((release / name / "stm").is_dir() and (release / name / "sph").is_dir() for name in SETS):
            return release
    raise DataError(
        f"{folder.resolve()} holds no {RELEASE}/{{{','.join(SETS)}}}/{{sph,stm}}; fetch TEDLIUM_release2.tar.gz from "
        "openslr.org/19, unpack it, and set TEDLIUM2= in db.sh to the folder"
    )


def check_talks(folder: Path, transcripts: Sequence[Path]) -> dict[str, Path]:
    """Audio file of each talk of a set, each with a transcript.

    Raises:
        DataError: A talk lacks the one or the other.
    """
    talks = {path.stem: path for path in sorted((folder / "sph").glob("*.sph"))}
    transcribed = {path.stem for path in transcripts}
    for missing, what in ((transcribed - talks.keys(), "no sph"), (talks.keys() - transcribed, "no stm")):
        if missing:
            names = ", ".join(sorted(missing)[:5])
            raise DataError(f"{folder}: {len(missing)} talks have {what} file: {names}; unpack the release again")
    if not talks:
        raise DataError(f"{folder} holds no talks; unpack the release again")
    return talks


def _digest_of_talks(talks: Mapping[str, Mapping[str, Path]]) -> str:
    """Hash of names, sizes and times of the audio files: reading all of them would take long where nothing is to do."""
    files = [path for paths in talks.values() for path in paths.values()]
    told = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def select_utterances(
    segments: Sequence[StmSegment],
    talks: Mapping[str, Path],
    *,
    token_list: TextTokenizer | None,
    padded: bool,
) -> Selection:
    """What of the segments of a set can be used.

    Args:
        segments: Of all talks.
        talks: Audio file of each talk.
        token_list: Text units that must be able to write the texts, and that set their case; None for any.
        padded: As of ``plan_cuts``.

    Raises:
        DataError: A talk is missing or is not as it must be.
    """
    by_talk: dict[str, list[StmSegment]] = {}
    for segment in segments:
        by_talk.setdefault(segment.talk, []).append(segment)
    write = get_normaliser("lower" if token_list is None or _writes_lower_case(token_list) else "upper")
    found = Selection()
    for talk, spoken in sorted(by_talk.items()):
        if talk not in talks:
            raise DataError(f"{talk}.sph is missing, and a transcript is of that talk; unpack the release again")
        cuts, refused = plan_cuts(spoken, num_samples(talks[talk]), padded=padded)
        texts = {segment.utt_id: write(segment.text) for segment in spoken}
        faults = {utt_id: _fault_of_text(text, token_list) for utt_id, text in texts.items()}
        found.skipped |= refused | {utt_id: reason for utt_id, reason in faults.items() if reason}
        found.cuts[talk] = {utt_id: cut for utt_id, cut in cuts.items() if utt_id not in found.skipped}
        found.texts |= {utt_id: texts[utt_id] for utt_id in found.cuts[talk]}
        published = {segment.utt_id: write(segment.published) for segment in spoken}
        found.published |= {utt_id: published[utt_id] for utt_id in found.cuts[talk]}
    return found


def _writes_lower_case(token_list: TextTokenizer) -> bool:
    """Whether what these text units write is in lower case."""
    special = {token_list.blank_id, token_list.unk_id, token_list.sos_eos_id}
    return any(token.islower() for index, token in enumerate(token_list.tokens) if index not in special)


def _fault_of_text(text: str, token_list: TextTokenizer | None) -> str | None:
    """Why a text cannot be used; None if it can."""
    if not text:
        return NO_WORDS
    unknown = token_list.unknown_characters(text) if token_list else []
    return f"characters that the token list does not know: {' '.join(unknown)}" if unknown else None


def _check_skipped(folder: Path, skipped: Mapping[str, str], total: int) -> None:
    """Stop if too much of what has words cannot be used.

    Raises:
        DataError: It is more than ``MAX_SKIPPED``.
    """
    unusable = {utt_id: reason for utt_id, reason in skipped.items() if reason != NO_WORDS}
    if len(unusable) > MAX_SKIPPED * total:
        examples = "".join(f"\n  {utt_id}: {reason}" for utt_id, reason in sorted(unusable.items())[:5])
        raise DataError(
            f"{folder}: {len(unusable)} of {total} utterances cannot be used, more than {MAX_SKIPPED:.0%}; unpack the "
            f"release again if the audio is short, or choose other text units:{examples}"
        )


def _write_tables(folder: Path, audio: Path, found: Selection) -> None:
    """Write the Kaldi tables and the list of what was left out."""
    speakers = {utt_id: talk for talk, cuts in found.cuts.items() for utt_id in cuts}
    wavs = {utt_id: str(audio / talk / f"{utt_id}.wav") for utt_id, talk in speakers.items()}
    write_data_dir(folder, wavs=wavs, texts=found.texts, speakers=speakers)
    write_text(folder / "skipped.tsv", "".join(f"{utt_id}\t{why}\n" for utt_id, why in sorted(found.skipped.items())))
    samples = sum(cut.end - cut.first for cuts in found.cuts.values() for cut in cuts.values())
    hours = samples / SAMPLE_RATE / 3600
    logger.info("%s: %d utterances, %.2f h; %d left out", folder, len(wavs), hours, len(found.skipped))
