"""Settings of T2S, from text to semantic tokens; the defaults are paper-size (marks in conf/paper/t2s.yaml)."""

from dataclasses import dataclass, field

from tokenchain_toolkit.config.training import CommonConfig


@dataclass
class T2SModelConfig:
    """A LLaMA-style decoder.

    ``history_dropout`` is the share of semantic input tokens that are replaced by a mask token in training, so that the
    model listens to the text rather than to its own past. ``text_stride`` is the distance in rotary positions, counted
    in frames, between two text units, about the frames that a unit lasts; 0 numbers all positions one after another, as
    a plain LLaMA does.
    """

    hidden_dim: int = 1024
    num_layers: int = 12
    num_heads: int = 16
    feed_forward_dim: int = 4096
    dropout: float = 0.0
    history_dropout: float = 0.0
    text_stride: float = 0.0
    label_smoothing: float = 0.0


@dataclass
class T2SConfig(CommonConfig):
    """A T2S experiment."""

    model: T2SModelConfig = field(default_factory=T2SModelConfig)


@dataclass
class T2SSamplingConfig:
    """How semantic tokens are drawn.

    ``max_frames_per_token`` caps the output at that many frames for each text token. ``prompt_frames`` is the length of
    the semantic prefix, a crop of another utterance of the speaker.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 0.9
    max_frames_per_token: float = 40.0
    prompt_frames: int = 0
    batch_size: int = 64
    seed: int = 0
