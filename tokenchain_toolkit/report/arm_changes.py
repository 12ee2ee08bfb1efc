"""Any two arms of a grid compared, or an arm with its own start.

Shapes: B resamples, S seeds, E epochs, U utterances.
"""

from dataclasses import dataclass

import numpy as np

from tokenchain_toolkit.metrics.seed_bootstrap import Interval, SeedBootstrap, epochs_to, interval_of, relative_change
from tokenchain_toolkit.report.grid_runs import Arm, HeadErrors


@dataclass(frozen=True)
class ArmChange:
    """How an arm's error rate differs from another's after as many epochs, or from its own before training.

    Attributes:
        before: Rate of the other arm, or before training.
        after: Rate of the arm.
        change: Relative; None where only ``before`` is free of errors.
        earlier: By how many epochs the arm reaches the other's last rate sooner than the other; None for the start.
        epoch: Of ``after``.
        num_seeds: Seeds that both have.
        num_utts: Utterances.
    """

    before: Interval
    after: Interval
    change: Interval | None
    earlier: Interval | None
    epoch: int
    num_seeds: int
    num_utts: int


def change_between(measured: HeadErrors, own: Arm, other: Arm) -> ArmChange | None:
    """An arm against another of the same grid; None where they share no seed or no epoch."""
    ours, theirs = measured.arms[own.name], measured.arms[other.name]
    seeds = [seed for seed in own.seeds if seed in other.seeds]
    epochs = sorted(set(ours.epochs) & set(theirs.epochs) - {0})
    if not seeds or not epochs:
        return None
    bootstrap = SeedBootstrap(measured.words_U)
    own_BE = bootstrap.rates(ours.errors_SEU[[own.seeds.index(seed) for seed in seeds]])
    other_BE = bootstrap.rates(theirs.errors_SEU[[other.seeds.index(seed) for seed in seeds]])
    after_B = own_BE[:, ours.epochs.index(epochs[-1])]
    before_B = other_BE[:, theirs.epochs.index(epochs[-1])]
    target_B = other_BE[:, -1]
    reached_B = epochs_to(own_BE, np.array(ours.epochs), target_B)
    return ArmChange(
        before=interval_of(before_B),
        after=interval_of(after_B),
        change=relative_change(before_B, after_B),
        earlier=interval_of(epochs_to(other_BE, np.array(theirs.epochs), target_B) - reached_B),
        epoch=epochs[-1],
        num_seeds=len(seeds),
        num_utts=len(measured.words_U),
    )


def change_since_start(measured: HeadErrors, own: Arm) -> ArmChange | None:
    """An arm against itself before training; None where that was not evaluated."""
    ours = measured.arms[own.name]
    if ours.epochs[0] != 0 or ours.epochs[-1] == 0:
        return None
    rates_BE = SeedBootstrap(measured.words_U).rates(ours.errors_SEU)
    return ArmChange(
        before=interval_of(rates_BE[:, 0]),
        after=interval_of(rates_BE[:, -1]),
        change=relative_change(rates_BE[:, 0], rates_BE[:, -1]),
        earlier=None,
        epoch=ours.epochs[-1],
        num_seeds=len(ours.errors_SEU),
        num_utts=len(measured.words_U),
    )
