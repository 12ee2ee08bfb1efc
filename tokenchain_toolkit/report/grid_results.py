"""What a grid of experiments came to: error rates by epoch, changes against the baseline, epochs until it is caught up.

Shapes: B resamples, S seeds, E epochs, U utterances.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tokenchain_toolkit.metrics.seed_bootstrap import Interval, SeedBootstrap, epochs_to, interval_of, relative_change
from tokenchain_toolkit.report.grid_diagnostics import Diagnostic, read_diagnostics
from tokenchain_toolkit.report.grid_roles import Role, read_roles
from tokenchain_toolkit.report.grid_runs import T2S, Arm, ArmErrors, HeadErrors, read_errors, read_runs
from tokenchain_toolkit.report.results import verdict_of

HEAD_NAMES = {"joint": "WER", "attention": "WER, attention alone", "ctc": "WER, CTC alone", T2S: "T2S-WER"}


@dataclass(frozen=True)
class Change:
    """Relative change of an error rate against the baseline after equally many epochs.

    Attributes:
        epoch: Of both sides.
        interval: As fractions; negative is better.
        num_agreeing: Seeds in which the change has the sign of the whole.
        num_seeds: Seeds that were trained on both sides.
    """

    epoch: int
    interval: Interval
    num_agreeing: int
    num_seeds: int

    @property
    def verdict(self) -> str:
        """What the interval lets one say, in plain words."""
        return verdict_of(self.interval.ci_low, self.interval.ci_high)


@dataclass(frozen=True)
class ArmResult:
    """One arm on one set, as one head read it.

    Attributes:
        num_seeds: Runs that are pooled.
        rates: Epoch -> error rate.
        since_start: Relative change from before training, if that was evaluated, to the last epoch.
        unfinished: Utterances that T2S did not end by itself, the mean over seeds; None for other heads.
        changes: Epoch -> change against the baseline; empty for a baseline.
        reached: Epochs to the baseline's final rate; infinite if it was not reached.
        earlier: By how many epochs that is sooner than the baseline itself; None for a baseline.
        rivals: Another arm that it is to beat -> change against it after the last epoch that both have: self-training
            for a chain, constant temperature for an annealed one.
    """

    num_seeds: int
    rates: dict[int, Interval]
    since_start: Interval | None
    unfinished: float | None
    changes: dict[int, Change]
    reached: Interval
    earlier: Interval | None = None
    rivals: dict[str, Change] = field(default_factory=dict)

    @property
    def last_epoch(self) -> int:
        """The last epoch."""
        return max(self.rates)

    @property
    def last_rate(self) -> Interval:
        """Error rate after the last epoch."""
        return self.rates[self.last_epoch]

    @property
    def last_change(self) -> Change | None:
        """Change against the baseline after the last epoch that both have."""
        return self.changes[max(self.changes)] if self.changes else None


@dataclass(frozen=True)
class HeadResult:
    """One set as one head read it: arm -> result."""

    name: str
    num_utts: int
    arms: dict[str, ArmResult]


@dataclass(frozen=True)
class SetResult:
    """One set: head -> result, in the order of `HEAD_NAMES`."""

    name: str
    heads: dict[str, HeadResult]

    @property
    def main(self) -> HeadResult:
        """The head that most is told of: joint search where it was evaluated."""
        return next(iter(self.heads.values()))

    @property
    def leading(self) -> list[HeadResult]:
        """What plots and summaries show: the main head, and T2S if it was evaluated."""
        return [head for key, head in self.heads.items() if head is self.main or key == T2S]

    @property
    def has_rivals(self) -> bool:
        """Whether some arm is compared with another one than its baseline."""
        return any(result.rivals for head in self.heads.values() for result in head.arms.values())

    @property
    def epochs(self) -> list[int]:
        """Every epoch that some arm was evaluated after."""
        return sorted({epoch for arm in self.main.arms.values() for epoch in arm.rates})

    @property
    def compared_epochs(self) -> list[int]:
        """Every epoch after which some arm is compared with its baseline."""
        return sorted({epoch for arm in self.main.arms.values() for epoch in arm.changes})


@dataclass(frozen=True)
class GridResult:
    """One grid.

    Attributes:
        name: Its name.
        arms: Its arms.
        roles: Arm -> what it learns from.
        sources: Sets of the domain that the pretrained pair was trained on.
        targets: Sets of another domain, which an adaptation is to learn; none if the grid is no adaptation.
        diagnostics: What was measured inside the chain.
    """

    name: str
    arms: list[Arm]
    roles: dict[str, Role]
    sources: list[SetResult]
    targets: list[SetResult]
    diagnostics: list[Diagnostic]

    @property
    def sets(self) -> list[SetResult]:
        """All sets, the sources first."""
        return [*self.sources, *self.targets]

    @property
    def num_runs(self) -> int:
        """Finished runs."""
        return sum(len(arm.runs) for arm in self.arms)

    @property
    def epochs(self) -> list[int]:
        """Every epoch that some arm was evaluated after."""
        return sorted({epoch for each in self.sets for epoch in each.epochs})

    @property
    def num_comparisons(self) -> int:
        """How many changes are judged after the last epoch."""
        results = (arm for each in self.sets for head in each.heads.values() for arm in head.arms.values())
        return sum(bool(result.changes) + len(result.rivals) for result in results)


def measure_grids(out: Path) -> list[GridResult]:
    """Results of every grid whose runs ``runs.json`` lists.

    Raises:
        DataError: Files of the runs are missing or do not fit together.
    """
    return [_measure_grid(out, name, arms) for name, arms in read_runs(out).items()]


def _measure_grid(out: Path, name: str, arms: list[Arm]) -> GridResult:
    errors, roles = read_errors(out, arms), read_roles(out, arms)
    adapted_to = {set_name for arm in arms for run in arm.runs for set_name in run.target_sets}
    sources: list[SetResult] = []
    targets: list[SetResult] = []
    for set_name, heads in sorted(errors.items()):
        measured = {head: _measure_head(head, heads[head], arms, roles) for head in HEAD_NAMES if head in heads}
        (targets if set_name in adapted_to else sources).append(SetResult(set_name, measured))
    return GridResult(name, arms, roles, sources, targets, read_diagnostics(out, arms))


def _measure_head(head: str, measured: HeadErrors, arms: Sequence[Arm], roles: Mapping[str, Role]) -> HeadResult:
    """All arms on one set; what they are compared by is drawn once."""
    bootstrap = SeedBootstrap(measured.words_U)
    results = {}
    for arm in arms:
        if arm.name not in measured.arms:
            continue
        own = measured.arms[arm.name]
        result = _measure_alone(bootstrap, own)
        if arm.baseline in measured.arms:
            result = _compare(bootstrap, result, arm, own, measured.arms[arm.baseline])
            result = replace(result, rivals=_against_rivals(bootstrap, arm, arms, measured, roles))
        results[arm.name] = result
    return HeadResult(HEAD_NAMES[head], len(measured.words_U), results)


def _measure_alone(bootstrap: SeedBootstrap, own: ArmErrors) -> ArmResult:
    """Rates, and when the last one was first reached."""
    rates_BE = bootstrap.rates(own.errors_SEU)
    return ArmResult(
        num_seeds=len(own.errors_SEU),
        rates={epoch: interval_of(rates_B) for epoch, rates_B in zip(own.epochs, rates_BE.T, strict=True)},
        since_start=relative_change(rates_BE[:, 0], rates_BE[:, -1]) if own.epochs[0] == 0 < own.epochs[-1] else None,
        unfinished=own.unfinished,
        changes={},
        reached=interval_of(epochs_to(rates_BE, np.array(own.epochs), rates_BE[:, -1])),
    )


def _compare(bootstrap: SeedBootstrap, result: ArmResult, arm: Arm, own: ArmErrors, other: ArmErrors) -> ArmResult:
    """The result with what is to be said against the baseline, over the seeds that both have."""
    here, there = (list(places) for places in zip(*arm.pairs, strict=True))
    own_SEU, other_SEU = own.errors_SEU[here], other.errors_SEU[there]
    own_BE, other_BE = bootstrap.rates(own_SEU), bootstrap.rates(other_SEU)
    changes = _changes(bootstrap, replace(own, errors_SEU=own_SEU), replace(other, errors_SEU=other_SEU))
    target_B = other_BE[:, -1]
    reached_B = epochs_to(own_BE, np.array(own.epochs), target_B)
    baseline_B = epochs_to(other_BE, np.array(other.epochs), target_B)
    return replace(result, changes=changes, reached=interval_of(reached_B), earlier=interval_of(baseline_B - reached_B))


def _against_rivals(
    bootstrap: SeedBootstrap, arm: Arm, arms: Sequence[Arm], measured: HeadErrors, roles: Mapping[str, Role]
) -> dict[str, Change]:
    """An arm against those that it is to beat beside the baseline, over the seeds that both have."""
    found = {}
    for rival in arms:
        seeds = [seed for seed in arm.seeds if seed in rival.seeds]
        is_rival = roles[rival.name].is_rival_of(roles[arm.name]) and rival.baseline == arm.baseline
        if not is_rival or not seeds or rival.name not in measured.arms:
            continue
        own, other = (
            replace(
                measured.arms[each.name],
                errors_SEU=measured.arms[each.name].errors_SEU[[each.seeds.index(seed) for seed in seeds]],
            )
            for each in (arm, rival)
        )
        changes = _changes(bootstrap, own, other)
        if changes:
            found[rival.name] = changes[max(changes)]
    return found


def _changes(bootstrap: SeedBootstrap, own: ArmErrors, other: ArmErrors) -> dict[int, Change]:
    """Epoch -> change of an arm against another one that has the same seeds in the same order."""
    own_BE, other_BE = bootstrap.rates(own.errors_SEU), bootstrap.rates(other.errors_SEU)
    changes = {}
    for epoch in sorted(set(own.epochs) & set(other.epochs) - {0}):
        at, other_at = own.epochs.index(epoch), other.epochs.index(epoch)
        interval = relative_change(other_BE[:, other_at], own_BE[:, at])
        if interval is not None:
            difference_S = (own.errors_SEU[:, at] - other.errors_SEU[:, other_at]).sum(axis=1)
            num_agreeing = int((np.sign(difference_S) == np.sign(interval.value)).sum())
            changes[epoch] = Change(epoch, interval, num_agreeing, len(own.errors_SEU))
    return changes
