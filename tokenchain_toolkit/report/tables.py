"""The paper's tables with our figures and the paper's claims side by side: TABLES.md and tables.json."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.tables import RowSettings, TablesConfig, check_tables
from tokenchain_toolkit.files import write_json, write_text
from tokenchain_toolkit.metrics.seed_bootstrap import Interval
from tokenchain_toolkit.report.grid_words import as_change, as_epochs, as_rate
from tokenchain_toolkit.report.pages import page_templates, refuse_pages_of_others
from tokenchain_toolkit.report.provenance import package_commit
from tokenchain_toolkit.report.results import DASH
from tokenchain_toolkit.report.table_cells import UNDECIDED, Cell, Results, mark_of, size_of

PAPER_TABLES = Path(__file__).with_name("paper_tables.yaml")


@dataclass(frozen=True)
class FilledRow:
    """One row: its cell and mark, and how its size is against the claimed one; or how it can be filled."""

    row: RowSettings
    cell: Cell | None
    mark: str
    size: str = ""
    missing: str = ""

    @property
    def before(self) -> str:
        """The figure of the baseline, or before training."""
        return DASH if self.cell is None else _figure(self.cell, self.cell.before)

    @property
    def after(self) -> str:
        """Our figure."""
        return DASH if self.cell is None else _figure(self.cell, self.cell.after)

    @property
    def change(self) -> str:
        """The change, signed."""
        if self.cell is None:
            return DASH
        if self.cell.in_epochs:
            return f"{as_epochs(self.cell.change, signed=True)} epochs"
        if math.isnan(self.cell.change.ci_low):
            return f"{100 * self.cell.change.value:+.1f} %, no interval"
        return as_change(self.cell.change)


@dataclass(frozen=True)
class FilledTable:
    """A table with its figures."""

    title: str
    note: str
    rows: list[FilledRow]

    @property
    def parts(self) -> Iterator[tuple[str, list[FilledRow]]]:
        """The rows of the paper's corpora, then those of stand-ins, each with a heading; without empty parts."""
        for title, is_stand_in in (("The paper's corpora", False), ("Small stand-ins", True)):
            rows = [each for each in self.rows if each.row.stand_in == is_stand_in]
            if rows:
                yield title, rows


def build_tables(egs2: Path, out: Path, *, command: str, definition: Path = PAPER_TABLES) -> list[FilledTable]:
    """Write ``TABLES.md`` and ``tables.json``.

    Args:
        egs2: Folder of the recipes.
        out: Folder of the two files.
        command: That makes them, quoted in the first.
        definition: YAML file that says what stands in the tables.

    Raises:
        ConfigError: The definition does not load or contradicts itself.
        DataError: Results are there and cannot be read, or a page of somebody else is in the way.
    """
    refuse_pages_of_others(out, "TABLES.md")
    config = load_config(TablesConfig, definition)
    check_tables(config)
    results = Results(egs2)
    tables = [
        FilledTable(table.title, table.note, [_fill(row, results, config) for row in table.rows])
        for table in config.tables
    ]
    shared = {"tables": tables, "command": command, "commit": package_commit(), "commits": _commits(tables)}
    write_text(out / "TABLES.md", page_templates().get_template("tables.md.j2").render(shared))
    write_json(out / "tables.json", [_as_json(table) for table in tables])
    return tables


def _fill(row: RowSettings, results: Results, config: TablesConfig) -> FilledRow:
    """A row with what was measured of it."""
    cell = results.find(row)
    if cell is not None:
        return FilledRow(row, cell, mark_of(row, cell), size_of(row, cell, config.sizes))
    folder, command = results.recipe(row.recipe), config.commands[row.fill]
    where = f"in {folder}" if folder.is_dir() else f"in {folder}, which is not in this tree"
    return FilledRow(row, None, UNDECIDED, missing=f"{where}: `{command}`")


def _figure(cell: Cell, interval: Interval) -> str:
    """A rate in percent, or a figure as it is."""
    if cell.is_rate and not math.isnan(interval.ci_low):
        return as_rate(interval)
    value = f"{100 * interval.value:.1f}" if cell.is_rate else f"{interval.value:.2f}"
    if math.isnan(interval.ci_low):
        return value
    return f"{value} [{interval.ci_low:.2f}, {interval.ci_high:.2f}]"


def _commits(tables: list[FilledTable]) -> list[str]:
    """Commits of the code that made the figures."""
    cells = [each.cell for table in tables for each in table.rows if each.cell is not None]
    return sorted({commit for cell in cells for commit in cell.commits})


def _as_json(table: FilledTable) -> dict[str, Any]:
    """Plain values; what is not a number, or never happens, becomes null."""
    rows = []
    for each in table.rows:
        cell = None
        if each.cell is not None:
            cell = {name: _plain(value) for name, value in asdict(each.cell).items()}
        rows.append(
            {
                **asdict(each.row),
                "measured": cell,
                "mark": each.mark,
                "size": each.size or None,
                "missing": each.missing or None,
            }
        )
    return {"title": table.title, "rows": rows}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
