"""From a command's arguments to a trained model folder, one function per stage."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch

from tokenchain_toolkit.config.asr import ASRConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.load import config_dict, save_config
from tokenchain_toolkit.config.s2a import S2AConfig
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.config.training import CommonConfig
from tokenchain_toolkit.data.corpus import load_corpus, write_skipped
from tokenchain_toolkit.data.dataset import TokenCorpus
from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.data.module import TokenDataModule
from tokenchain_toolkit.data.unpaired import ChainDataModule, split_paired
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.inference.model_folder import SavedModel, load_model, save_model
from tokenchain_toolkit.models.asr import TokenASR
from tokenchain_toolkit.tasks.asr import ASRTask
from tokenchain_toolkit.tasks.base import BaseTask
from tokenchain_toolkit.tasks.chain import ChainTask
from tokenchain_toolkit.tasks.epoch_evaluation import EpochEvaluation
from tokenchain_toolkit.tasks.fit import fit, take_part
from tokenchain_toolkit.tasks.judge import evaluation_inputs, load_judge
from tokenchain_toolkit.tasks.s2a import S2ATask
from tokenchain_toolkit.tasks.t2s import T2STask
from tokenchain_toolkit.tasks.training_sets import ChainSets, TrainingSets, load_sets, load_unpaired
from tokenchain_toolkit.text.bpe import TextTokenizer
from tokenchain_toolkit.tokenizers.tokenizer import load_tokenizer


def train_asr(config: ASRConfig, sets: TrainingSets, *, token_list: Path, folder: Path) -> None:
    """Train the recogniser and write its model folder."""
    text_tokenizer = TextTokenizer.load(token_list)
    train, valid = load_sets(sets, config, text_tokenizer=text_tokenizer, ctc_input_layer=config.model.input_layer)
    task = ASRTask(config, manifest=train.dump.manifest, vocab_size=text_tokenizer.vocab_size)
    paired, _ = split_paired(train, share=config.data.paired_share, seed=config.data.split_seed)
    data = _module(paired, valid, config)
    state = _fit(task, data, folder)
    saved = _saved(task, "asr", config_dict(config.model), text_tokenizer)
    _save(task, folder, saved, take_part(state, "asr."), token_list)


def train_t2s(config: T2SConfig, sets: TrainingSets, *, token_list: Path, folder: Path) -> None:
    """Train T2S and write its model folder."""
    text_tokenizer = TextTokenizer.load(token_list)
    train, valid = load_sets(sets, config, text_tokenizer=text_tokenizer)
    task = T2STask(config, manifest=train.dump.manifest, vocab_size=text_tokenizer.vocab_size)
    paired, _ = split_paired(train, share=config.data.paired_share, seed=config.data.split_seed)
    task.t2s.learn_durations(
        [paired.texts[index] for index in paired.usable],
        paired.dump.lengths[paired.usable],
        unit_sizes=text_tokenizer.unit_sizes,
    )
    data = _module(paired, valid, config)
    state = _fit(task, data, folder)
    saved = _saved(task, "t2s", config_dict(config.model), text_tokenizer)
    _save(task, folder, saved, take_part(state, "t2s."), token_list)


def train_s2a(config: S2AConfig, sets: TrainingSets, *, tokenizer: Path | None, folder: Path) -> None:
    """Train S2A and write its model folder.

    Args:
        config: The experiment.
        sets: Tokens with codes.
        tokenizer: Folder of the tokenizer, whose codebooks codes start from if they are to.
        folder: Where the model goes.

    Raises:
        ConfigError: Codes are to start from codebooks, and no tokenizer is named.
        TokenizerMismatchError: The tokens are another tokenizer's.
    """
    train, valid = load_sets(sets, config, with_codes=True)
    codebooks = None
    if config.model.start == "codebooks":
        if tokenizer is None:
            raise ConfigError("model.start=codebooks takes them from the codec; name its folder by --tokenizer")
        loaded = load_tokenizer(tokenizer)
        check_same_tokenizer(
            loaded.manifest,
            train.dump.manifest,
            our_name=str(tokenizer),
            their_name=str(sets.train[0].dump),
            parts=("semantic", "acoustic"),
        )
        codebooks = loaded.codebooks()
    task = S2ATask(config, manifest=train.dump.manifest, codebooks=codebooks)
    state = _fit(task, _module(train, valid, config), folder)
    _save(task, folder, _saved(task, "s2a", config_dict(config.model), None), take_part(state, "s2a."), None)


def chain_inputs(config: ChainConfig, asr_folder: Path, t2s_folder: Path) -> list[Path]:
    """Files that a chain experiment depends on besides its sets."""
    labels = [Path(config.unpaired.labels)] if config.unpaired.labels else []
    return [*evaluation_inputs(config.evaluation, asr_folder, t2s_folder), *labels]


def train_chain(config: ChainConfig, sets: ChainSets, *, asr_folder: Path, t2s_folder: Path, folder: Path) -> None:
    """Train ASR and T2S together from their pretrained folders; write ``asr`` and ``t2s`` model folders.

    Raises:
        DataError: The two models have different text units, or speech or text alone is asked for and there is none.
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
    train, valid = load_sets(sets, config, text_tokenizer=asr.text_tokenizer, ctc_input_layer=input_layer)
    check_same_tokenizer(
        asr.manifest, train.dump.manifest, our_name=str(asr_folder), their_name=str(sets.train[0].dump)
    )
    paired, rest = split_paired(train, share=config.data.paired_share, seed=config.data.split_seed)
    unpaired = load_unpaired(config, sets, rest, text_tokenizer=asr.text_tokenizer, input_layer=input_layer)
    models = {"asr": asr.module, "t2s": t2s.module}
    task = ChainTask(config, manifest=asr.manifest, label_error=unpaired.label_error, **models)  # type: ignore[arg-type]
    data = ChainDataModule(paired, valid, unpaired=unpaired, data=config.data, training=config.training)
    evaluation = [_evaluation(config, sets, asr, folder)] if sets.evaluate else []
    with tempfile.TemporaryDirectory() as kept:  # the models may be trained anew meanwhile
        token_lists = {kind: Path(kept) / kind for kind in models}
        for kind, source in (("asr", asr_folder), ("t2s", t2s_folder)):
            shutil.copytree(source / "token_list", token_lists[kind])
        state = _fit(task, data, folder, callbacks=evaluation)
        for kind, model in (("asr", asr), ("t2s", t2s)):
            saved = _saved(task, kind, model.model_config, model.text_tokenizer)
            _save(task, folder / kind, saved, take_part(state, f"chain.{kind}."), token_lists[kind])


def _module(train: TokenCorpus, valid: TokenCorpus, config: CommonConfig) -> TokenDataModule:
    """Batches of the two corpora."""
    return TokenDataModule(train, valid, data=config.data, training=config.training)


def _evaluation(config: ChainConfig, sets: ChainSets, asr: SavedModel, folder: Path) -> EpochEvaluation:
    """Recognition of whole sets after every epoch; what T2S speaks is read by the judge."""
    assert asr.text_tokenizer is not None and isinstance(asr.module, TokenASR)
    corpora = {
        name: load_corpus(folders.dump, folders.data, text_tokenizer=asr.text_tokenizer)
        for name, folders in sets.evaluate.items()
    }
    return EpochEvaluation(
        folder,
        corpora,
        references={name: read_table(folders.data / "text") for name, folders in sets.evaluate.items()},
        judge=load_judge(config.evaluation, asr),
        text_tokenizer=asr.text_tokenizer,
        config=config.evaluation,
    )


def _fit(
    task: BaseTask, data: TokenDataModule, folder: Path, *, callbacks: Sequence[lightning.Callback] = ()
) -> dict[str, Any]:
    """Write the experiment's configuration and the list of skipped utterances, and train."""
    save_config(task.config, folder / "config.yaml")
    write_skipped(folder / "skipped.tsv", data.corpora)
    return fit(task, data, folder=folder, callbacks=callbacks)


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
