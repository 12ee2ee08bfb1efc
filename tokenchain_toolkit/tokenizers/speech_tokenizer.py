"""SpeechTokenizer (Zhang et al. 2024), the paper's tokenizer, from the package ``speechtokenizer``.

Its first codebook was taught by HuBERT and gives semantic tokens (``semantic.kind=codec``); the others are acoustic.
The package keeps codes as (Q, B, T); here they are (T, Q), as on disk. Shapes: N samples, T frames, Q quantizers.
"""

import json
from pathlib import Path
from typing import Any

import torch

from tokenchain_toolkit.errors import ConfigError, MissingDependencyError
from tokenchain_toolkit.tokenizers.neural_codecs import NeuralCodec

WEIGHTS = "SpeechTokenizer.pt"


class SpeechTokenizerCodec(NeuralCodec):
    """SpeechTokenizer from a local folder with ``config.json`` and ``SpeechTokenizer.pt``, as its authors publish it.

    Args:
        folder: Such as a download of ``speechtokenizer_hubert_avg`` of the hub's ``fnlp/SpeechTokenizer``.
        num_quantizers: Quantizers to use, the first ones.
        device: Torch device.

    Raises:
        MissingDependencyError: The package is not installed.
        ConfigError: A file is missing or damaged, or the model has fewer quantizers.
    """

    def __init__(self, folder: Path, *, num_quantizers: int, device: str = "cpu"):
        network = _load(folder).eval().to(device)
        super().__init__(
            network,
            kind="speechtokenizer",
            num_quantizers=num_quantizers,
            sample_rate=int(network.sample_rate),
            hop_length=int(network.downsample_rate),
            available=int(network.n_q),
            codebook_size=int(network.quantizer.bins),
        )

    def _codebook(self, level: int) -> torch.Tensor:
        return self.network.quantizer.vq.layers[level].codebook

    def _encode(self, samples_11N: torch.Tensor) -> torch.Tensor:
        return self.network.encode(samples_11N)[:, 0]

    def _decode(self, codes_QT: torch.Tensor) -> torch.Tensor:
        return self.network.decode(codes_QT[:, None])[0, 0]


def _load(folder: Path) -> Any:
    """The package's model. Not by its own loader, which would also read pickles."""
    try:
        from speechtokenizer.model import SpeechTokenizer
    except ImportError as error:
        raise MissingDependencyError(
            f"codec.kind=speechtokenizer needs the package speechtokenizer ({error}); install it by "
            "'tools/install.sh .venv dev codecs'"
        ) from error
    try:
        network = SpeechTokenizer(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        network.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"codec.model={folder}: cannot be loaded ({first}); name a folder with config.json and {WEIGHTS}, such as "
            "speechtokenizer_hubert_avg of the hub's fnlp/SpeechTokenizer"
        ) from error
    return network
