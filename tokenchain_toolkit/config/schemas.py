"""Which dataclass a recipe's configuration file is read into: its name says so."""

from pathlib import Path
from typing import Any

from tokenchain_toolkit.config.asr import ASRConfig, ASRDecodingConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.grid import StudyConfig
from tokenchain_toolkit.config.s2a import S2AConfig, S2ADecodingConfig
from tokenchain_toolkit.config.t2s import T2SConfig, T2SSamplingConfig
from tokenchain_toolkit.config.text import BPEConfig
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.config.units import UnitsConfig

BY_NAME: dict[str, type[Any]] = {
    "tokenizer": TokenizerConfig,
    "units": UnitsConfig,
    "bpe": BPEConfig,
    "train_asr": ASRConfig,
    "train_t2s": T2SConfig,
    "train_s2a": S2AConfig,
    "decode_asr": ASRDecodingConfig,
    "decode_t2s": T2SSamplingConfig,
    "synthesize": S2ADecodingConfig,
}


def schema_of(path: Path) -> type[Any] | None:
    """The dataclass of ``conf/<name>.yaml``; None if no stage reads a file of that name."""
    if path.stem.startswith("chain_") or path.stem == "study_chain":
        return ChainConfig
    if path.stem.startswith("tokenizer_"):
        return TokenizerConfig
    return StudyConfig if path.stem.startswith("study") else BY_NAME.get(path.stem)
