"""Settings of T2S, from text to semantic tokens; the defaults are paper-size (marks in conf/paper/t2s.yaml)."""

import math
from dataclasses import dataclass, field

from tokenchain_toolkit.config.checks import check_choices, check_heads, check_least, check_positive, check_shares
from tokenchain_toolkit.config.training import CommonConfig
from tokenchain_toolkit.errors import ConfigError

SLOWEST, FASTEST = 0.1, 10.0  # rates of speaking that make any sense


@dataclass
class T2SModelConfig:
    """A LLaMA-style decoder.

    ``history_dropout`` is the share of semantic input tokens that are replaced by a mask token in training, so that the
    model listens to the text rather than to its own past. ``text_dropout`` is the share of utterances that pretraining
    leaves without their text, so that the model also knows speech as such, which ``guidance`` moves away from.
    ``text_positions`` says which rotary positions the text has: ``order`` numbers text and speech one after another,
    as a plain LLaMA does; ``aligned`` counts frames from the beginning of the speech, and puts every text unit where it
    is expected to be said, by the durations that its training utterances tell of and the length of the speech (near to
    the progress-monitoring positions of VoiceStar, arXiv 2505.19462). Attention then finds what is to be said next
    without learning to count, and the end is known.
    """

    hidden_dim: int = 1024
    num_layers: int = 12
    num_heads: int = 16
    feed_forward_dim: int = 4096
    dropout: float = 0.0
    history_dropout: float = 0.0
    text_dropout: float = 0.0
    text_positions: str = "order"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_choices(self, "model", text_positions=("order", "aligned"))
        check_shares(self, "model", "dropout", "text_dropout", "label_smoothing")
        check_shares(self, "model", "history_dropout", whole=True)
        check_least(self, "model", 1, "num_layers", "feed_forward_dim")
        check_heads(self, size="hidden_dim", heads="num_heads", each=2)


@dataclass
class T2SConfig(CommonConfig):
    """A T2S experiment."""

    model: T2SModelConfig = field(default_factory=T2SModelConfig)


@dataclass
class T2SSamplingConfig:
    """How semantic tokens are drawn.

    A draw is bad if it does not end by itself, is off the expected length, loops, or is misread by an ASR that listens,
    where there is one. Bad draws are made again; of those of an utterance the best is kept: one that ended before one
    that did not, then one without a loop, then one of a good length, then the one that is misread least, then the one
    nearest to the expected length. While ``retries`` is not 0, the expected length also caps every draw.

    Attributes:
        temperature: Of the distribution; 0 takes the likeliest token.
        top_k: So many likeliest tokens are kept; 0 keeps all.
        top_p: Mass of the distribution, from the likeliest token on, that is kept.
        guidance: How far scores are moved away from those without the text (classifier-free guidance); 0 is off, and
            saves half of the work. Needs a model that was trained with ``text_dropout``.
        speaking_rate: Speech lasts as long as natural speech divided by it; needs a model with
            ``text_positions: aligned``, which is told how long it is to speak.
        max_frames_per_token: Caps the output at that many frames for each text token.
        prompt_frames: Length of the semantic prefix, a crop of another utterance of the speaker. Where the text of that
            utterance is known, a slow speaker is given as much more time, by a model with ``text_positions: aligned``.
        batch_size: Utterances drawn at once.
        seed: Of the draws and the prompts.
        retries: How often a bad draw is made again at most; 0 takes every first draw.
        frames_per_token: Frames to expect for each text token. 0 learns length and loops from the natural tokens that
            decode_t2s is given by --norms_dump; where there are none, length is judged by what a model with
            ``text_positions: aligned`` has learned of its text units, and else not at all.
        extra_frames: Frames to expect of every utterance besides.
        length_tolerance: A draw is off if it is so many times longer or shorter than expected.
        longest_loop: Frames in a row that may each repeat the frame one period before, whatever the period; 0 learns
            it, like ``frames_per_token``.
        most_misread: A draw is bad if the ASR that --listener names misreads more than this share of the text's
            characters; 1 does without. That ASR is then no judge of the kept draws: they are those that it can read.
        repetition_window: Last frames that are looked at before every draw of a token (repetition-aware sampling,
            VALL-E 2, section 3.2); 0 is off.
        retry_window: The same in draws that are made again; 0 takes ``repetition_window`` there, too.
        repetition_share: If the token drawn fills more than this share of them, another is drawn in its place from the
            whole distribution: no temperature, top-k or top-p.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 0.9
    guidance: float = 0.0
    speaking_rate: float = 1.0
    max_frames_per_token: float = 40.0
    prompt_frames: int = 0
    batch_size: int = 64
    seed: int = 0
    retries: int = 0
    frames_per_token: float = 0.0
    extra_frames: float = 0.0
    length_tolerance: float = 1.8
    longest_loop: int = 0
    most_misread: float = 1.0
    repetition_window: int = 0
    retry_window: int = 0
    repetition_share: float = 0.9

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_least(self, "", 0, "temperature", "guidance", "retries", "top_k", "repetition_window", "retry_window")
        check_least(self, "", 0, "seed", "prompt_frames", "frames_per_token", "extra_frames", "longest_loop")
        check_shares(self, "", "top_p", "most_misread", "repetition_share", whole=True)
        check_least(self, "", 1, "batch_size")
        check_positive(self, "", "max_frames_per_token")
        if not SLOWEST <= self.speaking_rate <= FASTEST:
            raise ConfigError(f"speaking_rate={self.speaking_rate} must be from {SLOWEST} to {FASTEST}; 1 is natural")
        if not 1 < self.length_tolerance < math.inf:
            raise ConfigError(f"length_tolerance={self.length_tolerance} allows no length; give more than 1")
        again = self.retry_window or self.repetition_window
        if self.retries > 0 and self.temperature == 0 and again == 0:
            raise ConfigError("retries: with temperature=0 every draw is the same; raise temperature, or set retries=0")
