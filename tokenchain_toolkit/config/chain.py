"""Settings of chain training."""

from dataclasses import dataclass, field

from tokenchain_toolkit.config.training import CommonConfig

FEEDBACKS = ("none", "st_argmax", "st_gumbel")
TEMPERATURE_SCHEDULES = ("constant", "linear", "cosine", "exponential")
BALANCES = ("dwa", "fixed")


@dataclass
class TemperatureConfig:
    """Temperature tau of the interface; it goes from ``start`` to ``end`` over the run unless it is constant."""

    schedule: str = "constant"
    start: float = 1.0
    end: float = 1.0


@dataclass
class BalanceConfig:
    """How L_ASR and L_rec are weighted.

    ``dwa`` is dynamic weight averaging with softmax temperature ``dwa_temperature``; ``fixed`` uses the two weights.
    """

    kind: str = "dwa"
    dwa_temperature: float = 2.0
    asr_weight: float = 1.0
    rec_weight: float = 1.0


@dataclass
class ChainModelConfig:
    """The chain: ``feedback`` none is the baseline, in which ASR and T2S go on training side by side without a link."""

    feedback: str = "st_argmax"
    temperature: TemperatureConfig = field(default_factory=TemperatureConfig)
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    freeze_t2s: bool = False


@dataclass
class ChainConfig(CommonConfig):
    """A chain experiment."""

    model: ChainModelConfig = field(default_factory=ChainModelConfig)
