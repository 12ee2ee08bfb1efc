"""From a command's arguments to a trained model folder, one function per stage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tokenchain_toolkit.config.asr import ASRConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.load import config_dict, save_config
from tokenchain_toolkit.config.s2a import S2AConfig
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.config.training import CommonConfig
from tokenchain_toolkit.data.corpus import load_corpus, skip_unusable, write_skipped
from tokenchain_toolkit.data.dataset import TokenCorpus
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.data.module import TokenDataModule
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.inference.model_folder import SavedModel, load_model, save_model
from tokenchain_toolkit.models.asr import encoder_frames
from tokenchain_toolkit.tasks.asr import ASRTask
from tokenchain_toolkit.tasks.base import BaseTask
from tokenchain_toolkit.tasks.chain import ChainTask
from tokenchain_toolkit.tasks.fit import fit, take_part
from tokenchain_toolkit.tasks.s2a import S2ATask
from tokenchain_toolkit.tasks.t2s import T2STask
from tokenchain_toolkit.text.bpe import TextTokenizer


@dataclass(frozen=True)
class SetFolders:
    """One set: its Kaldi data directory and its token dump."""

    data: Path
    dump: Path

    def inputs(self) -> list[Path]:
        """Files that a training stage depends on."""
        tables = [self.data / name for name in ("wav.scp", "text", "utt2spk")]
        return [*tables, self.dump / ".done"]


@dataclass(frozen=True)
class TrainingSets:
    """Training and validation set."""

    train: SetFolders
    valid: SetFolders

    def inputs(self) -> list[Path]:
        """Files that a training stage depends on."""
        return self.train.inputs() + self.valid.inputs()


def train_asr(config: ASRConfig, sets: TrainingSets, *, token_list: Path, folder: Path) -> None:
    """Train the recogniser and write its model folder."""
    text_tokenizer = TextTokenizer.load(token_list)
    train, valid = _load(sets, config, text_tokenizer=text_tokenizer, ctc_input_layer=config.model.input_layer)
    task = ASRTask(config, manifest=train.dump.manifest, vocab_size=text_tokenizer.vocab_size)
    state = _fit(task, train, valid, folder)
    saved = _saved(task, "asr", config_dict(config.model), text_tokenizer)
    _save(task, folder, saved, take_part(state, "asr."), token_list)


def train_t2s(config: T2SConfig, sets: TrainingSets, *, token_list: Path, folder: Path) -> None:
    """Train T2S and write its model folder."""
    text_tokenizer = TextTokenizer.load(token_list)
    train, valid = _load(sets, config, text_tokenizer=text_tokenizer)
    task = T2STask(config, manifest=train.dump.manifest, vocab_size=text_tokenizer.vocab_size)
    state = _fit(task, train, valid, folder)
    saved = _saved(task, "t2s", config_dict(config.model), text_tokenizer)
    _save(task, folder, saved, take_part(state, "t2s."), token_list)


def train_s2a(config: S2AConfig, sets: TrainingSets, *, folder: Path) -> None:
    """Train S2A and write its model folder."""
    train, valid = _load(sets, config, with_codes=True)
    task = S2ATask(config, manifest=train.dump.manifest)
    state = _fit(task, train, valid, folder)
    _save(task, folder, _saved(task, "s2a", config_dict(config.model), None), take_part(state, "s2a."), None)


def train_chain(config: ChainConfig, sets: TrainingSets, *, asr_folder: Path, t2s_folder: Path, folder: Path) -> None:
    """Train ASR and T2S together from their pretrained folders; write ``asr`` and ``t2s`` model folders.

    Raises:
        DataError: The two models have different text units.
        TokenizerMismatchError: The two models and the tokens do not come from one tokenizer.
    """
    asr, t2s = load_model(asr_folder, kind="asr"), load_model(t2s_folder, kind="t2s")
    if (
        asr.text_tokenizer is None
        or t2s.text_tokenizer is None
        or asr.text_tokenizer.tokens != t2s.text_tokenizer.tokens
    ):
        raise DataError(f"{asr_folder} and {t2s_folder} have different text units; train both on one token list")
    check_same_tokenizer(asr.manifest, t2s.manifest, our_name=str(asr_folder), their_name=str(t2s_folder))
    input_layer = asr.model_config["input_layer"]
    train, valid = _load(sets, config, text_tokenizer=asr.text_tokenizer, ctc_input_layer=input_layer)
    check_same_tokenizer(asr.manifest, train.dump.manifest, our_name=str(asr_folder), their_name=str(sets.train.dump))
    task = ChainTask(config, manifest=asr.manifest, asr=asr.module, t2s=t2s.module)  # type: ignore[arg-type]
    state = _fit(task, train, valid, folder)
    for model, source, kind in ((asr, asr_folder, "asr"), (t2s, t2s_folder, "t2s")):
        saved = _saved(task, kind, model.model_config, model.text_tokenizer)
        _save(task, folder / kind, saved, take_part(state, f"chain.{kind}."), source / "token_list")


def _load(
    sets: TrainingSets,
    config: CommonConfig,
    *,
    text_tokenizer: TextTokenizer | None = None,
    ctc_input_layer: str | None = None,
    with_codes: bool = False,
) -> tuple[TokenCorpus, TokenCorpus]:
    """Training and validation corpus, checked to be of one tokenizer and cleared of what cannot be trained on."""
    frames = (lambda length: encoder_frames(length, ctc_input_layer)) if ctc_input_layer else None
    corpora = []
    for folders in (sets.train, sets.valid):
        corpus = load_corpus(folders.dump, folders.data, text_tokenizer=text_tokenizer, with_codes=with_codes)
        skip_unusable(corpus, max_frames=config.data.max_frames, encoder_frames=frames)
        corpora.append(corpus)
    train, valid = corpora
    parts = ("semantic", "acoustic") if with_codes else ("semantic",)
    check_same_tokenizer(
        train.dump.manifest,
        valid.dump.manifest,
        our_name=str(sets.train.dump),
        their_name=str(sets.valid.dump),
        parts=parts,
    )
    return train, valid


def _fit(task: BaseTask, train: TokenCorpus, valid: TokenCorpus, folder: Path) -> dict[str, Any]:
    """Write the experiment's configuration and the list of skipped utterances, and train."""
    save_config(task.config, folder / "config.yaml")
    write_skipped(folder / "skipped.tsv", [train, valid])
    data = TokenDataModule(train, valid, data=task.config.data, training=task.config.training)
    return fit(task, data, folder=folder)


def _saved(task: BaseTask, kind: str, model_config: dict[str, Any], text_tokenizer: TextTokenizer | None) -> SavedModel:
    """What is written beside the weights."""
    return SavedModel(
        module=task,
        kind=kind,
        manifest=task.manifest,
        model_config=model_config,
        epoch=task.config.training.max_epochs,
        text_tokenizer=text_tokenizer,
    )


def _save(
    task: BaseTask, folder: Path, saved: SavedModel, state: dict[str, torch.Tensor], token_list: Path | None
) -> None:
    """Write the model folder; of several processes, one does."""
    if task.trainer.is_global_zero:
        save_model(folder, saved, state, token_list=token_list)
