"""Hidden layers of self-supervised speech models: HuBERT, WavLM, wav2vec 2.0."""

import hashlib
from math import prod
from typing import Any

import numpy as np
import torch

from tokenchain_toolkit.config.tokenizer import SslConfig
from tokenchain_toolkit.errors import ConfigError


class SslFeatures:
    """One hidden layer of a transformers model as a ``FeatureExtractor``.

    The model's strided convolutions see no padding, so it gives one frame fewer than ceil(n / hop) for most lengths.

    Args:
        config: Model and layer.
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
        self._preprocess, self._model = _load(config.model, device)
        self._check()
        self.dim = int(self._model.config.hidden_size)

    def describe(self) -> dict[str, Any]:
        """The layer and a hash of the weights: the same model is the same wherever its folder lies."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return {
            "hop_length": self.hop_length,
            "layer": self.config.layer,
            "model_type": self._model.config.model_type,
            "normalize": bool(self._preprocess.do_normalize),
            "weights_sha256": digest.hexdigest(),
        }

    def extract(self, samples: list[np.ndarray]) -> list[np.ndarray]:
        """Features of each utterance, computed alone: padding inside a batch would change them."""
        return [self._extract_one(samples_N) for samples_N in samples]

    @torch.inference_mode()
    def _extract_one(self, samples_N: np.ndarray) -> np.ndarray:
        """Shape (T, dim); no frames if the utterance is shorter than the model's receptive field."""
        if not self._num_frames(len(samples_N)):
            return np.zeros((0, self.dim), np.float32)
        inputs = self._preprocess(samples_N, sampling_rate=self.sample_rate, return_tensors="pt").input_values
        hidden = self._model(inputs.to(self.device), output_hidden_states=True).hidden_states[self.config.layer]
        return hidden[0].float().cpu().numpy()

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


def _load(model: str, device: str) -> tuple[Any, Any]:
    """The model's own preprocessor and the model in evaluation mode, from a local folder or the hub."""
    from transformers import AutoFeatureExtractor, AutoModel

    try:
        preprocess = AutoFeatureExtractor.from_pretrained(model)
        network = AutoModel.from_pretrained(model, use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"semantic.ssl.model={model}: cannot be loaded ({first}); name a local folder with config.json, "
            "preprocessor_config.json and model.safetensors, or a hub id that can be reached"
        ) from error
    return preprocess, network.to(device).eval()
