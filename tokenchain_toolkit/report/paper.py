"""What the paper (arXiv 2510.06201) claims, beside what was measured here.

The claims are relative: the paper's absolute error rates are not known to us. A claim is set beside our figure only
where both mean the same comparison, the same metric of a chain against its baseline at equal epochs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenchain_toolkit.report.results import Comparison, format_change, metric_name


@dataclass(frozen=True)
class Claim:
    """One claim.

    ``metric`` is what the report of a recipe compares with it, ``measure`` what the report of a grid does; None where
    there is nothing to compare.
    """

    what: str
    figure: str
    metric: str | None = None
    measure: str | None = None


CLAIMS = (
    Claim(
        "ASR error against the same model without the chain, LibriSpeech, equal epochs", "5–13 % lower", "wer", "change"
    ),
    Claim(
        "Epochs to the baseline's accuracy, LibriSpeech",
        "2–6 fewer; about 40 % fewer for equal accuracy",
        None,
        "earlier",
    ),
    Claim("WER of the synthesised speech by Whisper, ST-argmax, LibriSpeech", "11.6 % lower", "whisper_wer"),
    Claim("ASR WER after adaptation to TED-LIUM 2", "56 % lower", None, "adapted"),
    Claim("T2S-WER after adaptation to TED-LIUM 2", "31 % lower", None, "t2s_adapted"),
    Claim("ASR WER on LibriSpeech after that adaptation", "minimal forgetting", None, "forgotten"),
    Claim(
        "Temperature of the straight-through estimator",
        "annealed best in domain, low best for transfer",
        None,
        "annealed",
    ),
)


@dataclass(frozen=True)
class ClaimBesideOurs:
    """A claim and the lines that say what was measured here, empty if nothing comparable was."""

    claim: Claim
    ours: list[str]


def claims_beside_ours(compared: Sequence[Comparison]) -> list[ClaimBesideOurs]:
    """Every claim with our comparisons of the same metric."""
    return [
        ClaimBesideOurs(
            claim,
            [
                f"{each.change.experiment}, {each.change.set}, {metric_name(each.metric)}: {format_change(each.change)}"
                for each in compared
                if each.metric == claim.metric and each.equal_epochs
            ],
        )
        for claim in CLAIMS
    ]
