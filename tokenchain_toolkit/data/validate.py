"""Checking a Kaldi data directory: all problems at once, each with its place and its remedy."""

import codecs
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tokenchain_toolkit import __version__
from tokenchain_toolkit.data.audio_scan import AudioRules, scan_audio
from tokenchain_toolkit.data.kaldi import read_rows, rows_of
from tokenchain_toolkit.data.stamp import read_stamp
from tokenchain_toolkit.errors import DataError, counted
from tokenchain_toolkit.files import write_json

TABLES = ("wav.scp", "text", "utt2spk")
VALID = ".valid"
BYTE_ORDER_MARK = "\ufeff"
UTT_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

Table = dict[str, tuple[int, str]]  # utt_id -> (line number, value)


class KnowsCharacters(Protocol):
    """A text tokenizer, which can say what it cannot write."""

    def unknown_characters(self, text: str) -> list[str]:
        """Characters of ``text`` that have no token."""


@dataclass
class ValidationReport:
    """What one data directory holds and what is wrong with it; a problem stops the recipe, a warning does not."""

    folder: str
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    num_utterances: int = 0
    num_speakers: int = 0
    vocabulary_size: int = 0
    seconds: float = 0.0
    sample_rates: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the directory may be used."""
        return not self.problems

    def summary(self) -> str:
        """One line: utterances, hours, speakers, words, rates."""
        rates = ", ".join(f"{rate} Hz ({count})" for rate, count in sorted(self.sample_rates.items()))
        return (
            f"{self.folder}: {self.num_utterances} utterances, {self.seconds / 3600:.2f} hours, "
            f"{self.num_speakers} speakers, {self.vocabulary_size} different words; {rates or 'no readable audio'}; "
            f"{counted(len(self.problems), 'problem')}, {counted(len(self.warnings), 'warning')}"
        )


def validate_data_dir(
    folder: Path,
    *,
    rules: AudioRules | None = None,
    token_list: KnowsCharacters | None = None,
    num_jobs: int = 2,
    overwrite: bool = False,
) -> ValidationReport:
    """Check tables, transcripts and every sample of the audio.

    A directory without problems gets a ``.valid`` file; while tables, audio files and settings stay as they are,
    the report is read from it. Nothing else is written, and no command in wav.scp is run.

    Args:
        folder: Directory with ``wav.scp``, ``text`` and ``utt2spk``.
        rules: What audio must be like; the defaults of ``AudioRules`` if None.
        token_list: If given, transcripts must be writable with it.
        num_jobs: Files read at the same time.
        overwrite: Check even if ``.valid`` says that nothing has changed.
    """
    folder, rules = Path(folder), rules or AudioRules()
    report = ValidationReport(folder=str(folder))
    tables = {name: _read_table(folder / name, report.problems) for name in TABLES}
    _check_tables(folder, tables, report.problems)
    wavs, texts, speakers = (tables[name] or {} for name in TABLES)
    if token_list is not None:
        _check_characters(folder / "text", texts, token_list, report.problems)
    fingerprint = _fingerprint(wavs, texts, speakers, rules)
    if not overwrite and not report.problems and (folder / VALID).is_file():
        stamp = read_stamp(folder / VALID)
        if stamp.get("fingerprint") == fingerprint:
            return ValidationReport(**stamp["report"])
    report.num_utterances = len(wavs)
    report.num_speakers = len({speaker for _, speaker in speakers.values()})
    report.vocabulary_size = len({word for _, text in texts.values() for word in text.split()})
    _check_all_audio(folder / "wav.scp", wavs, rules, num_jobs, report)
    if report.ok:
        write_json(folder / VALID, {"fingerprint": fingerprint, "report": asdict(report)})
    else:
        (folder / VALID).unlink(missing_ok=True)
    return report


def _finding(path: Path, number: int | None, utt_id: str, what: str, remedy: str) -> str:
    place = str(path) if number is None else f"{path}:{number}"
    return f"{place}: {utt_id}: {what}; {remedy}"


def _read_table(path: Path, problems: list[str]) -> Table | None:
    """One table and what is wrong with its keys; None if there is none."""
    try:
        rows = read_rows(path)
    except DataError as error:
        problems.append(str(error))
        if not path.is_file():
            return None
        rows = rows_of(path.read_text(encoding="utf-8", errors="replace"))  # what else is wrong with it
    if not rows:
        problems.append(f"{path} is empty; run the data preparation stage (stage 1) again")
    problems += _of_other_editors(path)
    rows[:1] = [(number, utt_id.removeprefix(BYTE_ORDER_MARK), value) for number, utt_id, value in rows[:1]]
    table: Table = {}
    previous = ""
    for number, utt_id, value in rows:
        if not utt_id:
            problems.append(f"{path}:{number}: no utterance id at the start of the line; remove the line or mend it")
            continue
        if not UTT_ID.fullmatch(utt_id):
            remedy = "rename the utterance in all tables with A-Z a-z 0-9 _ . - only, beginning with none of . -"
            problems.append(_finding(path, number, utt_id, "this id cannot be a file name everywhere", remedy))
        if utt_id in table:
            what = f"this id stands twice, first in line {table[utt_id][0]}"
            problems.append(_finding(path, number, utt_id, what, "keep one of the two lines"))
            continue
        if utt_id < previous:
            remedy = f"sort the table: LC_ALL=C sort -o {path} {path}"
            problems.append(_finding(path, number, utt_id, f"out of order, it comes after {previous}", remedy))
        table[utt_id] = (number, value)
        previous = utt_id
    return table


def _of_other_editors(path: Path) -> Iterator[str]:
    """Bytes that editors put into tables and Kaldi knows nothing of."""
    content = path.read_bytes()
    if content.startswith(codecs.BOM_UTF8):
        yield f"{path}:1: a byte-order mark, which is no part of the id; sed -i '1s/^\\xEF\\xBB\\xBF//' {path}"
    if b"\r" in content:
        yield f"{path}: lines end with a carriage return, as on Windows; sed -i 's/\\r$//' {path}"


def _check_tables(folder: Path, tables: dict[str, Table | None], problems: list[str]) -> None:
    """The same utterances in all tables that could be read, and values of the right kind."""
    where: dict[str, str] = {}
    for name, table in tables.items():
        for utt_id, (number, value) in (table or {}).items():
            where.setdefault(utt_id, f"{name}:{number}")
            fault = _value_fault(name, value)
            if fault:
                problems.append(_finding(folder / name, number, utt_id, *fault))
    for name, table in tables.items():
        if table is None:
            continue
        for utt_id in sorted(where.keys() - table.keys()):
            what = f"the utterance is missing here and stands in {where[utt_id]}"
            problems.append(_finding(folder / name, None, utt_id, what, f"add its line to {name}, or remove the other"))


def _value_fault(name: str, value: str) -> tuple[str, str] | None:
    """What is wrong with one value of a table, and the remedy."""
    if name == "text" and not value:
        return "empty transcript", "write the transcript, or remove the utterance from all tables"
    if name == "utt2spk" and len(value.split()) != 1:
        return f"the speaker must be one word, not {value!r}", "name one speaker without spaces"
    if name == "wav.scp" and not value:
        return "no path", "write the path of the audio file, or remove the utterance from all tables"
    if name == "wav.scp" and "|" in (value[0], value[-1]):
        return "this is a command, and commands in wav.scp are never run", "write its output to a file and name that"
    return None


def _check_characters(path: Path, texts: Table, token_list: KnowsCharacters, problems: list[str]) -> None:
    """Every character of every transcript must have a token."""
    for utt_id, (number, text) in texts.items():
        unknown = token_list.unknown_characters(text)
        if unknown:
            what = f"characters that the token list does not know: {' '.join(map(repr, unknown))}"
            remedy = "mend the transcript, or train the token list (train_bpe) on text that has them"
            problems.append(_finding(path, number, utt_id, what, remedy))


def _fingerprint(wavs: Table, texts: Table, speakers: Table, rules: AudioRules) -> str:
    """Hash of the tables, the settings, this program's version, and size and time of each audio file."""
    files: dict[str, Any] = {}
    for _, path in wavs.values():
        if Path(path).is_file():
            stat = Path(path).stat()
            files[path] = (stat.st_size, stat.st_mtime_ns)
    content = json.dumps([__version__, wavs, texts, speakers, asdict(rules), files], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _check_all_audio(path: Path, wavs: Table, rules: AudioRules, num_jobs: int, report: ValidationReport) -> None:
    """Scan all files (threads: decoding releases the interpreter lock) and gather what they say."""
    from tqdm import tqdm

    rates: Counter[int] = Counter()
    readable = {utt_id: row for utt_id, row in wavs.items() if _value_fault("wav.scp", row[1]) is None}
    with ThreadPoolExecutor(max_workers=num_jobs) as pool:
        scans = pool.map(partial(scan_audio, rules=rules), (value for _, value in readable.values()))
        progress = tqdm(scans, total=len(readable), desc=f"audio of {path.parent}", unit="utt", disable=None)
        for (utt_id, (number, value)), audio in zip(readable.items(), progress, strict=True):
            for findings, target in ((audio.problems, report.problems), (audio.warnings, report.warnings)):
                target += [_finding(path, number, utt_id, f"{value} {what}", remedy) for what, remedy in findings]
            report.seconds += audio.seconds
            if audio.sample_rate:
                rates[audio.sample_rate] += 1
    report.sample_rates = {str(rate): count for rate, count in rates.items()}
