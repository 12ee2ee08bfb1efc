"""Settings of the discrete-token ASR; the defaults are the paper-size model (marks in conf/paper/asr.yaml)."""

import math
from dataclasses import dataclass, field

from tokenchain_toolkit.config.checks import check_choices, check_heads, check_least, check_odd, check_shares
from tokenchain_toolkit.config.training import CommonConfig
from tokenchain_toolkit.errors import ConfigError

# Encoder frames for T semantic frames, and the fewest T it accepts.
INPUT_LAYERS = {"conv1d1": (1, 5), "conv1d2": (2, 5), "conv1d3": (3, 7), "linear": (1, 1)}


@dataclass
class ASRModelConfig:
    """Embedding, E-Branchformer encoder, Transformer decoder and their loss.

    Time masks follow ESPnet's SpecAugment on the embedded tokens: ``num_time_masks`` spans, each up to
    ``time_mask_ratio`` of the utterance.
    """

    embed_dim: int = 512
    encoder_dim: int = 256
    encoder_blocks: int = 12
    attention_heads: int = 4
    cgmlp_units: int = 1024
    cgmlp_kernel: int = 31
    merge_kernel: int = 31
    feed_forward_units: int = 1024
    input_layer: str = "conv1d2"
    decoder_layers: int = 6
    decoder_units: int = 2048
    dropout: float = 0.1
    ctc_weight: float = 0.3
    label_smoothing: float = 0.1
    num_time_masks: int = 10
    time_mask_ratio: float = 0.05

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_shares(self, "model", "dropout", "label_smoothing")
        check_shares(self, "model", "ctc_weight", "time_mask_ratio", whole=True)
        check_least(self, "model", 1, "embed_dim", "encoder_blocks", "feed_forward_units", "decoder_layers")
        check_least(self, "model", 1, "decoder_units")
        check_least(self, "model", 0, "num_time_masks")
        check_odd(self, "model", "cgmlp_kernel", "merge_kernel")
        check_choices(self, "model", input_layer=tuple(INPUT_LAYERS))
        check_heads(self, size="encoder_dim", heads="attention_heads")
        if self.cgmlp_units < 2 or self.cgmlp_units % 2:
            raise ConfigError(f"model.cgmlp_units={self.cgmlp_units} must be even, since half of them are gates")


@dataclass
class ASRConfig(CommonConfig):
    """An ASR experiment."""

    model: ASRModelConfig = field(default_factory=ASRModelConfig)


@dataclass
class ASRDecodingConfig:
    """Joint CTC/attention beam search.

    ``max_length_ratio`` and ``min_length_ratio`` bound the output length relative to the encoder's length; 0 sets no
    bound but that length itself. ``batch_frames`` bounds the semantic frames, with padding, that are searched at once.
    """

    beam_size: int = 10
    ctc_weight: float = 0.3
    length_bonus: float = 0.0
    max_length_ratio: float = 0.0
    min_length_ratio: float = 0.0
    batch_frames: int = 8000

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_least(self, "", 1, "beam_size", "batch_frames")
        check_shares(self, "", "ctc_weight", whole=True)
        check_least(self, "", 0, "max_length_ratio", "min_length_ratio")
        if not math.isfinite(self.length_bonus):
            raise ConfigError(f"length_bonus={self.length_bonus} must be a finite number")
