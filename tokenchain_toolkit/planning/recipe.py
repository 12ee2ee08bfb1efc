"""A recipe as its folder shows it: settings, sets, tokens and text units, as far as they are there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.config.asr import ASRConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.s2a import S2AConfig
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.config.text import BPEConfig
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.data.manifest import read_manifest
from tokenchain_toolkit.data.token_dump import MANIFEST
from tokenchain_toolkit.errors import ConfigError

PRETRAINED_CODEBOOK = 1024  # entries of each codebook of EnCodec, DAC and SpeechTokenizer; Mimi has 2048
CHARACTERS = 40  # text units of a character list, about


@dataclass(frozen=True)
class Settings:
    """The configurations of a recipe's stages; S2A's is None where the tokenizer has no codec."""

    tokenizer: TokenizerConfig
    bpe: BPEConfig
    asr: ASRConfig
    t2s: T2SConfig
    chains: dict[str, ChainConfig]
    s2a: S2AConfig | None
    has_units: bool


@dataclass(frozen=True)
class TokenSizes:
    """How many tokens of each kind a model has to know.

    Attributes:
        num_semantic: Semantic clusters.
        vocab_size: Text units.
        num_quantizers: Acoustic quantizers.
        codebook_size: Codes of each.
        frame_rate: Semantic frames per second.
        frames_per_unit: Semantic frames of a text unit, on average.
    """

    num_semantic: int = 1024
    vocab_size: int = 5000
    num_quantizers: int = 7
    codebook_size: int = PRETRAINED_CODEBOOK
    frame_rate: float = 50.0
    frames_per_unit: float = 10.0


def load_settings(conf: Path, chains: Sequence[str]) -> Settings:
    """Every configuration that the stages of the recipe read.

    Args:
        conf: Folder of the configurations.
        chains: Names of the chain experiments, each ``chain_<name>.yaml``.

    Raises:
        ConfigError: One is missing, or has a key that does not exist or a value that cannot be.
    """
    if not conf.is_dir():
        raise ConfigError(f"{conf} is no folder; run this in a recipe's folder, egs2/*/tokenchain1, or give --conf")
    tokenizer = load_config(TokenizerConfig, conf / "tokenizer.yaml")
    return Settings(
        tokenizer=tokenizer,
        bpe=load_config(BPEConfig, conf / "bpe.yaml"),
        asr=load_config(ASRConfig, conf / "train_asr.yaml"),
        t2s=load_config(T2SConfig, conf / "train_t2s.yaml"),
        chains={name: load_config(ChainConfig, conf / f"chain_{name}.yaml") for name in chains},
        s2a=load_config(S2AConfig, conf / "train_s2a.yaml") if tokenizer.codec.enabled else None,
        has_units=(conf / "units.yaml").is_file(),
    )


def expected_sizes(settings: Settings, dump: Path | None, frames_per_unit: float | None) -> TokenSizes:
    """Sizes as the dump's manifest tells them, or before there is one, as the settings do.

    Args:
        settings: Of the recipe.
        dump: A token dump, if there is one.
        frames_per_unit: As measured of the training set; None where nothing is known of it.
    """
    tokenizer, codec = settings.tokenizer, settings.tokenizer.codec
    is_learned = codec.kind == "spectral_rvq"
    first_is_semantic = tokenizer.semantic.kind == "codec"
    sizes = TokenSizes(
        num_semantic=PRETRAINED_CODEBOOK if first_is_semantic else tokenizer.semantic.kmeans.num_clusters,
        vocab_size=CHARACTERS if settings.bpe.model_type == "char" else settings.bpe.vocab_size,
        num_quantizers=max(codec.num_quantizers - first_is_semantic, 1),
        codebook_size=codec.codebook_size if is_learned else PRETRAINED_CODEBOOK,
        frame_rate=tokenizer.sample_rate / tokenizer.hop_length,
    )
    found: dict[str, float] = {} if frames_per_unit is None else {"frames_per_unit": frames_per_unit}
    if dump is not None and (dump / MANIFEST).is_file():
        manifest = read_manifest(dump / MANIFEST)
        found |= {"num_semantic": manifest["semantic"]["num_clusters"]}
        found |= {"frame_rate": float(manifest["semantic"]["frame_rate"])}
        if manifest["acoustic"]:
            found |= {name: manifest["acoustic"][name] for name in ("num_quantizers", "codebook_size")}
    return TokenSizes(**{**vars(sizes), **found})  # type: ignore[arg-type]
