"""Settings of the discrete-token ASR; the defaults are the paper-size model (marks in conf/paper/asr.yaml)."""

from dataclasses import dataclass, field

from tokenchain_toolkit.config.training import CommonConfig, check_heads, check_shares
from tokenchain_toolkit.errors import ConfigError


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
        check_shares(self, "dropout", "label_smoothing")
        check_shares(self, "ctc_weight", "time_mask_ratio", whole=True)
        check_heads(self, size="encoder_dim", heads="attention_heads")


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
        for name in ("beam_size", "batch_frames"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least 1")
        if not 0 <= self.ctc_weight <= 1:
            raise ConfigError(f"ctc_weight={self.ctc_weight} must be in [0, 1]")
        for name in ("max_length_ratio", "min_length_ratio"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name}={getattr(self, name)} must be positive, or 0, which is no bound")
