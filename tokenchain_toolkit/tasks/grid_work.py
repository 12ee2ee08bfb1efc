"""The pieces of a study: pretrained models, what they read, how good they are, and the runs that start from them.

Each has a stamped folder of its own, as the stages of a recipe have, so that a rerun does only what is missing or stale
and goes on where it was killed.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenchain_toolkit.config.asr import ASRConfig, ASRDecodingConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.evaluation import EvaluationConfig
from tokenchain_toolkit.config.load import config_dict
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.config.training import what_is_trained
from tokenchain_toolkit.data.corpus import load_corpus
from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.data.shards import Workers
from tokenchain_toolkit.data.stamp import StageStamp, make_output
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.inference.evaluation import evaluate
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.inference.recognition import recognise_dump
from tokenchain_toolkit.models.asr import TokenASR
from tokenchain_toolkit.models.t2s import T2SModel
from tokenchain_toolkit.tasks.epoch_evaluation import evaluation_file, write_evaluation
from tokenchain_toolkit.tasks.experiment import chain_inputs, train_asr, train_chain, train_t2s
from tokenchain_toolkit.tasks.judge import evaluation_inputs, load_judge
from tokenchain_toolkit.tasks.training_sets import ChainSets, SetFolders, TrainingSets


@dataclass(frozen=True)
class Work(ABC):
    """One piece.

    Attributes:
        name: Unique within the study; its folder there.
        folder: Where its output goes.
        needs: Names of the pieces whose output it uses.
    """

    name: str
    folder: Path
    needs: tuple[str, ...]

    @abstractmethod
    def given(self) -> list[Path]:
        """Files it depends on that no piece of the study makes."""

    @abstractmethod
    def made(self) -> list[Path]:
        """Files it depends on that other pieces make."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Settings its output depends on."""

    @abstractmethod
    def perform(self) -> None:
        """Make the output, going on with what is there."""

    def is_done(self) -> bool:
        """Is the output there, and made from these inputs and settings?"""
        inputs = [*self.given(), *self.made()]
        if not all(path.is_file() for path in inputs):
            return False
        return StageStamp(self.folder, inputs=inputs, config=self.settings()).state() == "up_to_date"

    def carry_out(self, *, overwrite: bool) -> None:
        """Make the output unless it is up to date."""
        inputs = [*self.given(), *self.made()]
        make_output(self.folder, self.perform, inputs=inputs, config=self.settings(), overwrite=overwrite)


@dataclass(frozen=True)
class TrainModel(Work):
    """Trains the ASR or T2S of a pair; which of them, its configuration says."""

    config: ASRConfig | T2SConfig
    sets: TrainingSets
    token_list: Path

    def given(self) -> list[Path]:
        """The sets and the text units."""
        return [*self.sets.inputs(), self.token_list / "tokens.txt"]

    def made(self) -> list[Path]:
        """Nothing."""
        return []

    def settings(self) -> dict[str, Any]:
        """The experiment."""
        return what_is_trained(config_dict(self.config))

    def perform(self) -> None:
        """Train, and write the model folder."""
        if isinstance(self.config, ASRConfig):
            train_asr(self.config, self.sets, token_list=self.token_list, folder=self.folder)
        else:
            train_t2s(self.config, self.sets, token_list=self.token_list, folder=self.folder)


@dataclass(frozen=True)
class ReadSet(Work):
    """Recognises a set by the ASR of a pair."""

    model: Path
    dump: Path
    config: ASRDecodingConfig
    device: str

    def given(self) -> list[Path]:
        """The tokens."""
        return [self.dump / ".done"]

    def made(self) -> list[Path]:
        """The recogniser."""
        return [self.model / "model.safetensors"]

    def settings(self) -> dict[str, Any]:
        """Those of the search."""
        return config_dict(self.config)

    def perform(self) -> None:
        """Write ``text``."""
        recognise_dump(self.model, self.dump, self.folder, config=self.config, workers=Workers(), device=self.device)


@dataclass(frozen=True)
class MeasurePair(Work):
    """Evaluates a pair as every run that starts from it would before its first epoch."""

    asr: Path
    t2s: Path
    sets: Mapping[str, SetFolders]
    config: EvaluationConfig
    device: str

    def given(self) -> list[Path]:
        """The sets."""
        return [path for folders in self.sets.values() for path in folders.inputs()]

    def made(self) -> list[Path]:
        """The models."""
        return evaluation_inputs(self.config, self.asr, self.t2s)

    def settings(self) -> dict[str, Any]:
        """Those of the evaluation."""
        return config_dict(self.config)

    def perform(self) -> None:
        """Write ``evaluation/epoch000.json``.

        Raises:
            TokenizerMismatchError: A set was made by another tokenizer than that of the models.
        """
        asr, t2s = load_model(self.asr, kind="asr"), load_model(self.t2s, kind="t2s")
        assert isinstance(asr.module, TokenASR) and isinstance(t2s.module, T2SModel) and asr.text_tokenizer is not None
        sets = {
            name: load_corpus(folders.dump, folders.data, text_tokenizer=asr.text_tokenizer)
            for name, folders in self.sets.items()
        }
        for name, corpus in sets.items():
            dump = str(self.sets[name].dump)
            check_same_tokenizer(asr.manifest, corpus.dump.manifest, our_name=str(self.asr), their_name=dump)
        recogniser = asr.module.to(self.device)
        found = evaluate(
            recogniser,
            t2s.module.to(self.device),
            judge=load_judge(self.config, asr).to(self.device),
            sets=sets,
            references={name: read_table(folders.data / "text") for name, folders in self.sets.items()},
            text_tokenizer=asr.text_tokenizer,
            config=self.config,
        )
        write_evaluation(self.folder, epoch=0, sets=found)


@dataclass(frozen=True)
class TrainChain(Work):
    """One run of a grid; ``before`` is the folder of its pair's ``MeasurePair``."""

    config: ChainConfig
    sets: ChainSets
    asr: Path
    t2s: Path
    before: Path

    def given(self) -> list[Path]:
        """The sets."""
        return self.sets.inputs()

    def made(self) -> list[Path]:
        """The models, and the labels of speech alone."""
        return chain_inputs(self.config, self.asr, self.t2s)

    def settings(self) -> dict[str, Any]:
        """The experiment."""
        return what_is_trained(config_dict(self.config))

    def perform(self) -> None:
        """Train the chain, with the evaluation before training as it was measured once for all runs."""
        write_evaluation(self.folder, epoch=0, sets=read_json(evaluation_file(self.before, 0))["sets"])
        train_chain(self.config, self.sets, asr_folder=self.asr, t2s_folder=self.t2s, folder=self.folder)
        # They are for going on after a kill, and those of a grid's many runs would fill a disk.
        shutil.rmtree(self.folder / "checkpoints")
