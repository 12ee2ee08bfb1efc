"""A page on the tokens of some dumps: one table to compare tokenizers by, and plots of how they use their codebooks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tokenchain_toolkit.data.manifest import read_manifest
from tokenchain_toolkit.data.token_dump import MANIFEST, TokenDump, read_dump
from tokenchain_toolkit.files import atomic_path, write_json, write_text
from tokenchain_toolkit.metrics.phones import Interval, PhoneAgreement, phone_agreement, read_phones
from tokenchain_toolkit.metrics.token_statistics import CodebookStatistics, codebook_statistics, run_lengths

LONGEST_RUN = 20  # Frames; longer runs share the last bar of the plot.


@dataclass(frozen=True)
class TokenFacts:
    """What is reported of one dump."""

    name: str
    hours: float
    codebooks: dict[str, CodebookStatistics]
    runs: np.ndarray
    phones: PhoneAgreement | None


def report_tokens(dumps: list[Path], out: Path, *, data: Path | None) -> None:
    """Write ``tokens.md``, ``tokens.json`` and ``tokens.png``.

    Args:
        dumps: Token dumps of the same set by several tokenizers, or of several sets.
        out: Folder to write to.
        data: Data directory whose ``phones`` say what was spoken when, if it has them.
    """
    phones = read_phones(data / "phones") if data and (data / "phones").is_file() else None
    facts = [_facts_of(folder, phones) for folder in dumps]
    write_text(out / "tokens.md", _page(facts))
    write_json(out / "tokens.json", [_row(fact) for fact in facts])
    _draw(facts, out / "tokens.png")


def _facts_of(folder: Path, phones: Mapping[str, list[Interval]] | None) -> TokenFacts:
    """Everything of one dump."""
    dump = read_dump(folder, with_codes=bool(read_manifest(folder / MANIFEST).get("acoustic")))
    frame_rate = float(dump.manifest["semantic"]["frame_rate"])
    return TokenFacts(
        name=str(folder),
        hours=len(dump.semantic) / frame_rate / 3600,
        codebooks=_codebooks(dump, frame_rate),
        runs=run_lengths(dump.semantic, dump.offsets),
        phones=phone_agreement(dump, phones, frame_rate=frame_rate) if phones else None,
    )


def _codebooks(dump: TokenDump, frame_rate: float) -> dict[str, CodebookStatistics]:
    """Statistics of the semantic tokens and of each quantizer."""
    size = int(dump.manifest["semantic"]["num_clusters"])
    found = {"semantic": codebook_statistics(dump.semantic, size=size, frame_rate=frame_rate)}
    if dump.codes is not None:
        acoustic = dump.manifest["acoustic"]
        for level in range(dump.codes.shape[1]):
            found[f"quantizer {level}"] = codebook_statistics(
                dump.codes[:, level], size=int(acoustic["codebook_size"]), frame_rate=float(acoustic["frame_rate"])
            )
    return found


def _row(facts: TokenFacts) -> dict[str, Any]:
    """One dump as plain values."""
    codebooks = {
        name: {
            "size": len(one.counts_K),
            "entropy_bits": one.entropy_bits,
            "perplexity": one.perplexity,
            "dead": one.dead,
            "bits_per_second": one.bits_per_second,
        }
        for name, one in facts.codebooks.items()
    }
    row = {"dump": facts.name, "hours": facts.hours, "codebooks": codebooks, "mean_run": float(facts.runs.mean())}
    return row | {"phones": vars(facts.phones) if facts.phones else None}


def _page(facts: list[TokenFacts]) -> str:
    """The Markdown page."""
    lines = ["# Tokens", "", "| dump | hours | phone purity | cluster purity | PNMI | mean run (frames) | bits/s |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    for fact in facts:
        phones = fact.phones
        agreement = [phones.phone_purity, phones.cluster_purity, phones.pnmi] if phones else []
        cells = [f"{value:.3f}" for value in agreement] or ["–"] * 3
        bits = sum(one.bits_per_second for one in fact.codebooks.values())
        lines.append(f"| {fact.name} | {fact.hours:.2f} | {' | '.join(cells)} | {fact.runs.mean():.2f} | {bits:.0f} |")
    lines += [
        "",
        "Phones are those that the data directory's `phones` names at the middle of each frame; bits/s is the",
    ]
    lines += ["sum over all codebooks of entropy times frame rate.", "", "![Use of the codebooks](tokens.png)", ""]
    for fact in facts:
        lines += [f"## {fact.name}", "", "| codebook | entries | dead | entropy (bits) | perplexity | bits/s |"]
        lines += ["|---|---:|---:|---:|---:|---:|"]
        for name, one in fact.codebooks.items():
            figures = f"{one.entropy_bits:.2f} | {one.perplexity:.1f} | {one.bits_per_second:.0f}"
            lines.append(f"| {name} | {len(one.counts_K)} | {one.dead} | {figures} |")
        lines.append("")
    return "\n".join(lines)


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
