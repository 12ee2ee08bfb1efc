"""Scoring one hypothesis file against its references."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from tokenchain_toolkit.data.kaldi import PUBLISHED, read_table
from tokenchain_toolkit.data.stamp import input_digest
from tokenchain_toolkit.errors import DataError, counted
from tokenchain_toolkit.files import read_json, write_json
from tokenchain_toolkit.metrics.alignment import worst_utterances, write_alignments
from tokenchain_toolkit.metrics.error_rate import (
    ErrorRate,
    character_error_rate,
    paired_difference,
    word_error_rate,
)
from tokenchain_toolkit.metrics.score_rows import CHANGE_SUFFIX, ScoreRow, holds_scores, write_score_rows
from tokenchain_toolkit.metrics.token_recogniser import RECOGNISER

logger = logging.getLogger(__name__)
SCORED_FROM = "scored_from.json"  # beside score.json: the tables that were scored, as they were


@dataclass(frozen=True)
class ScoreRequest:
    """What to score and how to name it.

    Args:
        hypothesis: Kaldi ``text`` table that a decoder wrote.
        reference: Kaldi ``text`` table of the set.
        metrics: Names of the figures; ``cer`` counts characters, every other name counts words. With ``wer`` comes
            ``published_wer`` where ``text_published`` stands beside ``reference``: references as others score them.
        baselines: Hypothesis tables of the experiments to compare with, ``exp/<experiment>/decode_<set>/text``.
        output: ``score.json``; the alignments land beside it.
    """

    hypothesis: Path
    reference: Path
    set_name: str
    experiment: str
    model: str
    epoch: int | None
    metrics: tuple[str, ...]
    baselines: tuple[Path, ...]
    command: str
    commit: str
    output: Path


def score(request: ScoreRequest) -> list[ScoreRow]:
    """Score, write ``score.json``, what it is of and the alignments of the worst utterances, and return the rows.

    Raises:
        DataError: A table is missing, the tables do not hold the same utterances, or ``output`` is there and holds
            something else than scores.
    """
    if request.output.is_file() and not holds_scores(request.output):
        raise DataError(f"{request.output} is there and holds something else than scores; name another file with --out")
    references, hypotheses = read_table(request.reference), read_table(request.hypothesis)
    baselines = {path: read_table(path) for path in request.baselines}
    measured = dict.fromkeys(request.metrics, references)
    published = request.reference.with_name(PUBLISHED)
    if "wer" in measured and published.is_file():
        measured["published_wer"] = read_table(published)
    rows: list[ScoreRow] = []
    for metric, expected in measured.items():
        measure = character_error_rate if metric == "cer" else word_error_rate
        result = measure(expected, hypotheses)
        rows.append(_row(request, metric, result))
        logger.info("%s", describe(rows[-1]))
        for path, table in baselines.items():
            rows.extend(_change_rows(request, metric, path, measure(expected, table), result))
    words = word_error_rate(references, hypotheses, num_bootstrap=1)
    write_alignments(request.output.parent, worst_utterances(references, hypotheses, words.per_utterance))
    recogniser = request.hypothesis.parent / RECOGNISER
    if recogniser.is_file():
        rows = [replace(row, recogniser=read_json(recogniser)) for row in rows]
    tables = [request.reference, request.hypothesis, *request.baselines, *([published] if published.is_file() else [])]
    write_json(request.output.with_name(SCORED_FROM), {"inputs": {str(path): input_digest(path) for path in tables}})
    write_score_rows(request.output, rows)
    return rows


def describe(row: ScoreRow) -> str:
    """One row in one line: set, metric, experiment, value in percent with its interval."""
    interval = "" if row.interval is None else f" [{100 * row.interval[0]:.1f}, {100 * row.interval[1]:.1f}]"
    against = f" against {row.baseline}" if row.baseline else ""
    figure = f"{100 * row.value:.1f} %{interval}, {counted(row.n, 'utterance')}"
    return f"{row.set} {row.metric} {row.experiment}{against}: {figure}"


def _row(request: ScoreRequest, metric: str, result: ErrorRate) -> ScoreRow:
    return ScoreRow(
        experiment=request.experiment,
        model=request.model,
        epoch=request.epoch,
        set=request.set_name,
        metric=metric,
        value=result.value,
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        n=result.num_utts,
        command=request.command,
        commit=request.commit,
    )


def _change_rows(
    request: ScoreRequest, metric: str, path: Path, baseline: ErrorRate, result: ErrorRate
) -> list[ScoreRow]:
    """The relative change against a baseline; no row where a relative change has no meaning."""
    if baseline.value == 0 and result.value > 0:
        logger.warning(
            "%s %s: %s makes no error, so there is no relative change to report",
            request.set_name,
            metric,
            path,
        )
        return []
    change = paired_difference(baseline.per_utterance, result.per_utterance)
    row = replace(
        _row(request, metric, result),
        metric=metric + CHANGE_SUFFIX,
        value=change.value,
        ci_low=change.ci_low,
        ci_high=change.ci_high,
        baseline=path.resolve().parent.parent.name,
    )
    logger.info("%s", describe(row))
    return [row]
