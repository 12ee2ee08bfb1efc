"""The runs of a grid of experiments: which there are, which are compared, and the errors that each made.

An arm is the runs whose labels differ in the seed alone. Shapes: S seeds, E epochs, U utterances.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from tokenchain_toolkit.config.grid import RUNS
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import read_json

T2S, UNFINISHED = "t2s", "t2s_unfinished"


@dataclass(frozen=True)
class GridRun:
    """One finished run, as ``runs.json`` lists it; ``folder`` and ``baseline`` are relative to that file.

    ``target_sets`` are the sets that it adapts to; none if it stays in the domain of the models that it starts from.
    """

    grid: str
    labels: dict[str, Any]
    folder: str
    baseline: str | None
    target_sets: list[str]
    epochs: int
    overrides: list[str]

    @property
    def seed(self) -> str:
        """Label of the seed; empty if the grid has no such axis."""
        return str(self.labels.get("seed", ""))

    @property
    def arm(self) -> tuple[tuple[str, str], ...]:
        """Its labels without the seed."""
        return tuple((axis, str(label)) for axis, label in self.labels.items() if axis != "seed")


@dataclass(frozen=True)
class Arm:
    """Runs of the same labels.

    Attributes:
        name: Labels of the axes along which the arms of its grid differ.
        runs: By seed.
        baseline: Name of the arm that it is compared with; None for a baseline, and where that did not finish.
        pairs: Places of a run here and of its baseline there, for every run that has one.
    """

    name: str
    runs: tuple[GridRun, ...]
    baseline: str | None
    pairs: tuple[tuple[int, int], ...]

    @property
    def seeds(self) -> list[str]:
        """Labels of the seeds."""
        return [run.seed for run in self.runs]

    @property
    def overrides(self) -> list[str]:
        """What all its runs are told."""
        return [each for each in self.runs[0].overrides if all(each in run.overrides for run in self.runs)]


@dataclass(frozen=True)
class ArmErrors:
    """Errors of an arm's runs after each epoch; E follows ``epochs``, S the arm's runs.

    ``unfinished`` is how many utterances T2S did not end by itself after the last epoch, the mean over seeds.
    """

    epochs: list[int]
    errors_SEU: np.ndarray
    unfinished: float | None


@dataclass(frozen=True)
class HeadErrors:
    """One set as one head read it; U is the same utterances for all arms."""

    words_U: np.ndarray
    arms: dict[str, ArmErrors]


def read_runs(out: Path) -> dict[str, list[Arm]]:
    """Arms of every grid of ``runs.json``, baselines first.

    Raises:
        DataError: The file is missing, empty, or not as the grid runner writes it.
    """
    path = out / RUNS
    if not path.is_file():
        raise DataError(f"{path} is missing, so there are no runs to report; run the grid first")
    known = {field.name for field in fields(GridRun)}
    grids: dict[str, list[GridRun]] = defaultdict(list)
    for number, entry in enumerate(read_json(path)):
        if set(entry) != known:
            odd = ", ".join(sorted(set(entry) ^ known))
            raise DataError(f"{path}: run {number}: fields {odd} are missing or unknown; run the grid again")
        grids[entry["grid"]].append(GridRun(**entry))
    if not grids:
        raise DataError(f"{path} lists no finished run; run the grid again and look at what failed")
    return {name: _arms(runs) for name, runs in grids.items()}


def _arms(runs: Sequence[GridRun]) -> list[Arm]:
    """Runs of one grid by arm."""
    members: dict[tuple[tuple[str, str], ...], list[GridRun]] = defaultdict(list)
    for run in runs:
        members[run.arm].append(run)
    axes = [axis for axis, _ in runs[0].arm]
    varying = [axis for axis in axes if len({dict(arm).get(axis) for arm in members}) > 1] or axes
    names = {arm: " · ".join(dict(arm)[axis] for axis in varying) or runs[0].grid for arm in members}
    by_seed = {arm: sorted(each, key=lambda run: (len(run.seed), run.seed)) for arm, each in members.items()}
    places = {run.folder: (arm, place) for arm, each in by_seed.items() for place, run in enumerate(each)}
    arms = []
    for arm, own in by_seed.items():
        found = [(place, *places[run.baseline]) for place, run in enumerate(own) if run.baseline in places]
        found = [pair for pair in found if pair[1] != arm]
        if len({other for _, other, _ in found}) > 1:
            raise DataError(f"{own[0].grid}: the runs of {names[arm]} have several baselines; run the grid again")
        baseline = names[found[0][1]] if found else None
        arms.append(Arm(names[arm], tuple(own), baseline, tuple((place, other) for place, _, other in found)))
    return sorted(arms, key=lambda arm: arm.baseline is not None)


def read_errors(out: Path, arms: Sequence[Arm]) -> dict[str, dict[str, HeadErrors]]:
    """Set -> head -> errors of all arms of a grid that were evaluated on it, from ``evaluation/epoch*.json``.

    Raises:
        DataError: A run lacks an epoch, the runs of an arm differ in epochs or sets, or two runs in utterances.
    """
    words: dict[tuple[str, str], dict[str, int]] = {}
    found: dict[str, dict[str, HeadErrors]] = defaultdict(dict)
    for arm in arms:
        evaluations = [read_evaluations(out, run) for run in arm.runs]
        epochs = sorted(evaluations[0])
        if any(sorted(each) != epochs for each in evaluations):
            raise DataError(f"{arm.runs[0].grid}: the runs of {arm.name} have unequal epochs; run the grid again")
        for set_name, entry in evaluations[0][epochs[-1]].items():
            for head in (name for name in entry if name != UNFINISHED):
                first = {utt_id: pair[1] for utt_id, pair in sorted(entry[head].items())}
                of_utt = words.setdefault((set_name, head), first)
                errors = [
                    [
                        _errors_U(each[epoch], set_name, head, of_utt, where=f"{run.folder}, epoch {epoch}")
                        for epoch in epochs
                    ]
                    for run, each in zip(arm.runs, evaluations, strict=True)
                ]
                unfinished = [each[epochs[-1]][set_name].get(UNFINISHED) for each in evaluations] if head == T2S else []
                head_errors = found[set_name].setdefault(head, HeadErrors(np.array(list(of_utt.values())), {}))
                head_errors.arms[arm.name] = ArmErrors(epochs, np.array(errors, dtype=float), _mean(unfinished))
    return dict(found)


def read_evaluations(out: Path, run: GridRun) -> dict[int, Mapping[str, Mapping[str, Any]]]:
    """Epoch -> sets, as the run was evaluated; the epoch before training, 0, may be missing.

    Raises:
        DataError: Another one is.
    """
    folder = out / run.folder / "evaluation"
    entries = [read_json(path) for path in sorted(folder.glob("epoch*.json"))]
    found = {entry["epoch"]: entry["sets"] for entry in entries if entry["epoch"] <= run.epochs}
    missing = [str(epoch) for epoch in range(1, run.epochs + 1) if epoch not in found]
    if missing or not found:
        raise DataError(f"{folder} lacks epoch {', '.join(missing) or 0}; remove {run.folder} and run the grid again")
    return found


def _errors_U(
    sets: Mapping[str, Mapping[str, Any]], set_name: str, head: str, words: Mapping[str, int], *, where: str
) -> list[int]:
    """Errors of one evaluation in the order of ``words``."""
    counts = sets.get(set_name, {}).get(head, {})
    if {utt_id: pair[1] for utt_id, pair in counts.items()} != words:
        raise DataError(
            f"{where}: the utterances or references of {set_name} ({head}) are not those of the other runs; give all "
            "runs of a grid the same evaluation settings, remove this one and run the grid again"
        )
    return [counts[utt_id][0] for utt_id in words]


def _mean(values: Sequence[float | None]) -> float | None:
    """Of the values that are there."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
