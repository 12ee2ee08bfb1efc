"""A recipe's settings, and the numbers of tokens that follow from them or from tokens that are there."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from tokenchain_toolkit.config.asr import ASRConfig, ASRDecodingConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.s2a import S2AConfig, S2ADecodingConfig
from tokenchain_toolkit.config.t2s import T2SConfig, T2SSamplingConfig
from tokenchain_toolkit.config.text import BPEConfig
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.data.manifest import read_manifest
from tokenchain_toolkit.data.token_dump import MANIFEST
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.planning.recipe_run import RecipeRun
from tokenchain_toolkit.tokenizers.codec import SPECTRAL_RVQ

PRETRAINED_CODEBOOK = 1024  # entries of each codebook of EnCodec, DAC and SpeechTokenizer; Mimi has 2048
# Frames per second of EnCodec at 24 kHz, DAC at 44.1 kHz, Mimi and SpeechTokenizer.
PRETRAINED_RATES = {"encodec": 75.0, "dac": 44100 / 512, "mimi": 12.5, "speechtokenizer": 50.0}
CHARACTERS = 40  # text units of a character list, about
Config = TypeVar("Config")


@dataclass(frozen=True)
class Settings:
    """The configurations of a recipe's stages; S2A's is None where the tokenizer has no codec."""

    tokenizer: TokenizerConfig
    bpe: BPEConfig
    asr: ASRConfig
    t2s: T2SConfig
    chains: dict[str, ChainConfig]
    s2a: S2AConfig | None
    search: ASRDecodingConfig
    drawing: T2SSamplingConfig
    synthesis: S2ADecodingConfig


@dataclass(frozen=True)
class TokenSizes:
    """How many tokens of each kind a model has to know.

    Attributes:
        num_semantic: Semantic clusters.
        vocab_size: Text units.
        num_quantizers: Acoustic quantizers.
        codebook_size: Codes of each.
        frame_rate: Semantic frames per second.
        acoustic_rate: Frames of codes per second, those that S2A works on.
        frames_per_unit: Semantic frames of a text unit, on average.
    """

    num_semantic: int = 1024
    vocab_size: int = 5000
    num_quantizers: int = 7
    codebook_size: int = PRETRAINED_CODEBOOK
    frame_rate: float = 50.0
    acoustic_rate: float = 50.0
    frames_per_unit: float = 10.0

    def of_codes(self, frames: np.ndarray) -> np.ndarray:
        """Frames of the codes that last as long as so many semantic ones."""
        return np.round(frames * (self.acoustic_rate / self.frame_rate)).astype(np.int64)


def load_settings(run: RecipeRun) -> Settings:
    """Every configuration that the stages read; those of models that another recipe trains are read there.

    Args:
        run: The recipe's commands. Chains are named as their folders are, such as ``chain_baseline``.

    Raises:
        ConfigError: One is missing, or has a key that does not exist or a value that cannot be.
    """
    tokenizer = _load(run, "learn_tokenizer", TokenizerConfig)
    chains = {Path(command.one("out") or "").name: command for command in run.named("train_chain")}
    return Settings(
        tokenizer=tokenizer,
        bpe=_load(run, "train_bpe", BPEConfig),
        asr=_load(run, "train_asr", ASRConfig),
        t2s=_load(run, "train_t2s", T2SConfig),
        chains={
            name: load_config(ChainConfig, run.root / (command.one("config") or "")) for name, command in chains.items()
        },
        s2a=_load(run, "train_s2a", S2AConfig) if tokenizer.codec.enabled else None,
        search=_load(run, "decode_asr", ASRDecodingConfig),
        drawing=_load(run, "decode_t2s", T2SSamplingConfig),
        synthesis=_load(run, "synthesize", S2ADecodingConfig),
    )


def _load(run: RecipeRun, name: str, schema: type[Config]) -> Config:
    """The configuration of the commands of a name."""
    path = run.path(name, "config")
    if path is None:
        raise ConfigError(f"./run.sh --dry_run shows no {name} with a --config, here or in the recipe it goes on from")
    return load_config(schema, path)


def expected_sizes(settings: Settings, dump: Path | None, frames_per_unit: float | None) -> TokenSizes:
    """Sizes as the dump's manifest tells them, or before there is one, as the settings do.

    Args:
        settings: Of the recipe.
        dump: A token dump, if there is one.
        frames_per_unit: As measured of the training set; None where nothing is known of it.
    """
    tokenizer, codec = settings.tokenizer, settings.tokenizer.codec
    codebook_size = codec.codebook_size if codec.kind == SPECTRAL_RVQ else PRETRAINED_CODEBOOK
    first_is_semantic = tokenizer.semantic.kind == "codec"
    own_rate = tokenizer.sample_rate / tokenizer.hop_length
    acoustic_rate = PRETRAINED_RATES.get(codec.kind, own_rate) if codec.enabled else own_rate
    sizes = TokenSizes(
        num_semantic=codebook_size if first_is_semantic else tokenizer.semantic.kmeans.num_clusters,
        vocab_size=CHARACTERS if settings.bpe.model_type == "char" else settings.bpe.vocab_size,
        num_quantizers=max(codec.num_quantizers - first_is_semantic, 1),
        codebook_size=codebook_size,
        frame_rate=acoustic_rate if first_is_semantic else own_rate,
        acoustic_rate=acoustic_rate,
    )
    found: dict[str, float] = {} if frames_per_unit is None else {"frames_per_unit": frames_per_unit}
    if dump is not None and (dump / MANIFEST).is_file():
        manifest = read_manifest(dump / MANIFEST)
        found |= {"num_semantic": manifest["semantic"]["num_clusters"]}
        found |= {"frame_rate": float(manifest["semantic"]["frame_rate"])}
        if manifest["acoustic"]:
            found |= {name: manifest["acoustic"][name] for name in ("num_quantizers", "codebook_size")}
            found |= {"acoustic_rate": float(manifest["acoustic"]["frame_rate"])}
    return TokenSizes(**{**vars(sizes), **found})  # type: ignore[arg-type]
