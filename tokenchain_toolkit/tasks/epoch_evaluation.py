"""Evaluation of a chain before training and after every epoch: one file for each, with the errors of each utterance."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import nn

from tokenchain_toolkit.config.evaluation import EvaluationConfig
from tokenchain_toolkit.data.dataset import TokenCorpus
from tokenchain_toolkit.files import write_text
from tokenchain_toolkit.inference.evaluation import error_share, evaluate
from tokenchain_toolkit.models.asr import TokenASR
from tokenchain_toolkit.tasks.chain import ChainTask
from tokenchain_toolkit.text.bpe import TextTokenizer

LOG = logging.getLogger(__name__)


class EpochEvaluation(lightning.Callback):
    """Evaluates the recogniser and T2S of a ``ChainTask``; training goes on as if it had not.

    Args:
        folder: The experiment; gets ``evaluation/epoch000.json``, unless it is there, and one file for each epoch.
        sets: Name -> tokens and text ids of an evaluation set.
        references: Name -> utt_id -> transcript.
        judge: Recogniser in a module of its own, which stays as it is; it reads what T2S says.
        text_tokenizer: Of all models.
        config: Heads, searches, and how many utterances.
    """

    def __init__(
        self,
        folder: Path,
        sets: Mapping[str, TokenCorpus],
        *,
        references: Mapping[str, Mapping[str, str]],
        judge: TokenASR,
        text_tokenizer: TextTokenizer,
        config: EvaluationConfig,
    ):
        self.folder, self.sets, self.references = folder, sets, references
        self.judge, self.text_tokenizer, self.config = judge.eval(), text_tokenizer, config

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Measure the models as they were pretrained."""
        if trainer.current_epoch == 0 and not evaluation_file(self.folder, 0).is_file():
            self._evaluate(trainer, pl_module, epoch=0)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Measure the models as the epoch leaves them; Lightning saves checkpoints after this."""
        self._evaluate(trainer, pl_module, epoch=trainer.current_epoch + 1)

    def _evaluate(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *, epoch: int) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ChainTask)
        chain = pl_module.chain
        with _set_aside(chain):
            found = evaluate(
                chain.asr,
                chain.t2s,
                judge=self.judge.to(pl_module.device),
                sets=self.sets,
                references=self.references,
                text_tokenizer=self.text_tokenizer,
                config=self.config,
            )
        write_evaluation(self.folder, epoch=epoch, sets=found)
        LOG.info("%s epoch %d  %s", self.folder.name, epoch, describe(found))


def evaluation_file(folder: Path, epoch: int) -> Path:
    """Where an experiment keeps the evaluation after an epoch; epoch 0 is before training."""
    return folder / "evaluation" / f"epoch{epoch:03d}.json"


def write_evaluation(folder: Path, *, epoch: int, sets: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what ``evaluate`` has found, on one line: there are as many such files as runs have epochs."""
    text = json.dumps({"epoch": epoch, "sets": sets}, sort_keys=True, ensure_ascii=False)
    write_text(evaluation_file(folder, epoch), text + "\n")


def describe(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """The word error rates in one line."""
    shown = []
    for name, entry in sets.items():
        heads = {head: counts for head, counts in entry.items() if isinstance(counts, Mapping)}
        shown.append(f"{name} WER " + ", ".join(f"{head} {100 * error_share(heads[head]):.1f} %" for head in heads))
    return "; ".join(shown)


@contextmanager
def _set_aside(chain: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards every module's own mode and the random state are what they were."""
    modes = {module: module.training for module in chain.modules()}
    device = next(chain.parameters()).device
    chain.eval()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        for module, training in modes.items():
            module.training = training
