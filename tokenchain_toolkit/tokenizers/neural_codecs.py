"""EnCodec (Défossez et al. 2022), DAC (Kumar et al. 2023) and Mimi (Défossez et al. 2024), from ``transformers``.

Their models keep codes as (B, Q, T) or (chunks, B, Q, T); here they are (T, Q), as on disk.
Shapes: N samples, T frames, Q quantizers, q of them in use.
"""

from math import prod
from typing import Any

import numpy as np
import torch

from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.files import digest_of_tensors
from tokenchain_toolkit.tokenizers.codec import check_codes


class NeuralCodec:
    """A pretrained codec as a ``Codec``; subclasses know their model's way of encoding and decoding.

    Args:
        network: In evaluation mode, on its device.
        kind: Of the codec.
        num_quantizers: Quantizers to use, the first ones.
        sample_rate: Hz.
        hop_length: Samples per frame; need not be whole at the model's own rate.
        available: Quantizers that the model has.
        codebook_size: Codes of each.

    Raises:
        ConfigError: The model has fewer quantizers.
    """

    def __init__(
        self,
        network: Any,
        *,
        kind: str,
        num_quantizers: int,
        sample_rate: int,
        hop_length: int,
        available: int,
        codebook_size: int,
    ):
        if num_quantizers > available:
            raise ConfigError(f"codec.num_quantizers={num_quantizers}: this {kind} has {available} quantizers")
        self.network, self.kind = network, kind
        self.num_quantizers, self.codebook_size = num_quantizers, codebook_size
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.frame_rate = sample_rate / hop_length
        self.device = next(network.parameters()).device
        self._digest = digest_of_tensors(network.state_dict())

    def describe(self) -> dict[str, Any]:
        """A hash of the weights: the same model is the same wherever its folder lies."""
        return {"weights_sha256": self._digest}

    def codebooks(self) -> list[np.ndarray]:
        """The entries of each quantizer in use, float32 of shape (K, D)."""
        return [self._codebook(level).detach().float().cpu().numpy() for level in range(self.num_quantizers)]

    @torch.inference_mode()
    def encode(self, samples_N: np.ndarray) -> np.ndarray:
        """Codes of one utterance, int16 of shape (ceil(N / hop), Q); the last frame is filled up with silence."""
        missing = -len(samples_N) % self.hop_length
        padded_11N = torch.from_numpy(np.pad(samples_N, (0, missing)))[None, None].to(self.device)
        codes_QT = self._encode(padded_11N)[: self.num_quantizers, : padded_11N.shape[2] // self.hop_length]
        return codes_QT.T.cpu().numpy().astype(np.int16)

    def decode(self, codes: list[np.ndarray]) -> list[np.ndarray]:
        """Audio of utterances, each float32 of T * hop samples.

        Args:
            codes: Integers of shape (T, q) with 1 <= q <= Q.

        Raises:
            DataError: A code lies outside the codebook, or an array has another shape.
        """
        return [self._decode_one(codes_TQ) for codes_TQ in codes]

    @torch.inference_mode()
    def _decode_one(self, codes_TQ: np.ndarray) -> np.ndarray:
        check_codes(codes_TQ, num_quantizers=self.num_quantizers, codebook_size=self.codebook_size)
        codes_QT = torch.from_numpy(np.ascontiguousarray(codes_TQ.T, dtype=np.int64)).to(self.device)
        samples_N = self._decode(codes_QT).float().cpu().numpy()
        length = len(codes_TQ) * self.hop_length
        return np.pad(samples_N[:length], (0, max(0, length - len(samples_N))))

    def _codebook(self, level: int) -> torch.Tensor:
        """Entries (K, D) of one quantizer."""
        raise NotImplementedError

    def _encode(self, samples_11N: torch.Tensor) -> torch.Tensor:
        """Codes (Q or more, T) of a whole number of frames."""
        raise NotImplementedError

    def _decode(self, codes_QT: torch.Tensor) -> torch.Tensor:
        """Samples (N,)."""
        raise NotImplementedError


class EncodecCodec(NeuralCodec):
    """EnCodec at 24 kHz; that for stereo at 48 kHz cuts its audio into overlapping chunks and is not supported."""

    def _codebook(self, level: int) -> torch.Tensor:
        return self.network.quantizer.layers[level].codebook.embed

    def _encode(self, samples_11N: torch.Tensor) -> torch.Tensor:
        bandwidth = max(self.network.config.target_bandwidths)  # all quantizers; those in use are taken from them
        return self.network.encode(samples_11N, bandwidth=bandwidth).audio_codes[0, 0]

    def _decode(self, codes_QT: torch.Tensor) -> torch.Tensor:
        return self.network.decode(codes_QT[None, None], [None]).audio_values[0, 0]


class DacCodec(NeuralCodec):
    """DAC at 16, 24 or 44.1 kHz."""

    def _codebook(self, level: int) -> torch.Tensor:
        return self.network.quantizer.quantizers[level].codebook.weight

    def _encode(self, samples_11N: torch.Tensor) -> torch.Tensor:
        return self.network.encode(samples_11N).audio_codes[0]

    def _decode(self, codes_QT: torch.Tensor) -> torch.Tensor:
        return self.network.decode(audio_codes=codes_QT[None]).audio_values[0]


class MimiCodec(NeuralCodec):
    """Mimi at 24 kHz and 12.5 frames per second; its first quantizer was taught by WavLM and is a semantic one."""

    def _codebook(self, level: int) -> torch.Tensor:
        quantizer = self.network.quantizer
        semantic = quantizer.semantic_residual_vector_quantizer.layers
        return [*semantic, *quantizer.acoustic_residual_vector_quantizer.layers][level].codebook.embed

    def _encode(self, samples_11N: torch.Tensor) -> torch.Tensor:
        return self.network.encode(samples_11N, num_quantizers=self.num_quantizers).audio_codes[0]

    def _decode(self, codes_QT: torch.Tensor) -> torch.Tensor:
        return self.network.decode(codes_QT[None]).audio_values[0, 0]


def load_neural_codec(kind: str, model: str, *, num_quantizers: int, device: str = "cpu") -> NeuralCodec:
    """Load a codec from a local folder or the hub.

    Args:
        kind: ``encodec``, ``dac`` or ``mimi``.
        model: Folder or hub id, with safetensors.
        num_quantizers: Quantizers to use.
        device: Torch device.

    Raises:
        ConfigError: It cannot be loaded, is of another kind, or has fewer quantizers.
    """
    import transformers

    kinds: dict[str, tuple[Any, type[NeuralCodec]]] = {
        "encodec": (transformers.EncodecModel, EncodecCodec),
        "dac": (transformers.DacModel, DacCodec),
        "mimi": (transformers.MimiModel, MimiCodec),
    }
    network_class, codec_class = kinds[kind]
    try:
        found = transformers.AutoConfig.from_pretrained(model).model_type
        if found != kind:
            raise ConfigError(f"codec.model={model} is of kind {found}, not {kind}; set codec.kind={found}")
        network = network_class.from_pretrained(model, use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"codec.model={model}: cannot be loaded ({first}); name a local folder with config.json and "
            "model.safetensors, or a hub id that can be reached"
        ) from error
    return codec_class(network.eval().to(device), kind=kind, num_quantizers=num_quantizers, **_sizes(kind, network))


def _sizes(kind: str, network: Any) -> dict[str, int]:
    """What the model's configuration says of rates and codebooks.

    Raises:
        ConfigError: It is an EnCodec that cuts its audio into chunks, or takes several channels.
    """
    config = network.config
    sizes = {"sample_rate": int(config.sampling_rate), "codebook_size": int(config.codebook_size)}
    if kind == "dac":
        return sizes | {"hop_length": int(prod(config.downsampling_ratios)), "available": int(config.n_codebooks)}
    if kind == "mimi":
        hop_length = round(config.sampling_rate / config.frame_rate)
        return sizes | {"hop_length": hop_length, "available": int(config.num_quantizers)}
    if config.audio_channels != 1 or config.chunk_length_s is not None or config.normalize:
        raise ConfigError("codec.model: only the EnCodec for mono audio in one piece (24 kHz) is supported")
    return sizes | {"hop_length": int(prod(config.upsampling_ratios)), "available": int(config.num_quantizers)}
