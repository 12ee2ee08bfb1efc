"""Word and character error rates with bootstrap intervals, and the paired comparison of two systems."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics.seed_bootstrap import INTERVAL_PERCENTILES, without_errors


class UtteranceCounts(NamedTuple):
    """Errors of one utterance; units are words or characters of the reference."""

    substitutions: int
    deletions: int
    insertions: int
    num_reference_units: int

    @property
    def errors(self) -> int:
        """All errors together."""
        return self.substitutions + self.deletions + self.insertions


@dataclass(frozen=True)
class ErrorRate:
    """An error rate over a set; ``value`` and its 95 % interval are fractions, not percent.

    The interval is a bootstrap over utterances; of a rate of 0, Wilson's, as `without_errors` has it.
    """

    value: float
    ci_low: float
    ci_high: float
    num_utts: int
    substitutions: int
    deletions: int
    insertions: int
    num_reference_units: int
    per_utterance: dict[str, UtteranceCounts]


@dataclass(frozen=True)
class RelativeChange:
    """Change of an error rate relative to a baseline, as a fraction; negative is better."""

    value: float
    ci_low: float
    ci_high: float
    num_utts: int


def word_error_rate(
    references: Mapping[str, str], hypotheses: Mapping[str, str], *, num_bootstrap: int = 1000, seed: int = 0
) -> ErrorRate:
    """Word error rate over all utterances, words split at white space.

    Args:
        references: utt_id -> transcript; none may be empty.
        hypotheses: utt_id -> recognised text; an empty one counts as deletions.
        num_bootstrap: Resamples of the utterances for the 95 % interval.
        seed: Seed of the resampling.

    Raises:
        DataError: The two tables do not hold the same utterances, or a reference is empty.
    """
    import jiwer

    return _error_rate(references, hypotheses, jiwer.process_words, num_bootstrap=num_bootstrap, seed=seed)


def character_error_rate(
    references: Mapping[str, str], hypotheses: Mapping[str, str], *, num_bootstrap: int = 1000, seed: int = 0
) -> ErrorRate:
    """Character error rate; a space between words counts as a character. Arguments as in `word_error_rate`."""
    import jiwer

    return _error_rate(references, hypotheses, jiwer.process_characters, num_bootstrap=num_bootstrap, seed=seed)


def paired_difference(
    baseline: Mapping[str, UtteranceCounts],
    system: Mapping[str, UtteranceCounts],
    *,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> RelativeChange:
    """Relative change of the error rate from ``baseline`` to ``system``, bootstrapped over the same utterances.

    Each resample draws the same utterances for both. Their difference is divided by the baseline's rate on the whole
    set, so that a resample in which the baseline happens to make no error does not divide by zero.

    Args:
        baseline: utt_id -> counts of the system compared with.
        system: utt_id -> counts of the system in question, against the same references.
        num_bootstrap: Resamples of the utterances.
        seed: Seed of the resampling.

    Raises:
        DataError: The utterances or their references differ, or only the baseline is free of errors.
    """
    _check_same_utterances(baseline, system, "the baseline", "the system")
    for utt_id, counts in baseline.items():
        if counts.num_reference_units != system[utt_id].num_reference_units:
            raise DataError(f"{utt_id}: baseline and system were scored against different references; score both again")
    errors_UK = np.array([[baseline[utt_id].errors, system[utt_id].errors] for utt_id in sorted(baseline)])
    units_U = np.array([baseline[utt_id].num_reference_units for utt_id in sorted(baseline)])
    base_rate, system_rate = errors_UK.sum(axis=0) / units_U.sum()
    if base_rate == 0 and system_rate > 0:
        raise DataError(
            "the baseline makes no error, so a relative change is not defined; compare the rates themselves"
        )
    scale = base_rate or 1.0  # Both free of errors: the difference is zero whatever it is divided by.
    rates_BK = _resampled_rates(errors_UK, units_U, num_bootstrap, seed)
    low, high = np.percentile((rates_BK[:, 1] - rates_BK[:, 0]) / scale, INTERVAL_PERCENTILES, method="nearest")
    return RelativeChange(float((system_rate - base_rate) / scale), float(low), float(high), len(units_U))


def _error_rate(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    process: Callable[..., Any],
    *,
    num_bootstrap: int,
    seed: int,
) -> ErrorRate:
    """Align with jiwer, count per utterance, and bootstrap."""
    _check_same_utterances(references, hypotheses, "the reference", "the hypothesis")
    utt_ids = sorted(references)
    empty = [utt_id for utt_id in utt_ids if not references[utt_id].strip()]
    if empty:
        raise DataError(f"the reference of {_named(empty)} is empty; give a transcript or remove the utterance")
    # One space between words on both sides, so that layout is never an error.
    texts = [[" ".join(table[utt_id].split()) for utt_id in utt_ids] for table in (references, hypotheses)]
    output = process(*texts)
    per_utterance = {
        utt_id: _count(chunks, len(units))
        for utt_id, chunks, units in zip(utt_ids, output.alignments, output.references, strict=True)
    }
    errors_U1 = np.array([[counts.errors] for counts in per_utterance.values()])
    units_U = np.array([counts.num_reference_units for counts in per_utterance.values()])
    if errors_U1.any():
        rates_B1 = _resampled_rates(errors_U1, units_U, num_bootstrap, seed)
        low, high = np.percentile(rates_B1, INTERVAL_PERCENTILES, method="nearest")
    else:
        low, high = 0.0, without_errors(len(utt_ids)).ci_high
    return ErrorRate(
        value=float(errors_U1.sum() / units_U.sum()),
        ci_low=float(low),
        ci_high=float(high),
        num_utts=len(utt_ids),
        substitutions=sum(counts.substitutions for counts in per_utterance.values()),
        deletions=sum(counts.deletions for counts in per_utterance.values()),
        insertions=sum(counts.insertions for counts in per_utterance.values()),
        num_reference_units=int(units_U.sum()),
        per_utterance=per_utterance,
    )


def _count(chunks: list[Any], num_units: int) -> UtteranceCounts:
    """Sum the lengths of jiwer's alignment chunks by kind."""
    lengths = {"substitute": 0, "delete": 0, "insert": 0, "equal": 0}
    for chunk in chunks:
        lengths[chunk.type] += max(
            chunk.ref_end_idx - chunk.ref_start_idx,
            chunk.hyp_end_idx - chunk.hyp_start_idx,
        )
    return UtteranceCounts(lengths["substitute"], lengths["delete"], lengths["insert"], num_units)


def _resampled_rates(errors_UK: np.ndarray, units_U: np.ndarray, num_bootstrap: int, seed: int) -> np.ndarray:
    """Error rates (B, K) of K systems on B resamples of the U utterances, those of `SeedBootstrap`."""
    num_utts = len(units_U)
    drawn_BU = np.random.default_rng(seed).multinomial(num_utts, [1 / num_utts] * num_utts, size=num_bootstrap)
    return (drawn_BU @ errors_UK) / (drawn_BU @ units_U)[:, None]


def _check_same_utterances(left: Mapping[str, Any], right: Mapping[str, Any], left_name: str, right_name: str) -> None:
    """Refuse two tables that do not hold the same utterances, and empty ones."""
    missing, extra = sorted(left.keys() - right.keys()), sorted(right.keys() - left.keys())
    problems = []
    if missing:
        problems.append(f"{right_name} lacks {_named(missing)}")
    if extra:
        problems.append(f"{left_name} lacks {_named(extra)}")
    if problems:
        raise DataError(f"{'; '.join(problems)}; decode the same set again, and remove what is not part of it")
    if not left:
        raise DataError(f"{left_name} holds no utterances, so there is nothing to score; check its file")


def _named(utt_ids: list[str], limit: int = 5) -> str:
    """Utterances by name, the first few of many."""
    shown = ", ".join(utt_ids[:limit])
    return shown if len(utt_ids) <= limit else f"{len(utt_ids)} utterances ({shown}, ...)"
