"""Transcripts in NIST's STM format, with the conventions of TED-LIUM's release 2.

A line is ``talk channel speaker start end [<label>] words``, times in seconds; ``;;`` begins a comment. What becomes of
the words follows the data preparation that Kaldi and ESPnet publish for this corpus:

* A line that says ``ignore_time_segment_in_scoring`` (gaps between talkers, other speech) is no utterance.
* A line that stands twice is taken once, also where it differs in what is no word.
* ``word(2)``, the second pronunciation of a word, is ``word``; a name of the utterance in parentheses at the end of the
  line is none of its words.
* A word that begins with an apostrophe is joined to the one before it: ``it 's`` is ``it's``. One that comes after such
  a pair stays alone (``he 'd 've`` is ``he'd 've``).

The marks are no words: silence ``<sil>``, sounds and hesitations (``{NOISE}``, ``{BREATH}``, ``{COUGH}``, ``{SMACK}``,
``{UH}``, ``{UM}``, also in ``<>`` or ``[]``), and ``<unk>``, which stands for a word that the transcript does not have.
The published preparation removes ``<sil>`` and keeps the others as words of the texts, ``{NOISE}`` as ``[NOISE]``.
ESPnet scores them as such; Kaldi takes them out of what was recognised and leaves them in the reference. In the texts
here they are all removed, so that a model of a corpus without them can read the texts and they count for nobody;
``<unk>`` goes with a suffix that belongs to it (``<unk> 's``). Error rates on these texts are not comparable with
published ones, so a segment also has its text as published, to be scored beside; what a model reads that never saw a
mark has an error there for each of them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.errors import DataError

COMMENT = ";;"
IGNORED = "ignore_time_segment_in_scoring"
MIN_FIELDS = 5
UNKNOWN_WORD = "<unk>"
SILENCE = "<sil>"
BRACKETS = str.maketrans("{}", "[]")
LABEL = re.compile(r"<[^<>\s]*>")
PRONUNCIATION = re.compile(r"\([0-9]\)")
UTTERANCE_NAME = re.compile(r"\([^ ]*\)$")
MARK = re.compile(r"<[^<>\s]*>|\{[^{}\s]*\}|\[[^\[\]\s]*\]")


@dataclass(frozen=True)
class StmSegment:
    """One transcribed stretch of a talk.

    Attributes:
        talk: Name of the recording.
        start: Where it begins, in seconds.
        end: Where it ends, in seconds.
        text: Its words, without marks.
        published: The same as Kaldi and ESPnet score it, where marks other than silence are words.
        line: Number of the line in the file.
    """

    talk: str
    start: float
    end: float
    text: str
    published: str
    line: int

    @property
    def utt_id(self) -> str:
        """``<talk>-<start>-<end>`` in hundredths of a second, as Kaldi names it; begins with the speaker, the talk."""
        return f"{self.talk}-{round(100 * self.start):07d}-{round(100 * self.end):07d}"


def read_stm(path: Path, marks: Counter[str]) -> list[StmSegment]:
    """Read the segments of one file in its order; those without words have an empty text.

    Args:
        path: The file.
        marks: Is told how often each mark was removed.

    Raises:
        DataError: The file is not UTF-8, or a line is not as it must be; names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}); unpack the release again") from error
    segments: dict[str, StmSegment] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(COMMENT) or IGNORED in line.lower():
            continue
        removed: Counter[str] = Counter()
        segment = _segment(line, f"{path}:{number}", number, removed)
        first = segments.get(segment.utt_id)
        if first is None:
            segments[segment.utt_id] = segment
            marks.update(removed)
        elif first.text != segment.text:
            raise DataError(
                f"{path}:{number}: the times are those of line {first.line}, and the words are others; "
                "keep one of the two lines"
            )
    return list(segments.values())


def _segment(line: str, where: str, number: int, marks: Counter[str]) -> StmSegment:
    """One line.

    Raises:
        DataError: A field is missing, or a time is none.
    """
    fields = line.split()
    if len(fields) < MIN_FIELDS:
        raise DataError(
            f"{where}: {len(fields)} fields, where a line has 'talk channel speaker start end <label> words'; "
            "mend or remove the line"
        )
    try:
        start, end = (float(field) for field in fields[3:5])
    except ValueError as error:
        raise DataError(
            f"{where}: {fields[3]!r} and {fields[4]!r} should be start and end in seconds; mend or remove the line"
        ) from error
    if not 0 <= start < end < float("inf"):
        raise DataError(f"{where}: from {fields[3]} to {fields[4]} s is no stretch of time; mend or remove the line")
    has_label = len(fields) > MIN_FIELDS and LABEL.fullmatch(fields[MIN_FIELDS])
    words = fields[MIN_FIELDS + 1 :] if has_label else fields[MIN_FIELDS:]
    return StmSegment(fields[0], start, end, plain_text(words, marks), published_text(words), number)


def plain_text(words: Sequence[str], marks: Counter[str]) -> str:
    """The words that were spoken, joined by spaces; see the head of this file.

    Args:
        words: As they stand in the line.
        marks: Is told how often each mark was removed.
    """
    spoken = MARK.sub(lambda found: _removed(found[0], marks), _without_names(words)).split()
    joined = join_suffixes(spoken)
    marks[UNKNOWN_WORD] += sum(word.startswith(UNKNOWN_WORD) for word in joined)
    return " ".join(word for word in joined if not word.startswith(UNKNOWN_WORD))


def published_text(words: Sequence[str]) -> str:
    """The words with the marks among them that the published preparation keeps; see the head of this file."""
    return " ".join(join_suffixes(_without_names(words).replace(SILENCE, " ").split())).translate(BRACKETS)


def _without_names(words: Sequence[str]) -> str:
    """The line without numbers of pronunciations and a name of the utterance."""
    return UTTERANCE_NAME.sub("", PRONUNCIATION.sub("", " ".join(words)))


def _removed(mark: str, marks: Counter[str]) -> str:
    """What stands in the place of a mark: a space, but the unknown word itself, which may have a suffix."""
    if mark == UNKNOWN_WORD:
        return mark
    marks[mark] += 1
    return " "


def join_suffixes(words: Sequence[str]) -> list[str]:
    """Join each word that begins with an apostrophe to the one before it, unless that one was joined itself."""
    joined: list[str] = []
    may_join = False
    for word in words:
        if word.startswith("'") and may_join:
            joined[-1] += word
            may_join = False
        else:
            joined.append(word)
            may_join = True
    return joined
