"""Changes of the measures of audio relative to another experiment's, on the same utterances, from its measures.json."""

import logging
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.metrics.measurement import Measurement
from tokenchain_toolkit.metrics.seed_bootstrap import Interval

LOG = logging.getLogger(__name__)
MEASURES_FILE = "measures.json"
COMPARED = ("wer", "similarity", "dnsmos", "utmos")  # last words of the metrics of which changes are told


@dataclass(frozen=True)
class MeasuredBaseline:
    """What another experiment's speech was measured to be.

    Attributes:
        path: Its ``measures.json``.
        experiment: Its name in the results.
        measures: Metric -> measurement.
    """

    path: Path
    experiment: str
    measures: dict[str, Measurement]


@dataclass(frozen=True)
class MeasureChange:
    """A relative change, as a fraction, with its paired interval, over the utterances that both could be judged by."""

    metric: str
    interval: Interval
    num_utts: int


def read_baseline(folder: Path, *, utt_ids: Set[str]) -> MeasuredBaseline:
    """What `measure_speech` wrote into a folder.

    Args:
        folder: That has ``measures.json``.
        utt_ids: Utterances that the baseline is to be compared on.

    Raises:
        DataError: It was measured by an older version, or on other utterances.
    """
    path = folder / MEASURES_FILE
    found = read_json(path)
    try:
        measures = {metric: Measurement.from_json(metric, value) for metric, value in found["measures"].items()}
        baseline = MeasuredBaseline(path, found["experiment"], measures)
    except KeyError as error:
        raise DataError(
            f"{path} lacks {error}, as an older version wrote it; measure the baseline again with --overwrite"
        ) from error
    for metric, measure in measures.items():
        odd = sorted(utt_ids ^ (measure.totals.keys() | measure.left_out.keys()))
        if odd:
            raise DataError(
                f"{path}: {metric}: {len(odd)} utterances are not in both, first {odd[0]}; synthesise the same "
                "utterances by both, and measure both again"
            )
    return baseline


def changes_from(baseline: MeasuredBaseline, found: Sequence[Measurement]) -> list[MeasureChange]:
    """Changes of the metrics that are `COMPARED`; those that cannot be compared are named in the log."""
    changes = []
    for measure in found:
        if measure.metric.rpartition("_")[2] not in COMPARED:
            continue
        theirs = baseline.measures.get(measure.metric)
        why = "it was not measured there" if theirs is None else _why_not_comparable(measure, theirs)
        if theirs is None or why:
            LOG.warning("%s: no change from %s: %s", measure.metric, baseline.path, why)
            continue
        shared = measure.totals.keys() & theirs.totals.keys()
        change = measure.of(shared).relative_change_from(theirs.of(shared))
        changes.append(MeasureChange(measure.metric, change, len(shared)))
    return changes


def _why_not_comparable(ours: Measurement, theirs: Measurement) -> str:
    """In words; empty if nothing is in the way."""
    odd = [
        name for name in {**ours.settings, **theirs.settings} if ours.settings.get(name) != theirs.settings.get(name)
    ]
    if odd:
        pairs = (f"{name}: {theirs.settings.get(name)} against {ours.settings.get(name)}" for name in odd)
        return f"it was measured otherwise there ({', '.join(pairs)}); measure both with the same options"
    shared = ours.totals.keys() & theirs.totals.keys()
    if any(ours.weights[utt_id] != theirs.weights[utt_id] for utt_id in shared):
        return "it was measured against other transcripts there; measure the baseline again"
    mean = sum(theirs.totals[utt_id] for utt_id in shared)
    if mean < 0 or (mean == 0 and any(ours.totals[utt_id] for utt_id in shared)):
        return "its mean is not above zero there, so a relative change has no meaning"
    return "" if shared else "no utterance could be judged in both"
