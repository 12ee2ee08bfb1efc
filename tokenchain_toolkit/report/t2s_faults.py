"""What goes wrong when T2S draws tokens: the shares of the audit, and what drawing again has mended."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.metrics.score_rows import FEWEST
from tokenchain_toolkit.metrics.t2s_audit import ANY, FAULTS
from tokenchain_toolkit.metrics.token_recogniser import RECOGNISER


@dataclass(frozen=True)
class FaultLine:
    """One experiment on one set.

    Attributes:
        set_name: Of the set.
        experiment: Whose T2S drew.
        num_utts: Utterances that it drew.
        shares: Of the utterances with each fault and with any, in percent, with the interval if there is one.
        drawn_again: Utterances that were drawn more than once.
        bad_at_first: Utterances that were bad at the first draw.
        bad_left: Utterances that are bad in the draw that was kept.
        listener: The ASR that read the draws, and had those that it misread made again; a dash without.
    """

    set_name: str
    experiment: str
    num_utts: int
    shares: list[str]
    drawn_again: int
    bad_at_first: int
    bad_left: int
    listener: str


def fault_names() -> list[str]:
    """Heads of the columns of ``FaultLine.shares``."""
    return [name.replace("_", " ") for name in (*FAULTS, ANY)]


def read_faults(exp: Path) -> list[FaultLine]:
    """Every ``exp/<experiment>/t2s_decode_<set>/audit.json`` with the ``retries.json`` of the dump that it is of."""
    lines = []
    for path in sorted(exp.glob("*/t2s_decode_*/audit.json")):
        audit = read_json(path)
        set_name = path.parent.name.removeprefix("t2s_decode_")
        retries = read_json(path.parent.parent / f"t2s_{set_name}" / "retries.json")
        bad = retries["bad_utts"]
        lines.append(
            FaultLine(
                set_name=set_name,
                experiment=path.parent.parent.name,
                num_utts=audit["shares"][ANY]["num_utts"],
                shares=[_share(audit["shares"][fault]) for fault in (*FAULTS, ANY)],
                drawn_again=retries["drawn_again"],
                bad_at_first=bad["first_draw"]["any"],
                bad_left=bad["kept_draw"]["any"],
                listener=_listener(retries.get("listener"), judge=_judge(path.parent)),
            )
        )
    return sorted(lines, key=lambda line: (line.set_name, line.experiment))


def _judge(folder: Path) -> str | None:
    """The model that read what the audit is of."""
    return str(read_json(folder / RECOGNISER)["model"]) if (folder / RECOGNISER).is_file() else None


def _listener(listener: str | None, *, judge: str | None) -> str:
    if listener is None:
        return "–"
    return f"{listener}, which is the judge, too" if listener == judge else listener


def _share(share: dict[str, Any]) -> str:
    value, low, high = (100 * share[part] for part in ("value", "ci_low", "ci_high"))
    return f"{value:.1f}" if share["num_utts"] < FEWEST else f"{value:.1f} [{low:.1f}, {high:.1f}]"
