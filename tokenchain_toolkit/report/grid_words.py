"""How intervals of a grid are written."""

import math

from tokenchain_toolkit.metrics.seed_bootstrap import Interval
from tokenchain_toolkit.report.results import DASH

NEVER = "not reached"


def as_rate(interval: Interval | None) -> str:
    """An error rate in percent, ``5.5 [4.9, 6.2]``; a dash for None."""
    if interval is None:
        return DASH
    value, low, high = (f"{100 * part:.1f}" for part in (interval.value, interval.ci_low, interval.ci_high))
    return f"{value} [{low}, {high}]"


def as_change(interval: Interval | None) -> str:
    """A relative change in percent, always signed; a dash for None."""
    if interval is None:
        return DASH
    value, low, high = (f"{100 * part:+.1f}" for part in (interval.value, interval.ci_low, interval.ci_high))
    return f"{value} % [{low}, {high}]"


def as_epochs(interval: Interval | None, *, signed: bool = False) -> str:
    """Numbers of epochs, ``2.3 [1.8, not reached]``; a dash for None."""
    if interval is None:
        return DASH
    value, low, high = (_epochs(part, signed) for part in (interval.value, interval.ci_low, interval.ci_high))
    return value if value == low == high == NEVER else f"{value} [{low}, {high}]"


def as_figure(number: float | None) -> str:
    """A figure of any size to three digits; a dash for None."""
    return DASH if number is None else f"{number:.3g}"


def _epochs(number: float, signed: bool) -> str:
    if math.isinf(number):
        return NEVER
    rounded = round(number, 1) + 0.0  # no -0.0
    return f"{rounded:+.1f}" if signed else f"{rounded:.1f}"
