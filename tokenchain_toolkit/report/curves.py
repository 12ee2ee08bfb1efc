"""Training curves from ``exp/*/metrics.csv``, as SVG that takes its colours from the page."""

import csv
import html
import io
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_PANELS = 6
FLAT_SHARE = 0.01  # what changes by less is drawn flat
PRIORITY = ("valid/wer", "valid/cer", "valid/accuracy", "valid/loss", "valid/", "train/loss", "train/")
# Colours no plot uses by itself; each is exchanged for a variable of the page, so that plots follow light and dark.
INK, RULE = "#010203", "#010204"
SERIES = tuple(f"#01030{digit}" for digit in range(6))
THEME = {INK: "var(--ink)", RULE: "var(--rule)"} | {
    color: f"var(--series-{number})" for number, color in enumerate(SERIES, start=1)
}

Curve = list[tuple[float, float]]  # (epoch, value), by epoch


@dataclass(frozen=True)
class Figure:
    """One family of models: the experiments that are overlaid, and the SVG."""

    family: str
    experiments: list[str]
    svg: str


def read_curves(path: Path) -> dict[str, Curve]:
    """Columns of one metrics file as curves; several rows of one epoch are averaged, blanks are left out.

    Where Lightning wrote both ``name_step`` and ``name_epoch``, the second is kept, under ``name``.
    """
    values: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    with path.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            if not row.get("epoch"):
                continue
            for name, text in row.items():
                if text and name and name not in ("epoch", "step"):
                    values[name][float(row["epoch"])].append(float(text))
    curves = {
        name: [(epoch, sum(each) / len(each)) for epoch, each in sorted(epochs.items())]
        for name, epochs in values.items()
    }
    for name in [name for name in curves if name.endswith("_epoch")]:
        base = name.removesuffix("_epoch")
        curves.pop(f"{base}_step", None)
        curves[base] = curves.pop(name)
    return curves


def draw_families(exp: Path) -> list[Figure]:
    """One figure for each family, the first word of the experiments' names."""
    families: dict[str, dict[str, dict[str, Curve]]] = defaultdict(dict)
    for path in sorted(exp.glob("*/metrics.csv")):
        curves = read_curves(path)
        if curves:
            families[path.parent.name.partition("_")[0]][path.parent.name] = curves
    return [Figure(family, list(runs), draw(family, runs)) for family, runs in sorted(families.items())]


def draw(family: str, runs: dict[str, dict[str, Curve]]) -> str:
    """Panels of metrics over epochs, the runs overlaid, as an inline SVG element."""
    names = {name for curves in runs.values() for name in curves}
    panels = sorted(names, key=_rank)[:MAX_PANELS]
    columns = 4 if len(panels) == 4 else 3
    num_rows = -(-len(panels) // columns)

    def draw_panels(canvas: Any) -> None:
        axes = canvas.subplots(num_rows, columns, squeeze=False).flatten()
        for axis in axes[len(panels) :]:
            axis.remove()
        for axis, panel in zip(axes, panels, strict=False):
            _draw_panel(axis, panel, {name: curves.get(panel, []) for name, curves in runs.items()})

    label = f"Training curves of {family}: {', '.join(panels)} over epochs"
    return to_svg(draw_panels, height=2.5 * num_rows, salt=family, label=label)


def to_svg(draw_on: Callable[[Any], None], *, height: float, salt: str, label: str) -> str:
    """An inline SVG element, as wide as the page, of what is drawn on a canvas.

    Args:
        draw_on: Is given the canvas, a matplotlib figure.
        height: In inches; the width is 10.4.
        salt: Differs between the figures of a page, whose ids it makes; fixed, so that the page is the same every time.
        label: What screen readers say.
    """
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.size": 9}):
        canvas = Canvas(figsize=(10.4, height), layout="constrained", facecolor="none")
        draw_on(canvas)
        output = io.StringIO()
        canvas.savefig(output, format="svg", metadata={"Date": None})
    return themed(output.getvalue(), label)


def _draw_panel(axis: Any, title: str, curves: dict[str, Curve]) -> None:
    """Curves over epochs; where no run has more than one, its value stands over its name."""
    are_points = all(len(curve) <= 1 for curve in curves.values())
    for number, curve in enumerate(curves.values()):
        epochs, values = [number if are_points else epoch for epoch, _ in curve], [value for _, value in curve]
        style = ("-", "--", "-.", ":")[number % 4]
        axis.plot(epochs, values, style, color=SERIES[number % len(SERIES)], marker="o", markersize=2.6, linewidth=1.6)
    style_panel(axis, title)
    axis.ticklabel_format(axis="y", useOffset=False)
    if are_points:
        axis.set_xticks(range(len(curves)), [name.partition("_")[2] or name for name in curves])
        axis.set_xlim(-0.5, len(curves) - 0.5)
    else:
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axis.margins(y=0.12)
    values = [value for curve in curves.values() for _, value in curve]
    if values and max(values) - min(values) < FLAT_SHARE * max(map(abs, values)):
        middle, half = (max(values) + min(values)) / 2, FLAT_SHARE * max(map(abs, values))
        axis.set_ylim(middle - half, middle + half)


def style_panel(axis: Any, title: str) -> None:
    """Title and frame of a panel, in the page's colours."""
    axis.set_title(title, loc="left", color=INK, fontsize=9.5)
    axis.set_facecolor("none")
    axis.grid(axis="y", color=RULE, linewidth=0.7)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(RULE)
    axis.tick_params(colors=INK, length=0, labelsize=8)


def themed(svg: str, label: str) -> str:
    """Strip what an SVG inside HTML does not need, name it for screen readers, and let the page set its colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"| height="[^"]*"(?=[^>]*viewBox)', r"\1", svg, count=2)
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)
    for color, variable in THEME.items():
        svg = svg.replace(color, variable)
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1)


def _rank(name: str) -> tuple[int, str]:
    """Panels that show what is learnt come first."""
    places = [place for place, prefix in enumerate(PRIORITY) if name.startswith(prefix)]
    return (min(places, default=len(PRIORITY)), name)
