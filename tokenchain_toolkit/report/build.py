"""The report of a recipe: results.json, RESULTS.md and one self-contained HTML page."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenchain_toolkit.files import write_json, write_text
from tokenchain_toolkit.report.audio import read_players
from tokenchain_toolkit.report.curves import SERIES, draw_families
from tokenchain_toolkit.report.facts import (
    read_measures,
    read_skipped,
    read_speeds,
    read_stage_times,
    read_stale,
    read_tokenizers,
    read_worst,
)
from tokenchain_toolkit.report.interval_plot import draw_changes
from tokenchain_toolkit.report.ladder import read_ladders
from tokenchain_toolkit.report.pages import page_templates, refuse_pages_of_others
from tokenchain_toolkit.report.paper import claims_beside_ours
from tokenchain_toolkit.report.provenance import environment
from tokenchain_toolkit.report.results import (
    collect_rows,
    comparisons,
    headlines,
    result_table,
    text_table,
    unique,
)
from tokenchain_toolkit.report.settings import ReportConfig, ReportInputs
from tokenchain_toolkit.report.t2s_faults import fault_names, read_faults

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuiltReport:
    """The files written, and the results as a plain table for the terminal."""

    results: Path
    markdown: Path
    html: Path
    table: str


def build_report(inputs: ReportInputs, *, output: Path, title: str, command: str, config: ReportConfig) -> BuiltReport:
    """Write ``results.json``, ``RESULTS.md`` and ``report.html`` into ``output``.

    Args:
        inputs: Folders of the recipe.
        output: Folder of the three files.
        title: Name of the recipe, the heading of both documents.
        command: Command that makes this report, quoted in RESULTS.md.
        config: Limits of the page.

    Raises:
        DataError: There are no scores, a table names a file that is missing, or a page of somebody else is in the way.
    """
    refuse_pages_of_others(output, "RESULTS.md", "report.html")
    rows = collect_rows(inputs.exp)
    compared = comparisons(rows)
    stale = read_stale(inputs)
    if stale:
        LOG.warning(
            "%s not up to date, such as %s; the report names them: run run.sh once more, which makes them anew",
            "1 output is" if len(stale) == 1 else f"{len(stale)} outputs are",
            next(iter(stale)),
        )
    shared: dict[str, Any] = {
        "title": title,
        "command": command,
        "environment": environment(),
        "table": result_table(rows),
        "comparisons": compared,
        "num_judged": sum(each.change.interval is not None for each in compared),
        "ladders": read_ladders(inputs, config),
        "faults": read_faults(inputs.exp),
        "fault_names": fault_names(),
        "commands": unique(row.command for row in rows),
        "commits": unique(row.commit for row in rows),
        "speeds": read_speeds(inputs.exp),
        "measures": read_measures(inputs.exp, rows),
        "stale": stale,
        "stage_times": read_stage_times(inputs),
        "skipped": read_skipped(inputs),
    }
    page = shared | {
        "headline": headlines(rows),
        "claims": claims_beside_ours(compared),
        "changes_svg": draw_changes(compared),
        "figures": draw_families(inputs.exp),
        "num_series": len(SERIES),
        "played_sets": read_players(inputs, config),
        "worst": read_worst(inputs.exp, config.worst_per_experiment),
        "tokenizers": read_tokenizers(inputs),
    }
    templates = page_templates()
    report = BuiltReport(output / "results.json", output / "RESULTS.md", output / "report.html", text_table(rows))
    write_json(report.results, [asdict(row) for row in rows])
    write_text(report.markdown, templates.get_template("results.md.j2").render(shared))
    write_text(report.html, templates.get_template("report.html.j2").render(page))
    return report
