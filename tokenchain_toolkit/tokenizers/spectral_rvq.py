"""Acoustic codec that is learned in minutes: residual k-means on log-mel frames, a small network and Griffin-Lim back.

Shapes: N samples, T frames, F frequency bins, M mel bands, Q quantizers, K codebook entries.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tokenchain_toolkit.config.tokenizer import HeadConfig, TokenizerConfig
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.features.framing import magnitude_spectrogram, mel_matrix
from tokenchain_toolkit.files import atomic_path
from tokenchain_toolkit.tokenizers.codec import HEAD, SPECTRAL_RVQ, check_codes
from tokenchain_toolkit.tokenizers.griffin_lim import griffin_lim, invert_mel
from tokenchain_toolkit.tokenizers.kmeans import Kmeans, learn_kmeans
from tokenchain_toolkit.tokenizers.spectral_head import SpectralHead


@dataclass(frozen=True)
class SpectralSettings:
    """What the codec's two directions depend on besides its codebooks; see ``CodecConfig`` for the meanings."""

    sample_rate: int
    hop_length: int
    num_mels: int
    n_fft: int
    floor: float
    griffin_lim_iterations: int
    griffin_lim_momentum: float


def spectral_settings(config: TokenizerConfig) -> SpectralSettings:
    """The codec's part of a tokenizer's configuration."""
    codec = config.codec
    return SpectralSettings(
        sample_rate=config.sample_rate,
        hop_length=config.hop_length,
        num_mels=codec.num_mels,
        n_fft=codec.n_fft,
        floor=codec.floor,
        griffin_lim_iterations=codec.griffin_lim_iterations,
        griffin_lim_momentum=codec.griffin_lim_momentum,
    )


class LogMel:
    """Log-mel frames of audio, and audio from log-mel frames.

    Args:
        settings: Analysis and synthesis.
        head: Network that gives finer magnitudes; without it, the mel bands are inverted.
    """

    def __init__(self, settings: SpectralSettings, head: SpectralHead | None = None):
        self.settings = settings
        self.head = head
        self._window_N = torch.hann_window(settings.n_fft)
        self._mel_FM = mel_matrix(n_fft=settings.n_fft, num_mels=settings.num_mels, sample_rate=settings.sample_rate)

    def analyse(self, samples_N: np.ndarray) -> np.ndarray:
        """Log-mel frames, float32 of shape (ceil(N / hop), M)."""
        magnitudes_TF = magnitude_spectrogram(
            torch.from_numpy(samples_N),
            hop_length=self.settings.hop_length,
            window_N=self._window_N,
            n_fft=self.settings.n_fft,
        )
        return (magnitudes_TF @ self._mel_FM).clamp(min=self.settings.floor).log().numpy()

    def synthesize(self, log_mel_TM: np.ndarray) -> np.ndarray:
        """Audio of T * hop samples, float32."""
        log_mel = torch.from_numpy(log_mel_TM)
        if self.head is None:
            window_N, hop_length = self._window_N, self.settings.hop_length
            magnitudes_TF = invert_mel(log_mel.exp(), self._mel_FM)
        else:
            window_N, hop_length = self.head.window_N, self.head.config.hop_length
            with torch.inference_mode():
                magnitudes_TF = self.head(log_mel[None])[0].exp()
        return griffin_lim(
            magnitudes_TF,
            window_N=window_N,
            hop_length=hop_length,
            iterations=self.settings.griffin_lim_iterations,
            momentum=self.settings.griffin_lim_momentum,
        ).numpy()


class SpectralRvq:
    """The codec.

    Args:
        codebooks_QKM: float32; entry 0 of the first axis quantizes the frames, each next one what the former left.
        settings: Analysis and synthesis.
        head: Network that decoding goes through; None inverts the mel bands.
    """

    def __init__(self, codebooks_QKM: np.ndarray, settings: SpectralSettings, head: SpectralHead | None = None):
        self.codebooks_QKM = codebooks_QKM
        self.settings = settings
        self.num_quantizers, self.codebook_size, _ = codebooks_QKM.shape
        self.sample_rate = settings.sample_rate
        self.frame_rate = settings.sample_rate / settings.hop_length
        self.log_mel = LogMel(settings, head)

    def describe(self) -> dict[str, Any]:
        """A hash of the codebooks; the settings lie in their file. The head is left out: no code depends on it."""
        return {"weights_sha256": hashlib.sha256(self._content()).hexdigest()}

    def codebooks(self) -> list[np.ndarray]:
        """The entries of each quantizer, float32 of shape (K, M)."""
        return list(self.codebooks_QKM)

    def encode(self, samples_N: np.ndarray) -> np.ndarray:
        """Codes of one utterance, int16 of shape (ceil(N / hop), Q)."""
        return self.quantize(self.log_mel.analyse(samples_N))

    def decode(self, codes: list[np.ndarray]) -> list[np.ndarray]:
        """Audio of utterances, each float32 of T * hop samples.

        Args:
            codes: Integers of shape (T, q) with 1 <= q <= Q; fewer quantizers give a rougher sound. Each utterance is
                decoded alone, so the result does not depend on its neighbours.

        Raises:
            DataError: A code lies outside the codebook, or an array has another shape.
        """
        return [self.log_mel.synthesize(self.dequantize(codes_TQ)) for codes_TQ in codes]

    def quantize(self, log_mel_TM: np.ndarray) -> np.ndarray:
        """Codes of log-mel frames, int16 of shape (T, Q)."""
        residual_TM = log_mel_TM.copy()
        codes_TQ = np.empty((len(log_mel_TM), self.num_quantizers), np.int16)
        for level, codebook_KM in enumerate(self.codebooks_QKM):
            codes_TQ[:, level] = Kmeans(codebook_KM).assign(residual_TM)
            residual_TM -= codebook_KM[codes_TQ[:, level]]
        return codes_TQ

    def dequantize(self, codes_TQ: np.ndarray) -> np.ndarray:
        """Log-mel frames of codes, float32 of shape (T, M)."""
        check_codes(codes_TQ, num_quantizers=self.num_quantizers, codebook_size=self.codebook_size)
        levels = np.arange(codes_TQ.shape[1])
        return self.codebooks_QKM[levels, codes_TQ].sum(axis=1, dtype=np.float32)

    def distortions(self, log_mel_NM: np.ndarray) -> list[float]:
        """Root mean square error in dB of log-mel frames rebuilt from the first 1, 2, ... Q quantizers."""
        codes_NQ = self.quantize(log_mel_NM)
        decibels = 20.0 / np.log(10.0)
        return [
            float(decibels * np.sqrt(np.square(log_mel_NM - self.dequantize(codes_NQ[:, :used])).mean()))
            for used in range(1, self.num_quantizers + 1)
        ]

    def save(self, path: Path) -> None:
        """Write ``codec.safetensors``: the codebooks, and the settings in its header."""
        with atomic_path(path) as temporary:
            temporary.write_bytes(self._content())

    def _content(self) -> bytes:
        """Of ``codec.safetensors``."""
        from safetensors.numpy import save

        # One entry: several would come in another order, and so give another hash, each time.
        facts = json.dumps({"kind": SPECTRAL_RVQ, "settings": asdict(self.settings)}, sort_keys=True)
        return save({"codebooks": self.codebooks_QKM}, metadata={"codec": facts})


def load_spectral_rvq(path: Path, *, head: HeadConfig | None = None) -> SpectralRvq:
    """Read ``codec.safetensors`` and, beside it, ``codec_head.safetensors``.

    Args:
        path: The codebooks.
        head: Sizes of the head; None, or no steps, for a codec without one.

    Raises:
        DataError: It is missing, damaged or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise DataError(f"{path} is missing; name a folder that learn_tokenizer has written")
    try:
        with safe_open(path, framework="np") as archive:
            facts = json.loads((archive.metadata() or {}).get("codec", "{}"))
            if facts.get("kind") != SPECTRAL_RVQ:
                raise DataError(
                    f"{path}: a codec of kind {facts.get('kind')}, not {SPECTRAL_RVQ}; run learn_tokenizer again"
                )
            codebooks_QKM, settings = archive.get_tensor("codebooks"), SpectralSettings(**facts["settings"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); run learn_tokenizer again with --overwrite") from error
    network = _load_head(path.with_name(HEAD), head, settings) if head and head.steps else None
    return SpectralRvq(codebooks_QKM, settings, network)


def _load_head(path: Path, config: HeadConfig, settings: SpectralSettings) -> SpectralHead:
    """Read ``codec_head.safetensors``."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise DataError(f"{path} is missing; name a folder that learn_tokenizer has written")
    head = new_head(config, settings)
    try:
        head.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise DataError(f"{path} does not fit its configuration ({error}); run learn_tokenizer again") from error
    return head.eval()


def new_head(config: HeadConfig, settings: SpectralSettings) -> SpectralHead:
    """A head of random weights, the same for the same seed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(config.seed)
        mel_FM = mel_matrix(n_fft=settings.n_fft, num_mels=settings.num_mels, sample_rate=settings.sample_rate)
        return SpectralHead(config, mel_FM=mel_FM, hop_length=settings.hop_length)


def save_head(path: Path, head: SpectralHead) -> None:
    """Write ``codec_head.safetensors``."""
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in head.state_dict().items()}, temporary)


def learn_spectral_rvq(log_mel_NM: np.ndarray, config: TokenizerConfig) -> SpectralRvq:
    """Learn the codebooks level by level, each on the residual of the levels before it.

    Args:
        log_mel_NM: Frames from ``LogMel.analyse``, float32.
        config: Tokenizer configuration.

    Raises:
        DataError: There are fewer frames than codebook entries.
    """
    codec = config.codec
    residual_NM = log_mel_NM.copy()
    codebooks = []
    for level in range(codec.num_quantizers):
        sizes = {"num_clusters": codec.codebook_size, "seed": codec.seed + level, "iterations": codec.iterations}
        kmeans = learn_kmeans(residual_NM, **sizes).result()
        residual_NM -= kmeans.centroids_KD[kmeans.assign(residual_NM)]
        codebooks.append(kmeans.centroids_KD)
    return SpectralRvq(np.stack(codebooks), spectral_settings(config))
