"""Score rows of a whole recipe: collected, laid out as tables, and compared with the baseline."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.data.stage_folder import files_below
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics.score_rows import CHANGE_SUFFIX, FEWEST, ScoreRow, read_score_rows

ERROR_RATES = ("wer", "cer", "ter")
HEADLINE_METRICS = ("wer", "t2s_wer", "resynthesis_wer", "s2a_wer", "synthesis_wer", "whisper_wer")
ABBREVIATIONS = ("t2s", "s2a", "asr", "dnsmos", "utmos", "pesq", "stoi")
DASH = "–"
TOO_FEW = f"fewer than {FEWEST} utterances, so no verdict"


@dataclass(frozen=True)
class ResultTable:
    """Sets and metrics down, experiments across; a cell is None where nothing was measured."""

    columns: list[str]
    lines: list[tuple[str, str, int, list[ScoreRow | None]]]


@dataclass(frozen=True)
class Headline:
    """The lowest figure of a set, and those of other experiments whose intervals overlap with its own."""

    row: ScoreRow
    alike: list[ScoreRow]


@dataclass(frozen=True)
class Comparison:
    """One experiment against another on one set; the rates are None where they were not scored."""

    change: ScoreRow
    baseline_rate: ScoreRow | None
    rate: ScoreRow | None

    @property
    def metric(self) -> str:
        """The metric whose change this is."""
        return self.change.metric.removesuffix(CHANGE_SUFFIX)

    @property
    def epochs(self) -> str:
        """Epochs of both sides, one number if they agree."""
        own = _epoch_text(self.change.epoch)
        other = _epoch_text(self.baseline_rate.epoch) if self.baseline_rate else "?"
        return own if own == other else f"{own} against {other}"

    @property
    def since_start(self) -> bool:
        """Whether the other side is what a chain started from, whose epochs are of another training."""
        return self.baseline_rate is not None and self.baseline_rate.model != self.change.model == "chain"

    @property
    def equal_epochs(self) -> bool:
        """Whether both sides are known to have trained equally long."""
        if self.baseline_rate is None or self.since_start:
            return False
        return self.baseline_rate.epoch == self.change.epoch is not None

    @property
    def verdict(self) -> str:
        """What the interval lets one say, in plain words; of an error rate lower is better, of the rest higher."""
        if self.change.n < FEWEST:
            return TOO_FEW
        if self.change.interval is None:
            return "no interval, so no verdict"
        low, high = self.change.interval
        return verdict_of(low, high) if is_error_rate(self.metric) else verdict_of(-high, -low)


def verdict_of(ci_low: float, ci_high: float) -> str:
    """What the interval of a change of an error rate lets one say, in plain words."""
    if ci_low <= 0 <= ci_high:
        return "no difference seen"
    return "better" if ci_high < 0 else "worse"


def collect_rows(exp: Path) -> list[ScoreRow]:
    """Every row of every ``score.json`` under ``exp``, telling metrics first within a set.

    Raises:
        DataError: There is none, or two files hold a row of the same name.
    """
    found: dict[tuple[str, str, str, int, str], tuple[ScoreRow, Path]] = {}
    for path in files_below(exp, "score.json"):
        for row in read_score_rows(path):
            if row.key in found:
                raise DataError(
                    f"{path} and {found[row.key][1]} both hold {row.metric} of {row.experiment} on {row.set}; "
                    "score one of them under another --experiment or --metric_name, or remove it"
                )
            found[row.key] = (row, path)
    if not found:
        raise DataError(f"{exp} holds no score.json, so there are no results to report; run the score stage first")
    return sorted((row for row, _ in found.values()), key=_display_order)


def result_table(rows: Sequence[ScoreRow]) -> ResultTable:
    """The main table; an experiment that was scored at several epochs gets a column for each."""
    rates = [row for row in rows if not row.metric.endswith(CHANGE_SUFFIX)]
    runs = sorted({(row.experiment, row.key[3]) for row in rates})
    several = {name for name, _ in runs if sum(other == name for other, _ in runs) > 1}
    columns = [f"{name} (epoch {epoch})" if name in several else name for name, epoch in runs]
    lines = []
    for set_name, metric in dict.fromkeys((row.set, row.metric) for row in rates):
        cells = {(row.experiment, row.key[3]): row for row in rates if (row.set, row.metric) == (set_name, metric)}
        lines.append((set_name, metric, max(row.n for row in cells.values()), [cells.get(run) for run in runs]))
    return ResultTable(columns, lines)


def comparisons(rows: Sequence[ScoreRow]) -> list[Comparison]:
    """Every change row with the two rates behind it; the baseline's at the same epoch if there is one."""
    found = []
    for change in rows:
        if not change.metric.endswith(CHANGE_SUFFIX):
            continue
        metric = change.metric.removesuffix(CHANGE_SUFFIX)
        same = [row for row in rows if row.set == change.set and row.metric == metric]
        own = [row for row in same if row.experiment == change.experiment and row.epoch == change.epoch]
        base = [row for row in same if row.experiment == change.baseline]
        base.sort(key=lambda row: row.epoch != change.epoch)
        found.append(Comparison(change, next(iter(base), None), next(iter(own), None)))
    return found


def headlines(rows: Sequence[ScoreRow], limit: int = 8) -> list[Headline]:
    """The lowest row of each set and headline metric, most telling metrics first."""
    groups: dict[tuple[int, str], list[ScoreRow]] = {}
    for row in rows:
        if row.metric in HEADLINE_METRICS:
            groups.setdefault((HEADLINE_METRICS.index(row.metric), row.set), []).append(row)
    found = []
    for _, group in sorted(groups.items(), key=lambda item: item[0]):
        lowest = min(group, key=lambda row: row.value)
        found.append(Headline(lowest, [row for row in group if row is not lowest and not lies_below(lowest, row)]))
    return found[:limit]


def lies_below(row: ScoreRow, other: ScoreRow) -> bool:
    """Whether the interval of one figure lies wholly below that of another; no interval, no verdict."""
    return row.interval is not None and other.interval is not None and row.interval[1] < other.interval[0]


def clearly_lowest(cells: Iterable[ScoreRow | None]) -> ScoreRow | None:
    """The error rate of a line of the table whose interval lies below those of all others, if there are others."""
    measured = [row for row in cells if row is not None and is_error_rate(row.metric)]
    for row in measured:
        if len(measured) > 1 and all(other is row or lies_below(row, other) for other in measured):
            return row
    return None


def is_error_rate(metric: str) -> bool:
    """Whether lower is better and the value is a fraction, by the metric's last word."""
    return metric.rpartition("_")[2] in ERROR_RATES


def format_rate(row: ScoreRow | None) -> str:
    """An error rate in percent with its interval, ``5.5 [4.9, 6.2]``; other metrics as they are; a dash for None."""
    if row is None:
        return DASH
    scale, digits = (100, 1) if is_error_rate(row.metric) else (1, 2)
    text = f"{scale * row.value:.{digits}f}"
    if row.interval is None:
        return text
    low, high = (f"{scale * bound:.{digits}f}" for bound in row.interval)
    return f"{text} [{low}, {high}]"


def format_change(row: ScoreRow) -> str:
    """A relative change in percent, always signed."""
    text = f"{100 * row.value:+.1f} %"
    if row.interval is None:
        return text
    low, high = (f"{100 * bound:+.1f}" for bound in row.interval)
    return f"{text} [{low}, {high}]"


def metric_name(metric: str) -> str:
    """A metric as people write it: ``t2s_wer`` is T2S-WER."""
    words = metric.split("_")
    return "-".join(word.upper() if word in (*ERROR_RATES, *ABBREVIATIONS) else word.capitalize() for word in words)


def text_table(rows: Sequence[ScoreRow]) -> str:
    """Rates and changes as aligned plain text, one row each, for the terminal."""
    cells = [("set", "metric", "experiment", "percent [95 % interval]")]
    for row in rows:
        change = row.metric.endswith(CHANGE_SUFFIX)
        cells.append((row.set, row.metric, row.experiment, format_change(row) if change else format_rate(row)))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def unique(values: Iterable[str]) -> list[str]:
    """Each value once, sorted."""
    return sorted(set(values))


def _display_order(row: ScoreRow) -> tuple[str, int, str, str, int, str]:
    """By set, metric (the headline ones first), experiment and epoch; a change follows the rate that it is of."""
    metric = row.metric.removesuffix(CHANGE_SUFFIX)
    place = HEADLINE_METRICS.index(metric) if metric in HEADLINE_METRICS else len(HEADLINE_METRICS)
    return row.set, place, row.metric, row.experiment, *row.key[3:]


def _epoch_text(epoch: int | None) -> str:
    return DASH if epoch is None else str(epoch)
