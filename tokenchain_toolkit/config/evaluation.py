"""Settings of the evaluation that follows every epoch of a chain."""

from dataclasses import dataclass, field

from tokenchain_toolkit.config.checks import check_least, check_shares
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.errors import ConfigError

HEADS = ("joint", "attention", "ctc")


@dataclass
class EvaluationConfig:
    """What is measured of the sets that a chain is evaluated on.

    Attributes:
        heads: Ways to read the recogniser: ``joint`` CTC/attention beam search, beam search over the ``attention``
            decoder alone, and the best path of the ``ctc`` head alone.
        beam_size: Hypotheses of each utterance.
        ctc_weight: Of CTC in the joint search.
        batch_frames: Semantic frames, with padding, that are searched at once.
        max_utts: Utterances of each set, the same ones every time; 0 takes all.
        t2s_utts: Transcripts of each set that T2S speaks, the same ones every time; 0 leaves T2S out.
        t2s: How T2S speaks them.
        judge: Folder of an ASR on the same tokens and text units that reads what T2S says. None takes the ASR that the
            chain starts from, which can say nothing of a domain that it does not understand.
    """

    heads: list[str] = field(default_factory=lambda: list(HEADS))
    beam_size: int = 4
    ctc_weight: float = 0.3
    batch_frames: int = 8000
    max_utts: int = 0
    t2s_utts: int = 100
    t2s: T2SSamplingConfig = field(default_factory=lambda: T2SSamplingConfig(temperature=0.4, batch_size=128))
    judge: str | None = None

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        unknown = [head for head in self.heads if head not in HEADS]
        if unknown:
            raise ConfigError(f"evaluation.heads names {', '.join(unknown)}; choose from {', '.join(HEADS)}")
        check_least(self, "evaluation", 1, "beam_size", "batch_frames")
        check_least(self, "evaluation", 0, "max_utts", "t2s_utts")
        check_shares(self, "evaluation", "ctc_weight", whole=True)
