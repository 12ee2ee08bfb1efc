"""The figures of the paper's tables, from ``results.json`` of recipes and from the runs of studies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenchain_toolkit.config.grid import RUNS
from tokenchain_toolkit.config.tables import SIGNS, STABLE, RowSettings, ScoredSettings, StudiedSettings
from tokenchain_toolkit.errors import DataError, counted
from tokenchain_toolkit.metrics.score_rows import CHANGE_SUFFIX, ScoreRow, read_score_rows
from tokenchain_toolkit.metrics.seed_bootstrap import Interval
from tokenchain_toolkit.report.arm_changes import ArmChange, change_between, change_since_start
from tokenchain_toolkit.report.grid_claims import REFUTED, SEEN
from tokenchain_toolkit.report.grid_runs import Arm, HeadErrors, read_errors, read_runs
from tokenchain_toolkit.report.results import DASH, is_error_rate

UNDECIDED, UNCHANGED, UNMARKED = "open", "no change seen", DASH


@dataclass(frozen=True)
class Cell:
    """What was measured for a row.

    Attributes:
        before: The figure of the baseline, or before training.
        after: That of the experiment.
        change: Relative, as a fraction, or in epochs; without an interval where there is none.
        in_epochs: Which of both.
        is_rate: Whether ``before`` and ``after`` are error rates.
        basis: Epochs and utterances or seeds.
        commits: Of the code that scored, where the results say so.
    """

    before: Interval
    after: Interval
    change: Interval
    in_epochs: bool
    is_rate: bool
    basis: str
    commits: tuple[str, ...] = ()


class Results:
    """Results of all recipes, read when they are first asked for.

    Args:
        egs2: Folder of the recipes.
    """

    def __init__(self, egs2: Path):
        self.egs2 = egs2
        self._scores: dict[str, list[ScoreRow]] = {}
        self._studies: dict[Path, Study] = {}

    def recipe(self, name: str) -> Path:
        """Folder of a recipe."""
        return self.egs2 / name / "tokenchain1"

    def find(self, row: RowSettings) -> Cell | None:
        """What was measured for a row; None where it was not.

        Raises:
            DataError: Results are there and do not fit together.
        """
        if row.scored is not None:
            return self._scored(row.recipe, row.scored)
        assert row.studied is not None
        return self._studied(row.recipe, row.studied)

    def _scored(self, recipe: str, source: ScoredSettings) -> Cell | None:
        if recipe not in self._scores:
            path = self.recipe(recipe) / "results.json"
            self._scores[recipe] = read_score_rows(path) if path.is_file() else []
        rows = [row for row in self._scores[recipe] if row.set == source.set]
        ours = [row for row in rows if (row.experiment, row.metric) == (source.experiment, source.metric)]
        ours = sorted(ours, key=lambda row: row.key[3])[-1:]
        if not ours:
            return None
        # The epochs of what a chain started from are of another training.
        theirs = [
            row
            for row in rows
            if (row.experiment, row.metric) == (source.baseline, source.metric)
            and (row.epoch == ours[0].epoch or row.model != ours[0].model)
        ]
        if not theirs:
            return None
        changes = [
            row
            for row in rows
            if (row.experiment, row.metric) == (source.experiment, source.metric + CHANGE_SUFFIX)
            and (row.baseline, row.epoch) == (source.baseline, ours[0].epoch)
        ]
        before, after = _interval(theirs[0]), _interval(ours[0])
        epochs = counted(ours[0].epoch, "epoch") if ours[0].epoch is not None else "epochs unknown"
        commits = tuple(sorted({ours[0].commit, theirs[0].commit}))
        change = _interval(changes[0]) if changes else _without_interval(before, after)
        basis = f"{epochs}, {counted(ours[0].n, 'utterance')}" + ("" if changes else ", not compared one by one")
        return Cell(before, after, change, False, is_error_rate(source.metric), basis, commits)

    def _studied(self, recipe: str, source: StudiedSettings) -> Cell | None:
        folder = self.recipe(recipe) / source.study
        if not (folder / RUNS).is_file():
            return None
        study = self._studies.setdefault(folder, Study(folder))
        found = study.change(source)
        if found is None:
            return None
        seeds = counted(found.num_seeds, "seed")
        shown = f"epoch {found.epoch}, {seeds}, {counted(found.num_utts, 'utterance')}"
        change = found.earlier if source.in_epochs else found.change
        if change is None:
            return None
        return Cell(found.before, found.after, change, source.in_epochs, True, shown)


class Study:
    """The runs of one study.

    Args:
        folder: That has ``runs.json``.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._errors: dict[str, dict[str, dict[str, HeadErrors]]] = {}

    @cached_property
    def grids(self) -> dict[str, list[Arm]]:
        """Arms of every grid."""
        return read_runs(self.folder)

    def change(self, source: StudiedSettings) -> ArmChange | None:
        """The change that a row asks for; None where its runs are not finished."""
        arms = self.grids.get(source.grid, [])
        if source.grid not in self._errors:
            self._errors[source.grid] = read_errors(self.folder, arms)
        heads = self._errors[source.grid].get(source.set, {})
        own = _arm_named(arms, source.arm, where=f"{self.folder}, grid {source.grid}")
        if own is None or source.head not in heads or own.name not in heads[source.head].arms:
            return None
        measured = heads[source.head]
        if not source.against:
            return change_since_start(measured, own)
        other = _arm_named(arms, source.against, where=f"{self.folder}, grid {source.grid}")
        if other is None or other.name not in measured.arms:
            return None
        return change_between(measured, own, other)


def mark_of(row: RowSettings, cell: Cell) -> str:
    """`SEEN` where the interval lies wholly on the good side of zero, `REFUTED` where it lies wholly on the bad one.

    Else `UNDECIDED`; where the claim is that nothing gets worse and there is an interval, `UNCHANGED`; where the claim
    is of another metric, `UNMARKED`.
    """
    sign = SIGNS[row.sign]
    if not sign:
        return UNMARKED
    low, high = sorted((sign * cell.change.ci_low, sign * cell.change.ci_high))
    if math.isnan(low) or math.isnan(high):
        return UNDECIDED
    return SEEN if low > 0 else REFUTED if high < 0 else UNCHANGED if row.sign in STABLE else UNDECIDED


def size_of(row: RowSettings, cell: Cell, sizes: Mapping[str, Sequence[float]]) -> str:
    """``smaller`` or ``larger`` where the interval of a change that was seen leaves out the claimed size; else empty.

    Args:
        row: Of the table.
        cell: What was measured for it.
        sizes: Claim -> the least and the most that it says.
    """
    if mark_of(row, cell) != SEEN or row.claim not in sizes:
        return ""
    least, most = sizes[row.claim]
    low, high = sorted((SIGNS[row.sign] * cell.change.ci_low, SIGNS[row.sign] * cell.change.ci_high))
    return "smaller" if high < least else "larger" if low > most else ""


def _arm_named(arms: list[Arm], labels: Mapping[str, str], *, where: str) -> Arm | None:
    """The arm that has these labels.

    Raises:
        DataError: There are several.
    """
    chosen = [arm for arm in arms if labels.items() <= dict(arm.runs[0].arm).items()]
    if len(chosen) > 1:
        shown = ", ".join(f"{axis}={label}" for axis, label in labels.items())
        raise DataError(f"{where}: {len(chosen)} arms have {shown}; name more of their labels in the table")
    return chosen[0] if chosen else None


def _interval(row: ScoreRow) -> Interval:
    """A row's figure; its interval is not a number where there is none."""
    return Interval(row.value, *(row.interval or (math.nan, math.nan)))


def _without_interval(before: Interval, after: Interval) -> Interval:
    """Relative change of two figures that were not compared utterance by utterance."""
    value = after.value / before.value - 1 if before.value else math.nan
    return Interval(value, math.nan, math.nan)
