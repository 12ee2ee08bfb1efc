"""Whose voice is it: cosines of speaker embeddings, to the prompted speaker and to somebody else.

Shapes: N samples, E embedding dimensions.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import torch

from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.files import digest_of_tensors
from tokenchain_toolkit.metrics.measured_audio import RATE, Speech, read_speech
from tokenchain_toolkit.metrics.measurement import Measurement, UnmeasurableError
from tokenchain_toolkit.metrics.pretrained import refuse_untrained
from tokenchain_toolkit.metrics.voices import Voices

RESEMBLYZER = "resemblyzer"


class SpeakerEncoder(Protocol):
    """Turns speech into a voice; ``family`` begins the names of its metrics."""

    family: str

    def describe(self) -> dict[str, Any]:
        """Model id, sample rate and what else the figures depend on."""
        ...

    def embed(self, samples_N: np.ndarray) -> np.ndarray:
        """Unit vector of shape (E,) of mono audio at 16 kHz; `UnmeasurableError` if there is no voice in it."""
        ...


class ResemblyzerEncoder:
    """The GE2E encoder that the package resemblyzer carries; silence is cut out before."""

    family = RESEMBLYZER

    def __init__(self, *, device: str = "cpu"):
        from resemblyzer import VoiceEncoder

        # It reads its weights by torch.load with the default of this PyTorch, which is weights_only=True.
        self._encoder = VoiceEncoder(device, verbose=False)

    def describe(self) -> dict[str, Any]:
        """The networks lie inside the package of that version."""
        return {"model": f"resemblyzer {version('resemblyzer')}", "sample_rate": RATE}

    def embed(self, samples_N: np.ndarray) -> np.ndarray:
        """Unit vector of shape (E,)."""
        from resemblyzer import preprocess_wav

        voiced_N = preprocess_wav(samples_N)
        if not len(voiced_N):
            raise UnmeasurableError("holds no voice that resemblyzer's voice activity detector would find")
        return _unit(self._encoder.embed_utterance(voiced_N))


class XVectorEncoder:
    """A speaker verification model of transformers with an x-vector head, such as ``microsoft/wavlm-base-plus-sv``.

    Args:
        model: Local folder or hub id.
        device: Torch device.

    Raises:
        ConfigError: It cannot be loaded, or takes another rate than 16 kHz.
    """

    def __init__(self, model: str, *, device: str = "cpu"):
        from transformers import AutoFeatureExtractor, AutoModelForAudioXVector

        try:
            self._preprocess = AutoFeatureExtractor.from_pretrained(model)
            network, loaded = AutoModelForAudioXVector.from_pretrained(
                model, dtype=torch.float32, output_loading_info=True
            )
            refuse_untrained(loaded["missing_keys"])
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"speaker encoder {model}: cannot be loaded ({str(error).strip().splitlines()[0]}); "
                f"name {RESEMBLYZER}, or a local folder or reachable hub id of a model with an x-vector head, such as "
                "microsoft/wavlm-base-plus-sv"
            ) from error
        if self._preprocess.sampling_rate != RATE:
            raise ConfigError(f"speaker encoder {model}: takes {self._preprocess.sampling_rate} Hz, not {RATE} Hz")
        self._network = network.to(device).eval()
        self.family = self._network.config.model_type
        self._model, self._device = model, device

    def describe(self) -> dict[str, Any]:
        """Model id and a hash of the weights, which is the same wherever its folder lies."""
        digest = digest_of_tensors(self._network.state_dict())
        return {"model": self._model, "weights_sha256": digest, "sample_rate": RATE}

    @torch.inference_mode()
    def embed(self, samples_N: np.ndarray) -> np.ndarray:
        """Unit vector of shape (E,)."""
        inputs = self._preprocess(samples_N, sampling_rate=RATE, return_tensors="pt").to(self._device)
        too_short = UnmeasurableError(f"is too short for {self._model} ({len(samples_N) / RATE:.2f} s)")
        try:
            embedding_E = self._network(**inputs).embeddings[0].cpu().numpy()
        except RuntimeError as error:  # a convolution that reaches further than the frames that are left
            if "size" not in str(error):
                raise
            raise too_short from error
        if not np.isfinite(embedding_E).all():  # the deviation of a single frame
            raise too_short
        return _unit(embedding_E)


def load_encoder(name: str, *, device: str = "cpu") -> SpeakerEncoder:
    """``resemblyzer``, or a model of transformers by its folder or hub id."""
    return ResemblyzerEncoder(device=device) if name == RESEMBLYZER else XVectorEncoder(name, device=device)


class VoicePrints:
    """Embeddings of files, each computed once: many utterances are compared with the same prompt.

    Args:
        encoder: Speaker encoder.
    """

    def __init__(self, encoder: SpeakerEncoder):
        self.encoder = encoder
        self._found: dict[str, np.ndarray | UnmeasurableError] = {}

    def of(self, path: str) -> np.ndarray:
        """Unit vector of shape (E,); `UnmeasurableError` if there is no voice in the file."""
        if path not in self._found:
            try:
                self._found[path] = self.encoder.embed(read_speech(path))
            except UnmeasurableError as error:
                self._found[path] = UnmeasurableError(f"{path} {error}")
        found = self._found[path]
        if isinstance(found, UnmeasurableError):
            raise found
        return found


def measure_similarity(
    speech: Speech, voices: Mapping[str, Voices | str], prints: VoicePrints, *, prompted: bool
) -> list[Measurement]:
    """Cosines to the wanted and to another speaker, and the share of utterances that are nearer to the wanted one.

    Args:
        speech: Audio to measure.
        voices: From `voices.choose_voices`, for every utterance.
        prints: Of a speaker encoder; they keep what they have computed.
        prompted: Whether the wanted voices are prompts; stated in the settings.
    """
    from tqdm import tqdm

    encoder = prints.encoder
    settings = {**encoder.describe(), "own_speaker": "prompt" if prompted else "another utterance of the same speaker"}
    names = ("similarity", "similarity_to_other", "nearer_to_own")
    own, other, nearer = (Measurement(f"{encoder.family}_{name}", settings) for name in names)
    for utt_id, path in tqdm(speech.wavs.items(), desc="speaker similarity", unit="utt", disable=None):
        try:
            chosen = voices[utt_id]
            if isinstance(chosen, str):
                raise UnmeasurableError(f"{utt_id} {chosen}")
            voice_E = prints.of(path)
            to_own = float(voice_E @ prints.of(chosen.own))
            own.add(utt_id, to_own)
            if chosen.other is None:
                raise UnmeasurableError(f"{utt_id} has nobody to be told from: no other speaker is known")
            to_other = float(voice_E @ prints.of(chosen.other))
            other.add(utt_id, to_other)
            nearer.add(utt_id, to_own > to_other)
        except UnmeasurableError as error:
            for measurement in (own, other, nearer):
                if utt_id not in measurement.totals:
                    measurement.left_out[utt_id] = str(error)
    return [own, other, nearer]


def _unit(embedding_E: np.ndarray) -> np.ndarray:
    return embedding_E / max(float(np.linalg.norm(embedding_E)), 1e-12)
