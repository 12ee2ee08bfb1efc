"""Settings of chain training."""

from dataclasses import dataclass, field

from tokenchain_toolkit.config.training import CommonConfig

FEEDBACKS = ("none", "st_argmax", "st_gumbel", "soft")
FEEDBACK_INTO = ("asr", "decoder")
TEMPERATURE_SCHEDULES = ("constant", "linear", "cosine", "exponential")
BALANCES = ("dwa", "fixed", "uncertainty")


@dataclass
class TemperatureConfig:
    """Temperature tau of the interface; it goes from ``start`` to ``end`` over the run unless it is constant."""

    schedule: str = "constant"
    start: float = 1.0
    end: float = 1.0


@dataclass
class BalanceConfig:
    """How L_ASR and L_rec are weighted.

    ``dwa`` is dynamic weight averaging with softmax temperature ``dwa_temperature``; ``fixed`` uses the two weights;
    ``uncertainty`` learns a variance of each loss (Kendall et al. 2018).
    """

    kind: str = "dwa"
    dwa_temperature: float = 2.0
    asr_weight: float = 1.0
    rec_weight: float = 1.0


@dataclass
class ChainModelConfig:
    """The chain.

    Attributes:
        feedback: What T2S is given of the ASR's posteriors: ``st_argmax`` and ``st_gumbel`` their one-hot with the
            gradient of the posteriors, ``soft`` the expected embedding; ``none`` is the baseline, in which ASR and T2S
            go on training side by side without a link.
        feedback_into: What the gradient of L_rec reaches: the whole ``asr``, or its attention ``decoder`` alone.
        temperature: Of the posteriors.
        balance: Weights of L_ASR and L_rec.
        freeze_t2s: Leave T2S as it is.
        supervised_t2s: Weight of T2S's loss on the reference text, beside L_rec; the baseline has no other anyway.
    """

    feedback: str = "st_argmax"
    feedback_into: str = "asr"
    temperature: TemperatureConfig = field(default_factory=TemperatureConfig)
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    freeze_t2s: bool = False
    supervised_t2s: float = 0.0


@dataclass
class ChainConfig(CommonConfig):
    """A chain experiment."""

    model: ChainModelConfig = field(default_factory=ChainModelConfig)
