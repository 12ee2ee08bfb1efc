"""What every acoustic codec offers, and how the one that a configuration names is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tokenchain_toolkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from tokenchain_toolkit.config.tokenizer import CodecConfig

SPECTRAL_RVQ, SPEECH_TOKENIZER = "spectral_rvq", "speechtokenizer"
# Where the codec that a tokenizer learned, and the network before its Griffin-Lim, lie in its folder.
CODEC, HEAD = "codec.safetensors", "codec_head.safetensors"


class Codec(Protocol):
    """Audio to codes and back, one utterance at a time, so that no utterance depends on another.

    Attributes:
        sample_rate: Hz of the audio it takes and gives.
        frame_rate: Frames per second.
        num_quantizers: Quantizers Q.
        codebook_size: Codes of each.
    """

    sample_rate: int
    frame_rate: float
    num_quantizers: int
    codebook_size: int

    def describe(self) -> dict[str, Any]:
        """What the codes depend on besides the attributes, for the manifest; plain JSON values, no paths."""
        ...

    def codebooks(self) -> list[np.ndarray]:
        """The entries of each quantizer, float32 of shape (K, D); entries that sound alike lie close together."""
        ...

    def encode(self, samples_N: np.ndarray) -> np.ndarray:
        """Codes of one utterance, int16 of shape (T, Q)."""
        ...

    def decode(self, codes: list[np.ndarray]) -> list[np.ndarray]:
        """Audio of utterances from codes of shape (T, q) with 1 <= q <= Q, each float32 of T / frame_rate seconds.

        Raises:
            DataError: A code lies outside the codebook, or an array has another shape.
        """
        ...


def load_codec(config: CodecConfig, folder: Path, *, device: str = "cpu") -> Codec:
    """The codec that ``config.kind`` names.

    Args:
        config: The codec's section of a tokenizer's configuration.
        folder: Tokenizer's folder, where a learned codec lies.
        device: Torch device of a neural codec.

    Raises:
        DataError: A learned codec is missing or damaged.
        ConfigError: A pretrained one cannot be loaded or does not have what the configuration asks for.
    """
    if config.kind == SPECTRAL_RVQ:
        from tokenchain_toolkit.tokenizers.spectral_rvq import load_spectral_rvq

        return load_spectral_rvq(folder / CODEC, head=config.head)
    if config.kind == SPEECH_TOKENIZER:
        from tokenchain_toolkit.tokenizers.speech_tokenizer import SpeechTokenizerCodec

        return SpeechTokenizerCodec(Path(config.model), num_quantizers=config.num_quantizers, device=device)
    from tokenchain_toolkit.tokenizers.neural_codecs import load_neural_codec

    return load_neural_codec(config.kind, config.model, num_quantizers=config.num_quantizers, device=device)


def decoding_inputs(tokenizer: Path) -> list[Path]:
    """Files of a tokenizer's folder that the sound of its codes depends on, for a stage's inputs.

    The manifest says what the codes are; a learned codec's head, which no code depends on, it leaves out.
    """
    return [tokenizer / "manifest.json", *(tokenizer / name for name in (CODEC, HEAD) if (tokenizer / name).is_file())]


def check_codes(codes_TQ: np.ndarray, *, num_quantizers: int, codebook_size: int) -> None:
    """Refuse what a codec cannot decode.

    Raises:
        DataError: A code lies outside the codebook, or the array is not of shape (T, 1..Q) with T > 0.
    """
    if codes_TQ.ndim != 2 or not len(codes_TQ) or not 1 <= codes_TQ.shape[1] <= num_quantizers:
        raise DataError(f"codes of shape {codes_TQ.shape} are not (T, 1..{num_quantizers}) with T > 0")
    if codes_TQ.min() < 0 or codes_TQ.max() >= codebook_size:
        raise DataError(
            f"codes span {codes_TQ.min()}..{codes_TQ.max()}, the codebook has 0..{codebook_size - 1}; "
            "they are another codec's, or hold mask tokens"
        )
