"""Facts beside the scores: stage times, skipped utterances, tokenizers and the worst alignments."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenchain_toolkit.data.kaldi import read_rows
from tokenchain_toolkit.data.stage_folder import DONE, files_below
from tokenchain_toolkit.data.stamp import CHANGED, changed_inputs, input_digest
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.metrics.alignment import AlignedUtterance, read_alignments
from tokenchain_toolkit.metrics.score import SCORED_FROM
from tokenchain_toolkit.metrics.score_rows import CHANGE_SUFFIX, ScoreRow, read_score_rows
from tokenchain_toolkit.report.results import DASH, metric_name
from tokenchain_toolkit.report.settings import ReportInputs

HASH_DIGITS = 8


@dataclass(frozen=True)
class SkippedFile:
    """Utterances that a stage left out: how many, and how many for each reason."""

    path: str
    count: int
    reasons: list[tuple[str, int]]


@dataclass(frozen=True)
class WorstUtterances:
    """The worst recognised utterances of one experiment on one set."""

    experiment: str
    set_name: str
    metric: str
    utterances: list[AlignedUtterance]


@dataclass(frozen=True)
class SynthesisSpeed:
    """How fast one folder of speech was made.

    Attributes:
        path: The folder.
        num_utts: Utterances in it.
        speech_seconds: How long they last.
        times_real_time: Seconds of speech for each second of a job, without the loading of the models.
        num_threads: Of a job.
        network_passes: Of S2A for each batch; None for the codec alone.
        guided: Whether each pass is of twice the batch, as guidance needs.
    """

    path: str
    num_utts: int
    speech_seconds: float
    times_real_time: float
    num_threads: int
    network_passes: int | None
    guided: bool = False

    @property
    def passes(self) -> str:
        """The passes in words."""
        return DASH if self.network_passes is None else f"{self.network_passes}{' of twice the batch' * self.guided}"


def read_speeds(exp: Path) -> list[SynthesisSpeed]:
    """Every ``exp/<experiment>/synth_<set>/speed.json``."""
    found = []
    for path in sorted(exp.glob("*/synth_*/speed.json")):
        speed = read_json(path)
        times = speed["speech_seconds"] / max(speed.pop("seconds"), 1e-3)
        found.append(SynthesisSpeed(path=str(path.parent), times_real_time=times, **speed))
    return found


def read_measures(exp: Path, rows: Sequence[ScoreRow]) -> dict[str, str]:
    """Model and settings, as ``described``, -> metrics that are measured so.

    They are those of every ``measures.json``, and of the word error rates of speech that was made; in other error rates
    the experiment in whose column they stand has read.
    """
    found: dict[str, list[str]] = {}
    for row in rows:
        of_its_own = row.metric in ("wer", "published_wer", "cer") or row.metric.endswith(CHANGE_SUFFIX)
        if row.recogniser and not of_its_own:
            found.setdefault(described(row.recogniser), []).append(metric_name(row.metric))
    for path in files_below(exp, "measures.json"):
        for metric, measure in read_json(path)["measures"].items():
            found.setdefault(described(measure["settings"]), []).append(metric_name(metric))
    return {text: ", ".join(dict.fromkeys(metrics)) for text, metrics in found.items()}


def described(settings: Mapping[str, Any]) -> str:
    """The model of a measure and what else its figure depends on; of a hash its beginning."""
    shown = {
        name: f"{str(value)[:HASH_DIGITS]}…" if name.endswith("sha256") else value
        for name, value in settings.items()
        if name != "model" and value is not None
    }
    rest = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())
    return f"{settings['model']} ({rest})" if rest else str(settings["model"])


def read_stage_times(inputs: ReportInputs) -> dict[str, float]:
    """Output folder -> seconds that its stage took, from the stamps, longest first; what took under 1 s is left out."""
    stamps = [path for folder in (inputs.data, inputs.dump, inputs.exp) for path in files_below(folder, DONE)]
    seconds = {str(path.parent): float(read_json(path).get("seconds", 0.0)) for path in stamps}
    return dict(sorted(((k, v) for k, v in seconds.items() if v >= 1), key=lambda item: -item[1]))


def read_stale(inputs: ReportInputs) -> dict[str, list[str]]:
    """Output -> inputs of its stage, or of its scores, that have changed since; what follows it is not up to date."""
    digest = lru_cache(maxsize=None)(input_digest)
    stale = {}
    records = {
        stamp: str(stamp.parent)
        for folder in (inputs.data, inputs.dump, inputs.exp)
        for stamp in files_below(folder, DONE)
    }
    records |= {path: str(path.with_name("score.json")) for path in files_below(inputs.exp, SCORED_FROM)}
    for record, output in records.items():
        changed = changed_inputs(read_json(record), root=Path(), digest=digest)
        # An input that is gone, such as data that was removed to save space, does not make an output wrong.
        if names := [name for name, state in changed.items() if state == CHANGED]:
            stale[output] = names
    return stale


def read_skipped(inputs: ReportInputs) -> list[SkippedFile]:
    """Every ``skipped.tsv`` (utt_id, reason) under the recipe's folders."""
    found = []
    for folder in (inputs.data, inputs.dump, inputs.exp):
        for path in files_below(folder, "skipped.tsv"):
            reasons = Counter(reason or "no reason given" for _, utt_id, reason in read_rows(path) if utt_id)
            ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
            found.append(SkippedFile(str(path), sum(reasons.values()), ranked))
    return found


def read_tokenizers(inputs: ReportInputs) -> list[tuple[str, list[tuple[str, str]]]]:
    """Name and fields of every tokenizer manifest under ``exp``, or of the dumps' if there is none."""
    paths = sorted(inputs.exp.glob("tokenizer_*/manifest.json")) or sorted(inputs.dump.glob("*/*/manifest.json"))
    return [(str(path.parent), _leaves(read_json(path))) for path in paths]


def read_worst(exp: Path, limit: int) -> list[WorstUtterances]:
    """The worst utterances beside every ``score.json``; experiments without errors are left out."""
    found = []
    for path in files_below(exp, "score.json"):
        utterances, rows = read_alignments(path.parent)[:limit], read_score_rows(path)
        if utterances and rows:
            found.append(WorstUtterances(rows[0].experiment, rows[0].set, rows[0].metric, utterances))
    return found


def _leaves(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested dictionaries as dotted keys with their values as text, without the empty ones."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{prefix}.{key}" if prefix else key)]
    return [] if value is None else [(prefix, str(value))]
