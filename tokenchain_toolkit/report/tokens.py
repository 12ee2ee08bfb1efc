"""A page on the tokens of some dumps: one table to compare tokenizers by, and plots of how they use their codebooks."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from tokenchain_toolkit.files import atomic_path, write_json, write_text
from tokenchain_toolkit.metrics.phones import read_phones
from tokenchain_toolkit.report.token_facts import TokenFacts, TokenSources, measure_tokens

LONGEST_RUN = 20  # Frames; longer runs share the last bar of the plot.
NOTES = """Phones are those that the data directory's `phones` names at the middle of each frame. bits/s is the sum over
all codebooks of entropy times frame rate. The unit edit distance counts edits between de-duplicated tokens of clean and
of distorted audio per unit of the clean one. PESQ to WER are of the codec's round trip. The speaker probe is a linear
one on how often each token occurs; the content probe is a small LSTM with CTC, trained on four fifths of the set: both
tell tokenizers apart and are not the best that could be reached. ↑ more is better, ↓ less is better."""


def report_tokens(
    sources: list[TokenSources], out: Path, *, data: Path | None, max_utts: int = 40, with_probes: bool = False
) -> None:
    """Write ``tokens.md``, ``tokens.json`` and ``tokens.png``.

    Args:
        sources: Dumps of one set by several tokenizers, or of several sets, with what else they can be measured by.
        out: Folder to write to.
        data: Data directory of their utterances; its ``phones`` say what was spoken when, if it has them.
        max_utts: Utterances of what needs audio.
        with_probes: Train the probes for speaker and content.

    Raises:
        DataError: A part needs a data directory, and there is none.
    """
    phones = read_phones(data / "phones") if data and (data / "phones").is_file() else None
    facts = [
        measure_tokens(one, data=data, phones=phones, max_utts=max_utts, with_probes=with_probes) for one in sources
    ]
    write_text(out / "tokens.md", _page(facts))
    write_json(out / "tokens.json", [_row(fact) for fact in facts])
    _draw(facts, out / "tokens.png")


def _measures(fact: TokenFacts) -> dict[str, float | None]:
    """The lines of the table."""
    phones, sound, distances = fact.phones, fact.reconstruction, fact.robustness or {}
    lines: dict[str, float | None] = {
        "hours": fact.hours,
        "mean run (frames)": float(fact.runs.mean()),
        "bits/s": sum(one.bits_per_second for one in fact.codebooks.values()),
        "dead semantic tokens ↓": fact.codebooks["semantic"].dead,
        "phone purity ↑": phones.phone_purity if phones else None,
        "cluster purity ↑": phones.cluster_purity if phones else None,
        "PNMI ↑": phones.pnmi if phones else None,
    }
    lines |= {f"unit edit distance, {name} ↓": distance for name, distance in distances.items()}
    lines |= {
        "PESQ ↑": sound.pesq if sound else None,
        "STOI ↑": sound.stoi if sound else None,
        "mel distance (dB) ↓": sound.mel_distance if sound else None,
        "gross pitch error ↓": sound.gross_pitch_error if sound else None,
        "resynthesis WER ↓": fact.resynthesis_wer.value if fact.resynthesis_wer else None,
        "speaker probe, accuracy ↓": fact.speaker_accuracy,
        "speaker probe, chance": fact.speaker_chance,
        "content probe, CER ↓": fact.content_cer,
    }
    return lines


def _row(fact: TokenFacts) -> dict[str, Any]:
    """One dump as plain values."""
    codebooks = {
        name: {
            "size": len(one.counts_K),
            "entropy_bits": one.entropy_bits,
            "perplexity": one.perplexity,
            "dead": one.dead,
            "bits_per_second": one.bits_per_second,
        }
        for name, one in fact.codebooks.items()
    }
    measures = {name.rstrip(" ↑↓"): value for name, value in _measures(fact).items() if value is not None}
    known = {name: value for name, value in measures.items() if not math.isnan(value)}
    return {"dump": fact.name, "hours": fact.hours, "codebooks": codebooks, "measures": known}


def _page(facts: list[TokenFacts]) -> str:
    """The Markdown page."""
    tables = [_measures(fact) for fact in facts]
    lines = ["# Tokens", "", "| measure | " + " | ".join(fact.name for fact in facts) + " |"]
    lines += ["|---|" + "---:|" * len(facts)]
    for name in dict.fromkeys(name for table in tables for name in table):
        values = [table.get(name) for table in tables]
        if any(value is not None for value in values):
            lines.append(f"| {name} | " + " | ".join(_shown(value) for value in values) + " |")
    lines += ["", NOTES, "", "![Use of the codebooks](tokens.png)", ""]
    for fact in facts:
        lines += [f"## {fact.name}", "", "| codebook | entries | dead | entropy (bits) | perplexity | bits/s |"]
        lines += ["|---|---:|---:|---:|---:|---:|"]
        for name, one in fact.codebooks.items():
            figures = f"{one.entropy_bits:.2f} | {one.perplexity:.1f} | {one.bits_per_second:.0f}"
            lines.append(f"| {name} | {len(one.counts_K)} | {one.dead} | {figures} |")
        lines.append("")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    """A figure of the table."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3f}"


def _draw(facts: list[TokenFacts], path: Path) -> None:
    """For each dump, the frequencies of the semantic tokens in falling order, and the lengths of their runs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3 * len(facts)), layout="constrained")
    for axes, fact in zip(figure.subplots(len(facts), 2, squeeze=False), facts, strict=True):
        counts_K = np.sort(fact.codebooks["semantic"].counts_K)[::-1]
        axes[0].bar(np.arange(len(counts_K)), counts_K / counts_K.sum(), width=1.0)
        axes[0].set(title=fact.name, xlabel="semantic token, most frequent first", ylabel="share of frames")
        shares = np.bincount(fact.runs.clip(max=LONGEST_RUN), minlength=LONGEST_RUN + 1)[1:] / max(len(fact.runs), 1)
        axes[1].bar(np.arange(1, LONGEST_RUN + 1), shares)
        axes[1].set(xlabel=f"frames of a run ({LONGEST_RUN}: or more)", ylabel="share of runs")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
