"""The comparison with the baseline as a plot: each relative change with its interval around zero."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tokenchain_toolkit.report.curves import INK, RULE, SERIES, to_svg
from tokenchain_toolkit.report.results import Comparison, is_error_rate, metric_name


class DrawnChange(NamedTuple):
    """One relative change, as a fraction, with its interval; one that has none is a point and not judged."""

    label: str
    value: float
    ci_low: float
    ci_high: float


def draw_changes(compared: Sequence[Comparison]) -> str:
    """Error rates of a recipe compared, as an inline SVG element; empty if there are none."""
    drawn = []
    for each in compared:
        if not is_error_rate(each.metric):
            continue
        change = each.change
        low, high = change.interval or (change.value, change.value)
        against = f" against {change.baseline}" if each.since_start else ""
        label = f"{change.experiment}{against} · {change.set} · {metric_name(each.metric)}"
        drawn.append(DrawnChange(label, change.value, low, high))
    return draw_intervals(drawn, salt="changes") if drawn else ""


def draw_intervals(changes: Sequence[DrawnChange], *, salt: str) -> str:
    """Changes in percent down the page, zero as a line, as an inline SVG element.

    Args:
        changes: From top to bottom.
        salt: As in `to_svg`.
    """

    def draw(canvas: Any) -> None:
        axis = canvas.subplots()
        axis.axvline(0, color=INK, linewidth=1)
        for place, change in enumerate(changes):
            low, high = 100 * change.ci_low, 100 * change.ci_high
            color = INK if low <= 0 <= high or low == high else SERIES[2] if high < 0 else SERIES[1]
            axis.plot([low, high], [place, place], color=color, linewidth=2, alpha=0.6, solid_capstyle="round")
            axis.plot([100 * change.value], [place], "o", color=color, markersize=6)
        axis.set_yticks(range(len(changes)), [change.label for change in changes])
        axis.set_ylim(len(changes) - 0.5, -0.5)
        axis.set_xlabel("relative change in percent; left of zero is better", color=INK)
        axis.set_facecolor("none")
        axis.grid(axis="x", color=RULE, linewidth=0.7)
        axis.spines[:].set_visible(False)
        axis.tick_params(colors=INK, length=0)

    label = "Relative change against the baseline with 95 % intervals"
    return to_svg(draw, height=0.7 + 0.3 * len(changes), salt=salt, label=label)
