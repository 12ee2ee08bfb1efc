"""The paper's claims beside what grids of experiments came to.

A grid whose settings name ``target_sets`` stands beside the claims about an adaptation, any other with all its sets
beside those about one domain. Arms without a link between ASR and T2S, such as self-training, are no chains, and say
nothing of the claims.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tokenchain_toolkit.metrics.seed_bootstrap import Interval
from tokenchain_toolkit.report.grid_results import ArmResult, GridResult, HeadResult, SetResult
from tokenchain_toolkit.report.grid_runs import T2S
from tokenchain_toolkit.report.grid_words import as_change, as_epochs
from tokenchain_toolkit.report.paper import CLAIMS, Claim

SEEN, REFUTED, OPEN = "✓", "✗", "·"


@dataclass(frozen=True)
class Measured:
    """One figure of ours.

    The mark is `SEEN` where the interval lies on the side of zero that the claim names, `REFUTED` where it lies on the
    other, and else `OPEN`.
    """

    mark: str
    text: str


@dataclass(frozen=True)
class ClaimBesideGrids:
    """A claim and what was measured of it, empty if nothing comparable was."""

    claim: Claim
    ours: list[Measured]


def claims_beside_grids(grids: Sequence[GridResult]) -> list[ClaimBesideGrids]:
    """Every claim with what the grids measured of it."""
    return [
        ClaimBesideGrids(claim, [ours for grid in grids for ours in MEASURES[claim.measure](grid)])
        if claim.measure
        else ClaimBesideGrids(claim, [])
        for claim in CLAIMS
    ]


def _changes(grid: GridResult) -> Iterator[Measured]:
    """Error at equal epochs."""
    for measured, arm, result in _in_domain(grid):
        change = result.last_change
        if change is not None and grid.roles[arm].is_linked:
            words = f"{as_change(change.interval)} after {_count(change.epoch)}"
            yield Measured(_mark_of_fall(change.interval), f"{_where(grid, arm, measured)}: {words}")


def _epochs_earlier(grid: GridResult) -> Iterator[Measured]:
    """Epochs until the baseline's final rate, for which the baseline itself need not take all of its own."""
    baselines = {arm.name: arm.baseline for arm in grid.arms}
    for measured, arm, result in _in_domain(grid):
        baseline, earlier = baselines[arm], result.earlier
        if baseline is None or earlier is None or not grid.roles[arm].is_linked:
            continue
        mark = SEEN if earlier.ci_low > 0 else REFUTED if earlier.ci_high < 0 else OPEN
        words = f"{as_epochs(result.reached)} epochs, the baseline {measured.main.arms[baseline].reached.value:.1f}"
        if math.isfinite(earlier.value):
            words += f"; earlier by {as_epochs(earlier, signed=True)}"
        yield Measured(mark, f"{_where(grid, arm, measured)}: {words}")


def _adapted(grid: GridResult) -> Iterator[Measured]:
    """Recognition of the targets."""
    for target in grid.targets:
        yield from _since_start(grid, target, target.main)


def _t2s_adapted(grid: GridResult) -> Iterator[Measured]:
    """Synthesis of the targets."""
    for target in grid.targets:
        if T2S in target.heads:
            yield from _since_start(grid, target, target.heads[T2S])


def _since_start(grid: GridResult, measured: SetResult, head: HeadResult) -> Iterator[Measured]:
    """Against the baseline, which the mark goes by, and against the models before training."""
    for arm, result in head.arms.items():
        change = result.last_change
        if change and not grid.roles[arm].is_linked:
            continue
        words = [f"{as_change(change.interval)} against the baseline"] if change else []
        words += [f"{as_change(result.since_start)} against before training"] if result.since_start else []
        if words:
            mark = _mark_of_fall(change.interval) if change else OPEN
            yield Measured(mark, f"{_where(grid, arm, measured)}: {'; '.join(words)}")


def _forgotten(grid: GridResult) -> Iterator[Measured]:
    """Recognition of the sources, where there are targets; a small figure has no sign, so there is no mark."""
    for source in grid.sources if grid.targets else []:
        for arm, result in source.main.arms.items():
            if result.since_start:
                words = f"{as_change(result.since_start)} against before training"
                yield Measured(OPEN, f"{_where(grid, arm, source)}: {words}")


def _annealed(grid: GridResult) -> Iterator[Measured]:
    """An annealed temperature against constant ones in domain; of transfer nothing is said here."""
    for measured, arm, result in _in_domain(grid):
        for rival, change in result.rivals.items():
            if grid.roles[arm].is_annealed and not grid.roles[rival].is_control:
                words = f"{as_change(change.interval)} against {rival} after {_count(change.epoch)}"
                yield Measured(_mark_of_fall(change.interval), f"{_where(grid, arm, measured)}: {words}")


def _in_domain(grid: GridResult) -> Iterator[tuple[SetResult, str, ArmResult]]:
    """Every set with every arm and its result, unless the grid is an adaptation."""
    for measured in grid.sources if not grid.targets else []:
        for arm, result in measured.main.arms.items():
            yield measured, arm, result


def _mark_of_fall(interval: Interval) -> str:
    """Of a claim that an error rate falls."""
    return SEEN if interval.ci_high < 0 else REFUTED if interval.ci_low > 0 else OPEN


def _where(grid: GridResult, arm: str, measured: SetResult) -> str:
    return f"{grid.name}, {arm}, {measured.name}"


def _count(epochs: int) -> str:
    return f"{epochs} epoch" if epochs == 1 else f"{epochs} epochs"


MEASURES: dict[str, Callable[[GridResult], Iterator[Measured]]] = {
    "change": _changes,
    "earlier": _epochs_earlier,
    "adapted": _adapted,
    "t2s_adapted": _t2s_adapted,
    "forgotten": _forgotten,
    "annealed": _annealed,
}
