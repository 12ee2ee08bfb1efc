"""Plots of a grid: error rate by epoch, changes against the baseline, and a source's rate against a target's."""

from collections.abc import Callable
from typing import Any, TypeVar

from tokenchain_toolkit.report.curves import INK, RULE, SERIES, style_panel, to_svg
from tokenchain_toolkit.report.grid_results import ArmResult, GridResult, SetResult
from tokenchain_toolkit.report.interval_plot import DrawnChange, draw_intervals

PANEL_COLUMNS, LEGEND_COLUMNS = 2, 4
PANEL_HEIGHT, LEGEND_ROW = 3.2, 0.22  # inches
DASHES = ("-", "--", "-.", ":")
Style = dict[str, Any]
Panel = TypeVar("Panel")


def draw_rates(grid: GridResult) -> str:
    """Error rates by epoch, with their intervals as bands: a panel for each set, and one for its T2S."""
    panels = {f"{head.name} in percent, {each.name}": head.arms for each in grid.sets for head in each.leading}

    def draw_panel(axis: Any, arms: dict[str, ArmResult], styles: dict[str, Style]) -> None:
        for name, result in arms.items():
            epochs = list(result.rates)
            lows, highs = (
                [100 * getattr(rate, end) for rate in result.rates.values()] for end in ("ci_low", "ci_high")
            )
            axis.fill_between(epochs, lows, highs, color=styles[name]["color"], alpha=0.09, linewidth=0)
            axis.plot(epochs, [100 * rate.value for rate in result.rates.values()], **styles[name])
        axis.set_xlabel("epoch", color=INK)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)

    return _draw_panels(grid, panels, draw_panel, "Error rate by epoch")


def draw_adaptation(grid: GridResult) -> str:
    """A source's error rate across and a target's up, a path over the epochs for each arm; a panel for each two sets.

    A path that leads straight down learns the target and forgets nothing. Empty if there are not both.
    """
    panels = {
        f"WER of {target.name} against that of {source.name}": (source, target)
        for target in grid.targets
        for source in grid.sources
    }

    def draw_panel(axis: Any, pair: tuple[SetResult, SetResult], styles: dict[str, Style]) -> None:
        source, target = pair
        for name, result in target.main.arms.items():
            other = source.main.arms.get(name)
            epochs = [epoch for epoch in result.rates if other is not None and epoch in other.rates]
            if other is None or not epochs:
                continue
            across, up = ([100 * side.rates[epoch].value for epoch in epochs] for side in (other, result))
            axis.plot(across, up, **styles[name])
            axis.annotate(
                str(epochs[-1]), (across[-1], up[-1]), (4, 4), textcoords="offset points", color=INK, fontsize=8
            )
        axis.set_xlabel(f"{source.name}, %", color=INK)
        axis.set_ylabel("%", color=INK)
        axis.grid(axis="x", color=RULE, linewidth=0.7)

    return _draw_panels(grid, panels, draw_panel, "Adaptation and forgetting") if panels else ""


def draw_grid_changes(grid: GridResult) -> str:
    """Changes against the baseline after the last epoch that both have; empty if nothing is compared."""
    drawn = []
    for each in grid.sets:
        for head in each.leading:
            for name, result in head.arms.items():
                change = result.last_change
                if change is not None:
                    ends = change.interval.ci_low, change.interval.ci_high
                    drawn.append(DrawnChange(f"{name} · {each.name} · {head.name}", change.interval.value, *ends))
    return draw_intervals(drawn, salt=f"{grid.name} changes") if drawn else ""


def _draw_panels(
    grid: GridResult,
    panels: dict[str, Panel],
    draw_panel: Callable[[Any, Panel, dict[str, Style]], None],
    label: str,
) -> str:
    """Panels in rows above one legend, as an inline SVG element."""
    styles = _styles(grid)
    num_rows = -(-len(panels) // PANEL_COLUMNS)
    legend_rows = -(-len(styles) // LEGEND_COLUMNS)

    def draw(canvas: Any) -> None:
        canvas.get_layout_engine().set(hspace=0.08)
        axes = canvas.subplots(num_rows, PANEL_COLUMNS, squeeze=False).flatten()
        for axis in axes[len(panels) :]:
            axis.remove()
        for axis, (title, panel) in zip(axes, panels.items(), strict=False):
            draw_panel(axis, panel, styles)
            style_panel(axis, title)
        lines = [Line2D([], [], **style) for style in styles.values()]
        canvas.legend(
            lines,
            list(styles),
            loc="outside lower left",
            ncols=min(len(lines), LEGEND_COLUMNS),
            frameon=False,
            labelcolor=INK,
            handlelength=3.2,
        )

    from matplotlib.lines import Line2D

    height = PANEL_HEIGHT * num_rows + LEGEND_ROW * legend_rows
    return to_svg(draw, height=height, salt=f"{grid.name} {label}", label=f"{label}: {grid.name}")


def _styles(grid: GridResult) -> dict[str, Style]:
    """Colour and dashes of every arm; a lone baseline is drawn in the colour of the text."""
    baselines = {arm.baseline for arm in grid.arms if arm.baseline is not None}
    alone = baselines.pop() if len(baselines) == 1 else None
    others = [arm.name for arm in grid.arms if arm.name != alone]
    styles: dict[str, Style] = {} if alone is None else {alone: {"color": INK, "linestyle": "-"}}
    for number, name in enumerate(others):
        styles[name] = {"color": SERIES[number % len(SERIES)], "linestyle": DASHES[number % len(DASHES)]}
    return {name: style | {"marker": "o", "markersize": 3, "linewidth": 1.6} for name, style in styles.items()}
