"""Settings of a study: pretrained pairs of ASR and T2S, and grids of chain experiments that start from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from tokenchain_toolkit.config.load import merge_into
from tokenchain_toolkit.errors import ConfigError

# Lists the finished runs of a study, in its folder.
RUNS = "runs.json"


@dataclass
class ModelSettings:
    """How one model of a pair is trained: a YAML file and ``key=value`` settings that win over it."""

    config: str = MISSING
    overrides: list[str] = field(default_factory=list)


@dataclass
class PairSettings:
    """A pretrained ASR and T2S: trained once for all runs that name it, or finished models.

    Attributes:
        train_sets: Names of the training sets: ``data/<set>`` and ``dump/<tokenizer>/<set>``.
        valid_set: Name of the validation set.
        asr: How the ASR is trained.
        t2s: How T2S is trained; left out of what no run starts from, such as a judge.
        folder: Instead of these four, a folder with the finished models ``asr`` and ``t2s``.
        tokenizer: Name of the tokenizer.
        token_list: Name of the token list in ``data/token_list``, if it is not the tokenizer's.
        decode: Sets that the ASR reads, so that its text can serve as labels.
        decode_config: How it reads them.
    """

    train_sets: list[str] = field(default_factory=list)
    valid_set: str | None = None
    asr: ModelSettings | None = None
    t2s: ModelSettings | None = None
    folder: str | None = None
    tokenizer: str = "mfcc"
    token_list: str | None = None
    decode: list[str] = field(default_factory=list)
    decode_config: str = "conf/decode_asr.yaml"

    def __post_init__(self) -> None:
        """Check that it is said either how the pair is trained or where it is."""
        given = [name for name in ("train_sets", "valid_set", "asr", "t2s") if getattr(self, name)]
        if self.folder and given:
            raise ConfigError(f"a pair of models has a folder, so it is finished; leave out {', '.join(given)}")
        if not self.folder and not {"train_sets", "valid_set", "asr"} <= set(given):
            raise ConfigError(
                "a pair of models needs train_sets, valid_set, asr and t2s, or the folder of finished models; it has "
                f"{', '.join(given) or 'none of them'}"
            )


@dataclass
class RunSettings:
    """One chain experiment.

    Attributes:
        models: Name of the pretrained pair.
        config: YAML file of the chain.
        train_sets: Names of the paired sets.
        valid_set: Name of the validation set.
        test_sets: Sets that are recognised before training and after every epoch.
        target_sets: Those of them that are of a domain which the pair was not trained on; then the runs adapt, and the
            others say what they forget. Empty if all are of the pair's own domain.
        speech_sets: Sets used as speech without text.
        text_sets: Sets used as text without speech.
        tokenizer: That of the pair.
        overrides: ``key=value`` settings that win over the YAML file; ``{models}`` in them is the pair's folder,
            ``{study}`` that of the study.
    """

    models: str = MISSING
    config: str = MISSING
    train_sets: list[str] = MISSING
    valid_set: str = MISSING
    test_sets: list[str] = MISSING
    target_sets: list[str] = field(default_factory=list)
    speech_sets: list[str] = field(default_factory=list)
    text_sets: list[str] = field(default_factory=list)
    tokenizer: str = "mfcc"
    overrides: list[str] = field(default_factory=list)


@dataclass
class GridSettings:
    """Runs along several axes, each label of one with each label of the others.

    Attributes:
        settings: Fields of ``RunSettings`` that all runs share.
        axes: Axis -> label -> fields of ``RunSettings`` that this label changes; its ``overrides`` are added to those
            before, its other fields replace them. The axis ``seed`` is a list of numbers, each ``training.seed``.
        baseline: Axis -> label of the runs that the others are compared with, those whose other labels are equal.
        leave_out: Axis -> label of the runs that are not carried out; any number of such combinations.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    leave_out: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class StudyConfig:
    """A study: its title in the report, the pretrained pairs and the grids, by name."""

    title: str = ""
    models: dict[str, PairSettings] = field(default_factory=dict)
    grids: dict[str, GridSettings] = field(default_factory=dict)


def patched(settings: Mapping[str, Any], patch: Mapping[str, Any] | None) -> dict[str, Any]:
    """Run settings that a label changes: its overrides are added, its other fields replace.

    Raises:
        ConfigError: The patch is not a mapping.
    """
    patch = {} if patch is None else patch
    if not isinstance(patch, Mapping):
        raise ConfigError(f"{patch!r} is not fields of a run with their values, such as {{overrides: [...]}}")
    both = [*(settings.get("overrides") or []), *(patch.get("overrides") or [])]
    return {**settings, **patch, "overrides": both}


def run_settings(values: Mapping[str, Any]) -> RunSettings:
    """Typed settings of one run.

    Raises:
        ConfigError: A field is unknown or missing, or its value has the wrong type.
    """
    return merge_into(RunSettings, dict(values))
