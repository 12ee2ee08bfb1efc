"""Configuration of the units that ASR and T2S work on instead of one token per frame."""

from dataclasses import dataclass

from tokenchain_toolkit.errors import ConfigError


@dataclass
class UnitsConfig:
    """What ``learn_units`` learns.

    Attributes:
        bpe_vocab_size: Pieces of byte-pair encoding over the de-duplicated tokens; 0 leaves them single.
    """

    bpe_vocab_size: int = 0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if not 0 <= self.bpe_vocab_size <= 32767:
            raise ConfigError(f"bpe_vocab_size={self.bpe_vocab_size} must be in 0..32767; 0 is without BPE")
