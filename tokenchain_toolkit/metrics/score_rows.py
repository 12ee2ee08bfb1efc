"""Rows of ``score.json``: one figure each, with its interval, and where it came from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import read_json, write_json

CHANGE_SUFFIX = "_change"
OPTIONAL = {"baseline", "recogniser"}
FEWEST = 10  # utterances that an interval is shown of; a bootstrap of fewer knows too little of how they scatter


@dataclass(frozen=True)
class ScoreRow:
    """One figure of one experiment on one set; error rates and changes are fractions.

    A metric that ends in ``_change`` is relative to the experiment named in ``baseline``. ``recogniser`` tells who read
    the words of an error rate, where that is known.
    """

    experiment: str
    model: str
    epoch: int | None
    set: str
    metric: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n: int
    command: str
    commit: str
    baseline: str | None = None
    recogniser: dict[str, Any] | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval; None where there is none, or where it is of fewer than `FEWEST` utterances."""
        if self.ci_low is None or self.ci_high is None or self.n < FEWEST:
            return None
        return self.ci_low, self.ci_high

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        """What tells one row from another."""
        return self.set, self.metric, self.experiment, -1 if self.epoch is None else self.epoch, self.baseline or ""


def write_score_rows(path: Path, rows: Sequence[ScoreRow]) -> None:
    """Write rows as a JSON list, atomically."""
    write_json(path, [asdict(row) for row in rows])


def holds_scores(path: Path) -> bool:
    """Whether a JSON file holds rows of scores, of this or another version."""
    values = read_json(path)
    return isinstance(values, list) and all(isinstance(value, dict) and "metric" in value for value in values)


def read_score_rows(path: Path) -> list[ScoreRow]:
    """Read a ``score.json``.

    Raises:
        DataError: It is not a list of rows with the fields of `ScoreRow`.
    """
    values = read_json(path)
    known = {field.name for field in fields(ScoreRow)}
    rows = []
    for number, value in enumerate(values if isinstance(values, list) else [values]):
        odd = sorted(known - OPTIONAL - set(value)) + sorted(set(value) - known)
        if odd:
            raise DataError(
                f"{path}: row {number}: fields {', '.join(odd)} are missing or unknown; score the set again"
            )
        rows.append(ScoreRow(**value))
    return rows
