"""Hidden layers of self-supervised speech models: HuBERT, WavLM, wav2vec 2.0.

Shapes: N samples, T frames, D features, C channels of the first convolution.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from tokenchain_toolkit.config.tokenizer import SslConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.features.chunking import Chunk, cut_into_chunks
from tokenchain_toolkit.files import digest_of_tensors

# From pytorch_model.bin, of which nothing is executed, to model.safetensors in the same folder.
CONVERSION = (
    'python3 -c "import sys; from transformers import AutoModel as A; f = sys.argv[1]; '
    'A.from_pretrained(f, use_safetensors=False, weights_only=True).save_pretrained(f)"'
)
STATISTICS_FRAMES = 200_000  # of the first convolution at once; 512 channels of them take 0.4 GB


class SslFeatures:
    """Hidden layers of a transformers model as a ``FeatureExtractor``.

    The model's strided convolutions see no padding, so it gives one frame fewer than ceil(n / hop) for most lengths.
    Utterances go through the network one by one: HuBERT-base and wav2vec 2.0-base were trained without an attention
    mask, so padding in a batch would change their features. Audio longer than ``chunk_seconds`` is cut into overlapping
    chunks. What the model normalises over a whole utterance (the samples, and in the base models the first
    convolution) is normalised over the whole utterance there too, so only the reach of attention is cut short.

    Args:
        config: Model and layers.
        sample_rate: Hz; must be the model's own.
        hop_length: Samples per frame; must be the product of the model's strides.
        device: Torch device.

    Raises:
        ConfigError: The model is not there or has no safetensors, or layer, rate or hop do not fit it.
    """

    def __init__(self, config: SslConfig, *, sample_rate: int, hop_length: int, device: str = "cpu"):
        self.config = config
        self.sample_rate = sample_rate
        self.hop_length = hop_length
        self.frame_rate = sample_rate / hop_length
        self.device = device
        self._preprocess, self._model = _load(config.model)
        self._check()
        self._digest = digest_of_tensors(self._model.state_dict())
        # The layers above are not needed. One of them stays: large models normalise what their last layer gives.
        del self._model.encoder.layers[config.layer + 1 :]
        self._model.to(device=device, dtype=getattr(torch, config.dtype)).eval()
        self.dim = int(self._model.config.hidden_size)

    def describe(self) -> dict[str, Any]:
        """The layers and a hash of the weights: the same model is the same wherever its folder lies."""
        return {
            "average": self.config.average,
            "dtype": self.config.dtype,
            "hop_length": self.hop_length,
            "layer": self.config.layer,
            "model_type": self._model.config.model_type,
            "normalize": bool(self._preprocess.do_normalize),
            "weights_sha256": self._digest,
        }

    def extract(self, samples: list[np.ndarray]) -> list[np.ndarray]:
        """Features of each utterance, computed alone: padding inside a batch would change them."""
        return [self._extract_one(samples_N) for samples_N in samples]

    @torch.inference_mode()
    def _extract_one(self, samples_N: np.ndarray) -> np.ndarray:
        """Shape (T, D); no frames if the utterance is shorter than the model's receptive field."""
        frames = self._num_frames(len(samples_N))
        if not frames:
            return np.zeros((0, self.dim), np.float32)
        inputs = self._preprocess(samples_N, sampling_rate=self.sample_rate, return_tensors="pt").input_values[0]
        chunks = cut_into_chunks(
            frames,
            size=round(self.config.chunk_seconds * self.frame_rate),
            overlap=round(self.config.overlap_seconds * self.frame_rate),
        )
        if len(chunks) == 1:
            return self._hidden(inputs)
        with self._whole_utterance_norm(inputs):
            return np.concatenate([self._hidden_of(chunk, inputs) for chunk in chunks])

    def _hidden_of(self, chunk: Chunk, inputs_N: torch.Tensor) -> np.ndarray:
        """Features of the frames that a chunk keeps."""
        last_sample = (chunk.stop - 1) * self.hop_length + self._receptive_field
        hidden_TD = self._hidden(inputs_N[chunk.start * self.hop_length : last_sample])
        return hidden_TD[chunk.keep_start - chunk.start : chunk.keep_stop - chunk.start]

    def _hidden(self, inputs_N: torch.Tensor) -> np.ndarray:
        """Layer or mean of layers, float32 of shape (T, D)."""
        inputs_1N = inputs_N[None].to(device=self.device, dtype=self._model.dtype)
        states = self._model(inputs_1N, output_hidden_states=True).hidden_states
        wanted = states[self.config.layer + 1 - self.config.average : self.config.layer + 1]
        return torch.stack([state[0].float() for state in wanted]).mean(0).cpu().numpy()

    @contextmanager
    def _whole_utterance_norm(self, inputs_N: torch.Tensor) -> Iterator[None]:
        """While open, the first convolution of a base model is normalised by the mean and variance of the whole audio.

        Large models normalise each frame by itself and need nothing.
        """
        first = self._model.feature_extractor.conv_layers[0]
        norm = getattr(first, "layer_norm", None)
        if not isinstance(norm, nn.GroupNorm):
            yield
            return
        first.layer_norm = _FixedNorm(norm, *self._channel_statistics(first.conv, inputs_N))
        try:
            yield
        finally:
            first.layer_norm = norm

    def _channel_statistics(self, convolution: nn.Conv1d, inputs_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance over time of each channel of the first convolution, float64 of shape (C,)."""
        (kernel,), (stride,) = convolution.kernel_size, convolution.stride
        frames = (len(inputs_N) - kernel) // stride + 1
        total_C = torch.zeros(convolution.out_channels, dtype=torch.float64)
        squares_C = torch.zeros_like(total_C)
        for start in range(0, frames, STATISTICS_FRAMES):
            stop = min(start + STATISTICS_FRAMES, frames)
            block_1N = inputs_N[None, start * stride : (stop - 1) * stride + kernel]
            states_CT = convolution(block_1N.to(device=self.device, dtype=self._model.dtype)).double().cpu()
            total_C += states_CT.sum(1)
            squares_C += states_CT.square().sum(1)
        mean_C = total_C / frames
        return mean_C, squares_C / frames - mean_C.square()

    @property
    def _receptive_field(self) -> int:
        """Samples that one frame sees."""
        samples = 1
        shape = self._model.config
        for kernel, stride in zip(reversed(shape.conv_kernel), reversed(shape.conv_stride), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples

    def _num_frames(self, num_samples: int) -> int:
        """Frames that the convolutions give."""
        for kernel, stride in zip(self._model.config.conv_kernel, self._model.config.conv_stride, strict=True):
            num_samples = max(0, (num_samples - kernel) // stride + 1)
        return num_samples

    def _check(self) -> None:
        """Refuse settings that the model cannot serve."""
        name, shape = self.config.model, self._model.config
        if not 0 <= self.config.layer <= shape.num_hidden_layers:
            raise ConfigError(f"semantic.ssl.layer={self.config.layer}: {name} has layers 0..{shape.num_hidden_layers}")
        if self._preprocess.sampling_rate != self.sample_rate:
            raise ConfigError(f"sample_rate={self.sample_rate}: {name} takes {self._preprocess.sampling_rate} Hz")
        if prod(shape.conv_stride) != self.hop_length:
            raise ConfigError(f"hop_length={self.hop_length}: {name} has a hop of {prod(shape.conv_stride)} samples")


class _FixedNorm(nn.Module):
    """A GroupNorm of one channel per group whose statistics are given instead of taken from its input."""

    def __init__(self, norm: nn.GroupNorm, mean_C: torch.Tensor, variance_C: torch.Tensor):
        super().__init__()
        scale_C = norm.weight.double().cpu() / (variance_C + norm.eps).sqrt()
        shift_C = norm.bias.double().cpu() - mean_C * scale_C
        self.scale_C1 = scale_C[:, None].to(norm.weight)
        self.shift_C1 = shift_C[:, None].to(norm.weight)

    def forward(self, states_BCT: torch.Tensor) -> torch.Tensor:
        """The normalised states."""
        return states_BCT * self.scale_C1 + self.shift_C1


def _load(model: str) -> tuple[Any, Any]:
    """The model's own preprocessor and the model in evaluation mode, from a local folder or the hub."""
    from transformers import AutoFeatureExtractor, AutoModel

    try:
        preprocess = AutoFeatureExtractor.from_pretrained(model)
        network = AutoModel.from_pretrained(model, use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"semantic.ssl.model={model}: cannot be loaded ({first}); name a local folder with config.json, "
            "preprocessor_config.json and model.safetensors, or a hub id that can be reached. Where there is "
            "pytorch_model.bin alone, which `hf download NAME --local-dir FOLDER` fetches, safetensors are made of it "
            f"by: {CONVERSION} FOLDER"
        ) from error
    return preprocess, network.eval()
