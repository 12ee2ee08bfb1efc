"""The comparison with the baseline as a plot: each relative change with its interval around zero."""

import io
from collections.abc import Sequence

from tokenchain_toolkit.report.curves import INK, RULE, SERIES, themed
from tokenchain_toolkit.report.results import Comparison, metric_name


def draw_changes(compared: Sequence[Comparison]) -> str:
    """Changes in percent down the page, zero as a line, as an inline SVG element."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "changes", "font.size": 9}):
        canvas = Canvas(figsize=(10.4, 0.7 + 0.3 * len(compared)), layout="constrained", facecolor="none")
        axis = canvas.subplots()
        axis.axvline(0, color=INK, linewidth=1)
        for place, each in enumerate(compared):
            change = each.change
            value = 100 * change.value
            low = 100 * (change.value if change.ci_low is None else change.ci_low)
            high = 100 * (change.value if change.ci_high is None else change.ci_high)
            color = INK if low <= 0 <= high else SERIES[2] if high < 0 else SERIES[1]
            axis.plot([low, high], [place, place], color=color, linewidth=2, alpha=0.6, solid_capstyle="round")
            axis.plot([value], [place], "o", color=color, markersize=6)
        labels = [f"{each.change.experiment} · {each.change.set} · {metric_name(each.metric)}" for each in compared]
        axis.set_yticks(range(len(compared)), labels)
        axis.set_ylim(len(compared) - 0.5, -0.5)
        axis.set_xlabel("relative change in percent; left of zero is better", color=INK)
        axis.set_facecolor("none")
        axis.grid(axis="x", color=RULE, linewidth=0.7)
        axis.spines[:].set_visible(False)
        axis.tick_params(colors=INK, length=0)
        output = io.StringIO()
        canvas.savefig(output, format="svg", metadata={"Date": None})
    return themed(output.getvalue(), "Relative change against the baseline with 95 % intervals")
