"""Settings of S2A, the masked generative model from semantic tokens to acoustic codes."""

from dataclasses import dataclass, field

from tokenchain_toolkit.config.checks import check_choices, check_heads, check_least, check_odd, check_shares
from tokenchain_toolkit.config.training import CommonConfig, DataConfig


@dataclass
class S2AModelConfig:
    """A bidirectional Transformer behind a small convolution over time.

    ``level_sampling`` says how training draws the quantizer to predict: ``linear`` weighs quantizer q of Q with Q - q,
    since the lower ones carry most of the sound; ``uniform`` is SoundStorm's. ``condition_dropout`` is the share of
    training utterances whose semantic tokens and prompt are hidden, which classifier-free guidance needs (Ho & Salimans
    2022). ``start`` says what the embeddings and the scores of the codes start from: ``random``, or the codec's
    ``codebooks``, so that codes that sound alike begin alike. ``gradient_checkpointing`` computes each layer twice
    instead of keeping what it computed.
    """

    hidden_dim: int = 1024
    num_layers: int = 16
    num_heads: int = 16
    feed_forward_dim: int = 4096
    conv_kernel: int = 7
    dropout: float = 0.1
    level_sampling: str = "linear"
    condition_dropout: float = 0.0
    start: str = "random"
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_choices(self, "model", level_sampling=("linear", "uniform"), start=("random", "codebooks"))
        check_shares(self, "model", "dropout", "condition_dropout")
        check_least(self, "model", 1, "num_layers", "feed_forward_dim")
        check_odd(self, "model", "conv_kernel")
        check_heads(self, size="hidden_dim", heads="num_heads", each=2)


@dataclass
class S2AConfig(CommonConfig):
    """An S2A experiment. Its frames are those of the codes; a prompt is 1 to 3 seconds where they are 50 a second."""

    model: S2AModelConfig = field(default_factory=S2AModelConfig)
    data: DataConfig = field(default_factory=lambda: DataConfig(min_prompt_frames=50, max_prompt_frames=150))


@dataclass
class S2ADecodingConfig:
    """Iterative decoding: so many passes for the first predicted quantizer, so many for each later one.

    ``top_k`` draws from that many likeliest codes, 0 from all. ``guidance`` above 0 moves the scores away from those
    without semantic tokens and prompt, at the price of twice the work; the model needs ``condition_dropout`` for it.
    """

    first_level_steps: int = 16
    later_level_steps: int = 1
    temperature: float = 1.0
    top_k: int = 0
    guidance: float = 0.0
    prompt_frames: int = 100
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_least(self, "", 1, "first_level_steps", "later_level_steps", "prompt_frames", "batch_size")
        check_least(self, "", 0, "temperature", "top_k", "guidance", "seed")
