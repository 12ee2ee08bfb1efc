"""The report of a grid of experiments: results.json, RESULTS.md and one self-contained HTML page."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenchain_toolkit.files import write_json, write_text
from tokenchain_toolkit.report.grid_claims import claims_beside_grids
from tokenchain_toolkit.report.grid_plots import draw_adaptation, draw_grid_changes, draw_rates
from tokenchain_toolkit.report.grid_results import GridResult, measure_grids
from tokenchain_toolkit.report.grid_words import as_change, as_epochs, as_figure, as_rate
from tokenchain_toolkit.report.pages import page_templates, refuse_pages_of_others
from tokenchain_toolkit.report.provenance import environment, package_commit


@dataclass(frozen=True)
class Verdicts:
    """One set of one grid in short: verdict -> arms, as one head read the set."""

    grid: str
    set_name: str
    metric: str
    arms: dict[str, list[str]]


def build_grid_report(out: Path, *, title: str, command: str) -> Path:
    """Write ``results.json``, ``RESULTS.md`` and ``report.html`` into the folder of the grid's runs.

    Args:
        out: Folder that holds ``runs.json`` and the runs.
        title: Heading of both documents.
        command: Command that made the runs and this report, quoted in both.

    Returns:
        The HTML page.

    Raises:
        DataError: Files of the runs are missing or do not fit together, or a page of somebody else is in the way.
    """
    refuse_pages_of_others(out, "RESULTS.md", "report.html")
    grids = measure_grids(out)
    shared: dict[str, Any] = {
        "title": title,
        "command": command,
        "environment": environment(),
        "commits": [package_commit()],
        "grids": grids,
        "verdicts": in_short(grids),
        "num_comparisons": sum(grid.num_comparisons for grid in grids),
        "claims": claims_beside_grids(grids),
    }
    plots = {
        grid.name: {
            "rates": draw_rates(grid),
            "changes": draw_grid_changes(grid),
            "adaptation": draw_adaptation(grid),
        }
        for grid in grids
    }
    templates = page_templates()
    templates.filters |= {"percent": as_rate, "signed": as_change, "epochs": as_epochs, "figure": as_figure}
    write_json(out / "results.json", [_plain(asdict(grid)) for grid in grids])
    write_text(out / "RESULTS.md", templates.get_template("grid_results.md.j2").render(shared))
    page = out / "report.html"
    write_text(page, templates.get_template("grid_report.html.j2").render(shared | {"plots": plots}))
    return page


def in_short(grids: Sequence[GridResult]) -> list[Verdicts]:
    """What every set and its T2S say of the arms after the last epoch; sets without a comparison are left out."""
    found = []
    for grid in grids:
        for each in grid.sets:
            for head in each.leading:
                arms = defaultdict(list)
                for name, result in head.arms.items():
                    if result.last_change is not None:
                        change = result.last_change
                        arms[change.verdict].append(f"{name} ({as_change(change.interval)})")
                if arms:
                    found.append(Verdicts(grid.name, each.name, head.name, dict(arms)))
    return found


def _plain(value: Any) -> Any:
    """What JSON can hold, without digits that mean nothing; an epoch that is never reached becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
