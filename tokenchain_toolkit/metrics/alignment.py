"""Word alignments of the worst recognised utterances, for people and for the report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from tokenchain_toolkit.files import read_json, write_json, write_text
from tokenchain_toolkit.metrics.error_rate import UtteranceCounts


class AlignedWord(NamedTuple):
    """One column of an alignment; ``kind`` is equal, substitute, delete or insert."""

    kind: str
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class AlignedUtterance:
    """One utterance with its errors."""

    utt_id: str
    num_errors: int
    words: list[AlignedWord]


def align_words(reference: str, hypothesis: str) -> list[AlignedWord]:
    """Align two texts word by word with the fewest edits; neither side's words are lost."""
    import jiwer

    reference_words, hypothesis_words = reference.split(), hypothesis.split()
    chunks = jiwer.process_words(" ".join(reference_words), " ".join(hypothesis_words)).alignments[0]
    words: list[AlignedWord] = []
    for chunk in chunks:
        left = reference_words[chunk.ref_start_idx : chunk.ref_end_idx]
        right = hypothesis_words[chunk.hyp_start_idx : chunk.hyp_end_idx]
        words.extend(AlignedWord(chunk.type, *pair) for pair in zip_longest(left, right, fillvalue=""))
    return words


def worst_utterances(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    counts: Mapping[str, UtteranceCounts],
    *,
    limit: int = 20,
) -> list[AlignedUtterance]:
    """The utterances with the most errors, worst first, ties by utt_id; those without an error are left out."""
    wrong = sorted((-each.errors, utt_id) for utt_id, each in counts.items() if each.errors)
    return [
        AlignedUtterance(utt_id, -negative, align_words(references[utt_id], hypotheses[utt_id]))
        for negative, utt_id in wrong[:limit]
    ]


def format_alignment(utterance: AlignedUtterance) -> str:
    """An alignment as three lines: REF, HYP and the kind of each error, in columns."""
    marks = {"equal": "", "substitute": "S", "delete": "D", "insert": "I"}
    rows: list[list[str]] = [["REF:"], ["HYP:"], ["    "]]
    for word in utterance.words:
        cells = (word.reference or "***", word.hypothesis or "***", marks[word.kind])
        width = max(map(len, cells))
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell.ljust(width))
    lines = "\n".join(" ".join(row).rstrip() for row in rows)
    return f"{utterance.utt_id} ({utterance.num_errors} errors)\n{lines}\n"


def write_alignments(folder: Path, utterances: list[AlignedUtterance]) -> None:
    """Write ``alignments.txt`` for people and ``alignments.json`` for the report."""
    text = "\n".join(map(format_alignment, utterances)) if utterances else "Every utterance was recognised exactly.\n"
    write_text(folder / "alignments.txt", text)
    write_json(folder / "alignments.json", [asdict(utterance) for utterance in utterances])


def read_alignments(folder: Path) -> list[AlignedUtterance]:
    """Read ``alignments.json``; no file means no utterances."""
    path = folder / "alignments.json"
    rows = read_json(path) if path.is_file() else []
    return [
        AlignedUtterance(row["utt_id"], row["num_errors"], [AlignedWord(*word) for word in row["words"]])
        for row in rows
    ]
