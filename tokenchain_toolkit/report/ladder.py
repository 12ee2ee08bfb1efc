"""The error ladder of each set: its figures as tables, and the worst utterances with a player for every rung."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenchain_toolkit.errors import counted
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.metrics.ladder_rungs import CODEC, LADDER, NATURAL, S2A, WER
from tokenchain_toolkit.metrics.score_rows import FEWEST
from tokenchain_toolkit.report.audio import data_uri
from tokenchain_toolkit.report.facts import described
from tokenchain_toolkit.report.results import TOO_FEW, metric_name, verdict_of
from tokenchain_toolkit.report.settings import ReportConfig, ReportInputs

SHARE = "nearer_to_own"  # ending of a metric that is a share of the utterances
NO_GOOD_OR_BAD = "similarity_to_other"  # ending of a metric that is there to be compared with another
STEPS = {
    NATURAL: "natural speech",
    CODEC: "codec's round trip",
    S2A: "S2A from true tokens",
}
MODULES = {CODEC: "codec", S2A: "S2A"}
HEADS = {"similarity": "Similarity to the prompt", NO_GOOD_OR_BAD: "to another speaker", SHARE: "Nearer to the prompt"}


@dataclass(frozen=True)
class Cell:
    """A figure as text; ``verdict`` is what its interval lets one say, empty for figures that are no changes."""

    text: str
    verdict: str = ""


@dataclass(frozen=True)
class LadderLine:
    """One line of a table: what it is about, and a cell for each metric."""

    name: str
    cells: list[Cell]


@dataclass(frozen=True)
class HeardRung:
    """One utterance at one rung; ``audio`` is a data URI, or empty where the page has no room left."""

    step: str
    text: str
    word_errors: int
    audio: str


@dataclass(frozen=True)
class HeardUtterance:
    """One utterance at every rung."""

    utt_id: str
    text: str
    rungs: list[HeardRung]


@dataclass(frozen=True)
class ShownLadder:
    """The ladder of one set.

    Attributes:
        set_name: Of the set.
        num_utts: Utterances at every rung.
        metrics: Heads of the columns.
        figures: A line for each rung.
        costs: A line for each module: the change that it makes.
        notes: What the figures were measured with, and what was not.
        worst: Utterances with the most word errors at the last rungs.
    """

    set_name: str
    num_utts: int
    metrics: list[str]
    figures: list[LadderLine]
    costs: list[LadderLine]
    notes: list[str]
    worst: list[HeardUtterance]


def read_ladders(inputs: ReportInputs, config: ReportConfig) -> list[ShownLadder]:
    """Every ``exp/ladder_<set>/ladder.json``; each gets an equal part of the size limit.

    Raises:
        DataError: A ladder names an audio file that is missing or not readable.
    """
    ladders = [read_json(path) for path in sorted(inputs.exp.glob(f"ladder_*/{LADDER}"))]
    budget = int(config.ladder_megabytes * 1e6 / max(len(ladders), 1))
    return [_shown(ladder, budget, config.audio_sample_rate) for ladder in ladders]


def _shown(ladder: Mapping[str, Any], budget: int, sample_rate: int) -> ShownLadder:
    metrics = ladder["metrics"]
    return ShownLadder(
        set_name=ladder["set"],
        num_utts=ladder["num_utts"],
        metrics=[_head(metric) for metric in metrics],
        figures=[
            LadderLine(_step(rung["name"]), [_figure(metric, rung["figures"][metric]) for metric in metrics])
            for rung in ladder["rungs"]
        ],
        costs=[
            LadderLine(_module(rung["name"]), [_change(metric, rung["figures"][metric]) for metric in metrics])
            for rung in ladder["rungs"]
            if rung["above"]
        ],
        notes=_notes(ladder),
        worst=_heard(ladder, budget, sample_rate),
    )


def _step(name: str) -> str:
    return STEPS.get(name, f"S2A from T2S of {name}")


def _module(name: str) -> str:
    return MODULES.get(name, f"T2S of {name}")


def _head(metric: str) -> str:
    """A metric as the head of a column."""
    return next((name for ending, name in HEADS.items() if metric.endswith(f"_{ending}")), metric_name(metric))


def _scale(metric: str) -> tuple[float, int]:
    """Factor and digits: rates and shares in percent, the rest as they are."""
    return (100, 1) if metric.endswith((WER, SHARE)) else (1, 2)


def _text(metric: str, interval: Mapping[str, float], num_utts: int, sign: str = "") -> str:
    """Value and interval; of too few utterances the value alone."""
    scale, digits = _scale(metric)
    value, low, high = (f"{scale * interval[part]:{sign}.{digits}f}" for part in ("value", "ci_low", "ci_high"))
    return value if num_utts < FEWEST else f"{value} [{low}, {high}]"


def _figure(metric: str, figure: Mapping[str, Any]) -> Cell:
    return Cell(_text(metric, figure, figure["n"]))


def _change(metric: str, figure: Mapping[str, Any]) -> Cell:
    change = figure["change"]
    verdict = _verdict(metric, change["ci_low"], change["ci_high"])
    if verdict and figure["n"] < FEWEST:
        verdict = TOO_FEW
    return Cell(_text(metric, change, figure["n"], sign="+"), verdict)


def _verdict(metric: str, ci_low: float, ci_high: float) -> str:
    """In plain words; of an error rate lower is better, of the other metrics higher."""
    if metric.endswith(NO_GOOD_OR_BAD):
        return ""
    return verdict_of(ci_low, ci_high) if metric.endswith(WER) else verdict_of(-ci_high, -ci_low)


def _notes(ladder: Mapping[str, Any]) -> list[str]:
    """Models and settings behind the figures, what could not be judged, and what is not installed."""
    models: dict[str, list[str]] = {}
    for metric in ladder["metrics"]:
        models.setdefault(described(ladder["settings"][metric]), []).append(metric)
    notes = [f"{', '.join(map(_head, metrics))}: {model}." for model, metrics in models.items()]
    metrics_by_reasons: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for metric, reasons in ladder["left_out"].items():
        metrics_by_reasons.setdefault(tuple(sorted(reasons.items())), []).append(metric)
    for left_out, metrics in metrics_by_reasons.items():
        without = f"without {counted(len(left_out), 'utterance')}, which could not be judged at every step"
        first = f"the first is {left_out[0][0]} ({left_out[0][1]})"
        notes.append(f"{', '.join(map(_head, metrics))}: {without}; {first}.")
    return notes + [f"Without {name}: {why}." for name, why in ladder["not_measured"].items()]


def _heard(ladder: Mapping[str, Any], budget: int, sample_rate: int) -> list[HeardUtterance]:
    """The worst utterances; from the first on whose players no longer fit, only words are shown."""
    heard = []
    for utt_id in ladder["worst"]:
        utterance = ladder["utterances"][utt_id]
        rungs = [(rung["name"], utterance["rungs"][rung["name"]]) for rung in ladder["rungs"]]
        players = [data_uri(rung["wav"], sample_rate=sample_rate) for _, rung in rungs] if budget > 0 else []
        budget -= sum(map(len, players))
        if budget <= 0:
            players = [""] * len(rungs)
        found = [
            HeardRung(_step(name), rung["text"], rung["word_errors"], player)
            for (name, rung), player in zip(rungs, players, strict=True)
        ]
        heard.append(HeardUtterance(utt_id, utterance["text"], found))
    return heard
