"""Settings of chain training."""

from dataclasses import dataclass, field

from tokenchain_toolkit.config.checks import check_choices, check_least, check_positive, check_shares
from tokenchain_toolkit.config.evaluation import EvaluationConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.config.training import CommonConfig
from tokenchain_toolkit.errors import ConfigError

FEEDBACKS = ("none", "st_argmax", "st_gumbel", "soft", "score_function")
READINGS = ("teacher_forced", "free_running", "ctc")
FEEDBACK_INTO = ("asr", "decoder")
T2S_TRAININGS = ("joint", "frozen", "alternating")
TEMPERATURE_SCHEDULES = ("constant", "linear", "cosine", "exponential")
TEMPERATURE_STEPS = ("step", "epoch")
BALANCES = ("dwa", "fixed", "uncertainty")


@dataclass
class TemperatureConfig:
    """Temperature tau of the interface; it goes from ``start`` to ``end`` over the run unless it is constant.

    ``by`` says whether it moves with every ``step`` or only from ``epoch`` to epoch; the last epoch then has ``end``.
    """

    schedule: str = "constant"
    start: float = 1.0
    end: float = 1.0
    by: str = "step"

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_choices(self, "temperature", schedule=TEMPERATURE_SCHEDULES, by=TEMPERATURE_STEPS)
        check_positive(self, "temperature", "start", "end")


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

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_choices(self, "balance", kind=BALANCES)
        check_positive(self, "balance", "dwa_temperature")
        check_least(self, "balance", 0, "asr_weight", "rec_weight")


@dataclass
class ChainModelConfig:
    """The chain.

    Attributes:
        feedback: What T2S is given of the ASR's posteriors: ``st_argmax`` and ``st_gumbel`` their one-hot with the
            gradient of the posteriors, ``soft`` the expected embedding, ``score_function`` sampled transcripts, whose
            probability is raised or lowered by how well T2S reconstructs from them; ``none`` is the baseline, in which
            ASR and T2S go on training side by side without a link.
        reading: Where the text comes from: the decoder on the reference's history (``teacher_forced``), the decoder on
            its own (``free_running``), or the best path of the ``ctc`` head. The text is the likeliest, or with
            ``st_gumbel`` and ``score_function`` sampled.
        feedback_into: What the gradient of L_rec reaches: the whole ``asr``, or its attention ``decoder`` alone.
        temperature: Of the posteriors; ``score_function`` samples from them as they are.
        balance: Weights of L_ASR and L_rec.
        t2s_training: ``joint``, ``frozen``, or ``alternating`` with the ASR, each in every other update.
        supervised_t2s: Weight of T2S's loss on the reference text, beside L_rec; the baseline has no other anyway.
        history_dropout: Share of T2S's semantic inputs that is masked while L_rec is computed; none (``null``) leaves
            it as T2S was pretrained.
        num_samples: Transcripts that ``score_function`` samples of each utterance, at least 2.
    """

    feedback: str = "st_argmax"
    reading: str = "teacher_forced"
    feedback_into: str = "asr"
    temperature: TemperatureConfig = field(default_factory=TemperatureConfig)
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    t2s_training: str = "joint"
    supervised_t2s: float = 0.0
    history_dropout: float | None = None
    num_samples: int = 4

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_link(self.feedback, self.reading, section="model")
        check_choices(self, "model", feedback_into=FEEDBACK_INTO, t2s_training=T2S_TRAININGS)
        check_shares(self, "model", "history_dropout", whole=True)
        check_least(self, "model", 0, "supervised_t2s")
        if self.t2s_training == "frozen" and self.supervised_t2s:
            raise ConfigError(
                "model.supervised_t2s trains T2S, and model.t2s_training=frozen forbids it; set one of them"
            )
        if self.feedback_into == "decoder" and self.reading == "ctc":
            raise ConfigError(
                "model.feedback_into=decoder reaches no CTC head; read with the decoder, or feed back into asr"
            )
        if self.num_samples < 2:
            raise ConfigError(f"model.num_samples={self.num_samples}: the score function compares at least 2 samples")


@dataclass
class UnpairedConfig:
    """Speech without text and text without speech, beside every paired batch.

    They are the utterances that ``data.paired_share`` leaves over and the sets that the command is given.

    Attributes:
        speech_ratio: Frames of speech alone for each frame of paired data; 0 uses none.
        text_ratio: The same for text alone, by the frames that its text takes on average; 0 uses none.
        feedback: As ``model.feedback``, for speech alone, which may have a link where paired data has none.
        reading: As ``model.reading``, for speech alone: ``free_running`` or ``ctc``.
        reconstruction_weight: Of L_rec on speech alone, relative to that on paired data.
        labels: Table ``utt_id text`` of what another recogniser read of the speech (the ``text`` of decode_asr); the
            ASR is trained on it as if it were the transcript (self-training).
        label_weight: Of that loss, relative to L_ASR on paired data.
        text_weight: Of L_ASR on the tokens that T2S samples for text alone, relative to that on paired data.
        sampling: How they are sampled.
    """

    speech_ratio: float = 0.0
    text_ratio: float = 0.0
    feedback: str = "none"
    reading: str = "ctc"
    reconstruction_weight: float = 1.0
    labels: str | None = None
    label_weight: float = 1.0
    text_weight: float = 1.0
    sampling: T2SSamplingConfig = field(default_factory=T2SSamplingConfig)

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_link(self.feedback, self.reading, section="unpaired")
        check_least(self, "unpaired", 0, "speech_ratio", "text_ratio", "reconstruction_weight", "label_weight")
        check_least(self, "unpaired", 0, "text_weight")
        if self.reading == "teacher_forced":
            raise ConfigError("unpaired.reading=teacher_forced: speech alone has no text; choose free_running or ctc")
        if self.speech_ratio and self.feedback == "none" and self.labels is None:
            raise ConfigError(
                "unpaired.speech_ratio has no effect without unpaired.feedback or unpaired.labels; set one"
            )
        if not self.speech_ratio and (self.feedback != "none" or self.labels is not None):
            raise ConfigError("unpaired.feedback and unpaired.labels need speech alone; raise unpaired.speech_ratio")


@dataclass
class ChainConfig(CommonConfig):
    """A chain experiment."""

    model: ChainModelConfig = field(default_factory=ChainModelConfig)
    unpaired: UnpairedConfig = field(default_factory=UnpairedConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        """Check what goes together."""
        link = self.unpaired
        if self.model.feedback_into == "decoder" and link.feedback != "none" and link.reading == "ctc":
            raise ConfigError("model.feedback_into=decoder reaches no CTC head; set unpaired.reading=free_running")


def check_link(feedback: str, reading: str, *, section: str) -> None:
    """Refuse ways to feed back and to read that there are not, or that do not go together.

    Args:
        feedback: ``model.feedback``, or that of speech alone.
        reading: ``model.reading``, or that of speech alone.
        section: Where they stand, ``model`` or ``unpaired``.

    Raises:
        ConfigError: They are so.
    """
    for name, value, allowed in (("feedback", feedback, FEEDBACKS), ("reading", reading, READINGS)):
        if value not in allowed:
            raise ConfigError(f"{section}.{name}={value}: choose one of {', '.join(allowed)}")
    if feedback == "score_function" and reading == "teacher_forced":
        raise ConfigError(
            f"{section}.feedback=score_function needs whole transcripts; set {section}.reading=free_running or ctc"
        )
