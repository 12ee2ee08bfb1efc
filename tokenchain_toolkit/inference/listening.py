"""An ASR that reads what T2S has drawn, so that what it misreads can be drawn again: listening while speaking."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.inference.asr_beam_search import BeamSearch
from tokenchain_toolkit.inference.model_folder import SavedModel, load_model
from tokenchain_toolkit.models.asr import TokenASR

# Semantic tokens of some utterances, and the text ids of each -> share of each text's characters that is misread.
Listener = Callable[[Sequence[torch.Tensor], Sequence[Sequence[int]]], list[float]]


def load_listener(
    folder: Path | None, t2s: SavedModel, config: T2SSamplingConfig, *, t2s_name: str, device: str
) -> Listener | None:
    """The listener that the sampling of a T2S asks for; None if it asks for none.

    Args:
        folder: ASR model folder.
        t2s: Whose tokens it is to read.
        config: Asks for one if ``most_misread`` is below 1.
        t2s_name: Of the T2S, for messages.
        device: Torch device.

    Raises:
        ConfigError: There is no ASR, and the sampling asks for one.
        TokenizerMismatchError: It was trained on tokens of another tokenizer.
    """
    if config.most_misread >= 1:
        return None
    if folder is None:
        raise ConfigError(
            f"most_misread={config.most_misread} needs an ASR that listens: name its folder with --listener, or set it "
            "to 1, which does without"
        )
    asr = load_model(folder, kind="asr")
    check_same_tokenizer(asr.manifest, t2s.manifest, our_name=str(folder), their_name=t2s_name)
    assert isinstance(asr.module, TokenASR)
    assert asr.text_tokenizer is not None and t2s.text_tokenizer is not None
    search = BeamSearch(asr.module.to(device), ASRDecodingConfig())
    read, said = asr.text_tokenizer.decode, t2s.text_tokenizer.decode

    def misread(drawn: Sequence[torch.Tensor], texts: Sequence[Sequence[int]]) -> list[float]:
        heard = search.recognise([semantic_T.cpu().numpy().astype(np.int64) for semantic_T in drawn])
        return [_share_misread(read(ids), said(text)) for ids, text in zip(heard, texts, strict=True)]

    return misread


def _share_misread(heard: str, text: str) -> float:
    """Character errors over the characters of the text, at most 1."""
    from rapidfuzz.distance import Levenshtein

    return min(Levenshtein.distance(heard, text) / max(len(text), 1), 1.0)
