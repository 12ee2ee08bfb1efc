"""One metric over utterances that can be left out: value, interval and what every utterance has in it.

Shapes: U utterances, B resamples; the bootstrap's S seeds and E epochs are one each.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tokenchain_toolkit.metrics.seed_bootstrap import (
    Interval,
    SeedBootstrap,
    interval_of,
    relative_change,
    share_interval,
    without_errors,
)


class UnmeasurableError(Exception):
    """One utterance has no value in one measure; the text says why. It is named in the result and left out."""


@dataclass
class Measurement:
    """A weighted mean over utterances, each utterance's part in it, and who has none and why.

    Attributes:
        metric: Its name in ``score.json``.
        settings: Model id, sample rate and what else the figure depends on.
        totals: utt_id -> its value times its weight, such as its word errors.
        weights: utt_id -> its weight, such as its words.
        left_out: utt_id -> what is wrong with it.
    """

    metric: str
    settings: dict[str, Any]
    totals: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, utt_id: str, total: float, weight: float = 1.0) -> None:
        """Add one utterance; the weight is above 0."""
        self.totals[utt_id], self.weights[utt_id] = float(total), float(weight)

    @property
    def num_utts(self) -> int:
        """Utterances that the figure is over."""
        return len(self.totals)

    def interval(self) -> Interval:
        """The mean with its 95 % interval over the utterances, of which there is one at least."""
        if {*self.weights.values()} == {1.0} and {*self.totals.values()} <= {0.0, 1.0}:
            return share_interval(int(sum(self.totals.values())), self.num_utts)
        if not any(self.totals.values()):
            return without_errors(self.num_utts)
        return interval_of(self._means())

    def change_from(self, other: "Measurement") -> Interval:
        """This mean minus that of another measurement of the same utterances, with its 95 % paired interval."""
        assert self.weights == other.weights
        return interval_of(self._means() - other._means())

    def relative_change_from(self, other: "Measurement") -> Interval:
        """The change relative to the other mean, which is above 0 unless both are 0; a fraction, else as above."""
        assert self.weights == other.weights
        change = relative_change(other._means(), self._means())
        assert change is not None
        return change

    def of(self, utt_ids: Collection[str]) -> "Measurement":
        """The same of these utterances alone."""
        totals, weights = ({u: each[u] for u in each if u in utt_ids} for each in (self.totals, self.weights))
        return Measurement(self.metric, self.settings, totals, weights, dict(self.left_out))

    def _means(self) -> np.ndarray:
        """The mean of the sample and of every resample, (B,); resamples of the same utterances are the same."""
        utt_ids = sorted(self.totals)
        totals_U = np.array([self.totals[utt_id] for utt_id in utt_ids])
        bootstrap = SeedBootstrap(np.array([self.weights[utt_id] for utt_id in utt_ids]))
        return bootstrap.rates(totals_U[None, None])[:, 0]

    def as_json(self) -> dict[str, Any]:
        """Settings, value and weight of every utterance, and who was left out."""
        values = {utt_id: total / self.weights[utt_id] for utt_id, total in self.totals.items()}
        found = {"settings": self.settings, "per_utterance": values, "weights": self.weights}
        return {**found, "left_out": self.left_out}

    @classmethod
    def from_json(cls, metric: str, value: dict[str, Any]) -> "Measurement":
        """What `as_json` gave; KeyError if something is missing."""
        weights = value["weights"]
        totals = {utt_id: each * weights[utt_id] for utt_id, each in value["per_utterance"].items()}
        return cls(metric, value["settings"], totals, weights, value["left_out"])
