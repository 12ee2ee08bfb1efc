"""Intervals of systems that were trained with several seeds: a bootstrap over seeds and, within them, utterances.

Shapes: B resamples, S seeds, E epochs, U utterances. Row 0 of B is the sample itself, so that whatever is computed of
the resamples is computed of the sample in the same pass.
"""

from dataclasses import dataclass

import numpy as np

INTERVAL_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; an infinite one is of something that does not happen."""

    value: float
    ci_low: float
    ci_high: float


class SeedBootstrap:
    """Resamples of one set's utterances and of seeds; every system is seen through the same ones.

    Systems with equally many seeds are also given the same draws of seeds, so the difference of two is a paired one
    where both were trained with the same seeds. An interval over three seeds hardly reaches beyond the lowest and the
    highest of them: it is right where seeds scatter no more than utterances make them, and too narrow where they
    scatter far more. One over a single seed knows nothing of how seeds scatter.

    Args:
        words_U: Words of each utterance's reference.
        num_bootstrap: Resamples.
        seed: Seed of the resampling.
    """

    def __init__(self, words_U: np.ndarray, *, num_bootstrap: int = 1000, seed: int = 0):
        num_utts = len(words_U)
        drawn_BU = np.random.default_rng(seed).multinomial(num_utts, [1 / num_utts] * num_utts, size=num_bootstrap)
        self._counts_BU = np.concatenate([np.ones((1, num_utts)), drawn_BU])
        self._words_B = self._counts_BU @ words_U
        self._num_bootstrap = num_bootstrap
        self._seed = seed

    def rates(self, errors_SEU: np.ndarray) -> np.ndarray:
        """Error rates of a system, the mean over its seeds, of every resample and epoch: shape (B, E).

        Args:
            errors_SEU: Errors of each seed's run in each utterance after each epoch.
        """
        num_seeds, num_epochs, num_utts = errors_SEU.shape
        errors_BX = self._counts_BU @ errors_SEU.reshape(-1, num_utts).T
        rates_BSE = errors_BX.reshape(-1, num_seeds, num_epochs) / self._words_B[:, None, None]
        rates_BE = np.einsum("bs,bse->be", self._seed_weights(num_seeds), rates_BSE)
        # Two systems that make the same errors shall be equal, whatever the order in which they were summed.
        return np.round(rates_BE, 12)

    def _seed_weights(self, num_seeds: int) -> np.ndarray:
        """Weight of each seed in each resample's mean, (B, S); each row sums to 1."""
        generator = np.random.default_rng([self._seed, num_seeds])
        drawn_BS = generator.multinomial(num_seeds, [1 / num_seeds] * num_seeds, size=self._num_bootstrap) / num_seeds
        return np.concatenate([np.full((1, num_seeds), 1 / num_seeds), drawn_BS])


def share_interval(count: int, total: int) -> Interval:
    """A share of utterances with its 95 % interval by Wilson's score (through SciPy).

    A bootstrap knows only what it has seen: if none of 500 have a fault, it sees none in any resample, though up to one
    in 130 may well have it.
    """
    from scipy.stats import binomtest

    interval = binomtest(count, total).proportion_ci(method="wilson")
    return Interval(count / total, float(interval.low), float(interval.high))


def without_errors(num_utts: int) -> Interval:
    """An error rate of 0 with its 95 % interval, which a bootstrap would not have.

    It is that of the share of utterances with an error (`share_interval`), each of them taken to be wrong throughout.
    """
    return share_interval(0, num_utts)


def interval_of(values_B: np.ndarray) -> Interval:
    """The sample's figure, and the interval that its resamples span."""
    # No mean of two neighbours: next to an infinite one it would not be a number.
    low, high = np.percentile(values_B[1:], INTERVAL_PERCENTILES, method="nearest")
    return Interval(float(values_B[0]), float(low), float(high))


def relative_change(baseline_B: np.ndarray, system_B: np.ndarray) -> Interval | None:
    """Change of an error rate relative to the baseline's; negative is better.

    The difference is divided by the baseline's rate on the sample, so that a resample in which the baseline happens to
    make no error does not divide by zero.

    Args:
        baseline_B: Resampled rates, as from `SeedBootstrap.rates`.
        system_B: Those of the system in question, of the same seeds.

    Returns:
        None where only the baseline is free of errors.
    """
    if baseline_B[0] == 0 and system_B[0] > 0:
        return None
    return interval_of((system_B - baseline_B) / (baseline_B[0] or 1.0))


def epochs_to(rates_BE: np.ndarray, epochs_E: np.ndarray, target_B: np.ndarray) -> np.ndarray:
    """Epochs after which each resample's rate is first as low as its target, (B,); infinite where it never is.

    Args:
        rates_BE: By epoch.
        epochs_E: Numbers of the epochs, ascending; the rate is taken to fall linearly between them.
        target_B: What is to be reached.
    """
    is_reached_BE = rates_BE <= target_B[:, None]
    after_B = is_reached_BE.argmax(axis=1)
    before_B = np.maximum(after_B - 1, 0)
    rows_B = np.arange(len(rates_BE))
    fall_B = rates_BE[rows_B, before_B] - rates_BE[rows_B, after_B]
    share_B = (rates_BE[rows_B, before_B] - target_B) / np.where(fall_B > 0, fall_B, 1.0)
    steps_B = np.where(after_B > before_B, epochs_E[after_B] - epochs_E[before_B], 0)
    return np.where(is_reached_BE.any(axis=1), epochs_E[before_B] + share_B * steps_B, np.inf)
