"""Configuration of the text units."""

from dataclasses import dataclass

from tokenchain_toolkit.config.checks import check_choices, check_least

MODEL_TYPES = ("bpe", "unigram", "char")
NORMALISERS = ("none", "lower", "upper", "words")  # functions of text/normalise.py


@dataclass
class BPEConfig:
    """What ``train_bpe`` learns.

    Attributes:
        vocab_size: Size of the whole token list, with ``<blank>``, ``<unk>`` and ``<sos/eos>``; unused for ``char``.
        model_type: ``bpe``, ``unigram``, or ``char`` (each character is a token).
        normaliser: Name of the normaliser that every text passes through; see ``text/normalise.py``.
        required_characters: Characters that get a token even if the training text lacks them, one after another.
    """

    vocab_size: int = 500
    model_type: str = "bpe"
    normaliser: str = "none"
    required_characters: str = ""

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_choices(self, "", model_type=MODEL_TYPES, normaliser=NORMALISERS)
        if self.model_type != "char":
            check_least(self, "", 4, "vocab_size")
