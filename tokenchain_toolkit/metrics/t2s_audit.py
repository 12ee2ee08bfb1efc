"""How T2S fails: what it drew and what a recogniser read of it, against the text.

Each utterance has any of four faults, or none:

- runaway: the draw did not end by itself, or it is longer than ``RUNAWAY_RATIO`` times the expected length.
- early_stop: the draw did end by itself, and it is shorter than ``EARLY_RATIO`` times the expected length, or the end
  of the text is missing: behind the last word that was read right, nothing was read for at least ``MIN_MISSING_WORDS``
  words in a row (all of them, if a shorter text is missing altogether).
- repetition: the recogniser read a phrase of the text, of one word or more, twice in a row, and leaving one of the two
  out takes as many word errors away as the phrase has words. A phrase that the text itself has twice is none, nor is a
  word that was mistaken for its neighbour.
- skip: the same between two words that were read right, or before the first.

Which words were read right follows from the alignment with the fewest errors. Of a place in which words were misread,
too, it does not say which words are missing; there it counts how many in a row are missing at least. The expected
length is that of the natural utterance where it is known; elsewhere it lies on the line through the known lengths over
characters of text, or, if none is known, through the lengths that T2S drew and ended. Repetition, skip and missing ends
are seen through the recogniser: one that drops words makes them more. Words that were misread are none of these; the
word error rate has them.
"""

import logging
import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.data.token_dump import TokenDump, read_dump
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import read_json, write_json
from tokenchain_toolkit.metrics.alignment import align_words
from tokenchain_toolkit.metrics.seed_bootstrap import share_interval
from tokenchain_toolkit.metrics.speech_norms import length_line

LOG = logging.getLogger(__name__)

RUNAWAY_RATIO = 2.0  # drawn over expected frames; natural utterances of other speakers and words stay below it
EARLY_RATIO = 0.5
MIN_MISSING_WORDS = 2  # in a row; a recogniser often misses a single one
RUNAWAY, EARLY_STOP, REPETITION, SKIP = FAULTS = ("runaway", "early_stop", "repetition", "skip")
ANY = "any"


@dataclass(frozen=True)
class UtteranceAudit:
    """One utterance: what was drawn, what was read of it, and what is wrong with it."""

    utt_id: str
    faults: tuple[str, ...]
    frames: int
    expected_frames: float
    ended: bool
    word_errors: int
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class FaultShare:
    """Share of the utterances that have a fault, with its 95 % interval, as fractions."""

    value: float
    ci_low: float
    ci_high: float
    num_faulty: int
    num_utts: int


def audit(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    lengths: Mapping[str, int],
    *,
    natural_lengths: Mapping[str, int],
    unfinished: Collection[str],
) -> list[UtteranceAudit]:
    """Look at every utterance that was drawn.

    Args:
        references: utt_id -> text that T2S was given; may hold more utterances than were drawn.
        hypotheses: utt_id -> what a recogniser read of the drawn tokens.
        lengths: utt_id -> frames that were drawn.
        natural_lengths: utt_id -> frames of the natural utterance, as far as they are known.
        unfinished: Utterances that did not end by themselves.

    Raises:
        DataError: Nothing was drawn, or an utterance lacks its reference or its hypothesis.
    """
    for name, table in (("reference", references), ("hypothesis", hypotheses)):
        missing = sorted(lengths.keys() - table.keys())
        if missing:
            raise DataError(f"{len(missing)} drawn utterances have no {name}, first {missing[0]}; decode the set again")
    if not lengths:
        raise DataError("no utterance was drawn, so there is nothing to audit; run decode_t2s")
    expected = _expected_lengths(references, lengths, natural_lengths, unfinished)
    return [
        _audit_one(
            utt_id, references[utt_id], hypotheses[utt_id], frames, expected[utt_id], ended=utt_id not in unfinished
        )
        for utt_id, frames in sorted(lengths.items())
    ]


def fault_shares(utterances: list[UtteranceAudit]) -> dict[str, FaultShare]:
    """Share of each fault, and of ``any``."""
    shares = {}
    for fault in (*FAULTS, ANY):
        count = sum(bool(each.faults) if fault == ANY else fault in each.faults for each in utterances)
        share = share_interval(count, len(utterances))
        shares[fault] = FaultShare(share.value, share.ci_low, share.ci_high, count, len(utterances))
    return shares


def write_audit(
    hypothesis: Path, reference: Path, drawn: Path, natural: Path | None, out: Path, *, num_worst: int = 20
) -> dict[str, FaultShare]:
    """Audit a dump that decode_t2s drew, write ``audit.json`` and show a table.

    Args:
        hypothesis: Kaldi table of what a recogniser read of the dump.
        reference: Kaldi table of the texts.
        drawn: The dump, with ``unfinished.json``.
        natural: Dump of natural tokens of the set, in the same units; None if there are none.
        out: File to write.
        num_worst: Utterances to list, those with most faults and then most word errors first.

    Raises:
        DataError: A file is missing, or an utterance of the dump is not in the tables.
    """
    if not (drawn / "unfinished.json").is_file():
        raise DataError(f"{drawn / 'unfinished.json'} is missing; give the folder that decode_t2s wrote")
    utterances = audit(
        read_table(reference),
        read_table(hypothesis),
        _lengths(read_dump(drawn)),
        natural_lengths=_lengths(read_dump(natural)) if natural else {},
        unfinished=set(read_json(drawn / "unfinished.json")),
    )
    shares = fault_shares(utterances)
    worst = sorted(utterances, key=lambda each: (-len(each.faults), -each.word_errors, each.utt_id))[:num_worst]
    content: dict[str, Any] = {
        "hypothesis": str(hypothesis),
        "drawn": str(drawn),
        "natural": str(natural) if natural else None,
        "thresholds": {
            "runaway_ratio": RUNAWAY_RATIO,
            "early_ratio": EARLY_RATIO,
            "min_missing_words": MIN_MISSING_WORDS,
        },
        "shares": {fault: asdict(share) for fault, share in shares.items()},
        "faulty": {each.utt_id: each.faults for each in utterances if each.faults},
        "worst": [asdict(each) for each in worst if each.faults],
    }
    write_json(out, content)
    LOG.info("%s", format_audit(shares))
    return shares


def format_audit(shares: Mapping[str, FaultShare]) -> str:
    """The shares as a table for people."""
    rows = [f"{'fault':12}{'utterances':>14}  percent [95 % interval]"]
    for fault, share in shares.items():
        value, low, high = (100 * part for part in (share.value, share.ci_low, share.ci_high))
        rows.append(f"{fault:12}{f'{share.num_faulty} of {share.num_utts}':>14}  {value:.1f} [{low:.1f}, {high:.1f}]")
    return "\n".join(rows)


def _audit_one(
    utt_id: str, reference: str, hypothesis: str, frames: int, expected: float, *, ended: bool
) -> UtteranceAudit:
    """The faults of one utterance, in the order of ``FAULTS``."""
    reference, hypothesis = " ".join(reference.split()), " ".join(hypothesis.split())
    *inner, last = _missing_words(reference, hypothesis)
    too_many = max(min(MIN_MISSING_WORDS, len(reference.split())), 1)
    found = {
        RUNAWAY: not ended or frames > RUNAWAY_RATIO * expected,
        EARLY_STOP: ended and (frames < EARLY_RATIO * expected or last >= too_many),
        REPETITION: _repeats(reference.split(), hypothesis.split()),
        SKIP: max(inner, default=0) >= too_many,
    }
    return UtteranceAudit(
        utt_id=utt_id,
        faults=tuple(fault for fault in FAULTS if found[fault]),
        frames=frames,
        expected_frames=round(expected, 1),
        ended=ended,
        word_errors=_distance(reference.split(), hypothesis.split()),
        reference=reference,
        hypothesis=hypothesis,
    )


def _missing_words(reference: str, hypothesis: str) -> list[int]:
    """Words in a row, at the least, for which nothing was read: before each word that was read right, and at the end.

    ``s`` words that were misread part the ``d`` that are missing beside them into ``s + 1`` rows at most, wherever an
    alignment places them.
    """
    gaps = [Counter[str]()]
    for word in align_words(reference, hypothesis) if reference else []:
        if word.kind == "equal":
            gaps.append(Counter())
        else:
            gaps[-1][word.kind] += 1
    return [math.ceil(max(gap["delete"] - gap["insert"], 0) / (gap["substitute"] + 1)) for gap in gaps]


def _repeats(reference: list[str], hypothesis: list[str]) -> bool:
    """Is a phrase of the text said again right after itself?"""
    errors = _distance(reference, hypothesis)
    for size in range(1, len(hypothesis) // 2 + 1):
        phrases = {tuple(reference[start : start + size]) for start in range(len(reference) - size + 1)}
        for start in range(len(hypothesis) - 2 * size + 1):
            middle, end = start + size, start + 2 * size
            if hypothesis[start:middle] != hypothesis[middle:end] or tuple(hypothesis[start:middle]) not in phrases:
                continue
            if _distance(reference, hypothesis[:middle] + hypothesis[end:]) == errors - size:
                return True
    return False


def _distance(left: list[str], right: list[str]) -> int:
    """Fewest words to replace, remove or insert."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(left, right)


def _expected_lengths(
    references: Mapping[str, str],
    lengths: Mapping[str, int],
    natural_lengths: Mapping[str, int],
    unfinished: Collection[str],
) -> dict[str, float]:
    """Frames that each drawn utterance is expected to have."""
    known = {utt_id: frames for utt_id, frames in natural_lengths.items() if utt_id in references}
    # Where all have run away, they are all there is.
    known = known or {utt_id: n for utt_id, n in lengths.items() if utt_id not in unfinished} or dict(lengths)
    extra, slope = length_line([len(references[utt_id]) for utt_id in known], list(known.values()))
    return {
        utt_id: float(natural_lengths.get(utt_id, max(extra + slope * len(references[utt_id]), 1.0)))
        for utt_id in lengths
    }


def _lengths(dump: TokenDump) -> dict[str, int]:
    return dict(zip(dump.utt_ids, dump.lengths.tolist(), strict=True))
