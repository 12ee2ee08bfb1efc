"""Supervised training of the discrete-token ASR."""

from typing import Any

import torch

from tokenchain_toolkit.config.asr import ASRConfig
from tokenchain_toolkit.models.asr import ASROutput, TokenASR
from tokenchain_toolkit.models.batch import TokenBatch
from tokenchain_toolkit.tasks.base import BaseTask


class ASRTask(BaseTask):
    """Trains ``TokenASR`` on paired semantic tokens and text.

    Args:
        config: The experiment.
        manifest: Tokenizer of the training tokens.
        vocab_size: Text units.
    """

    monitor = "valid/accuracy"
    monitor_mode = "max"

    def __init__(self, config: ASRConfig, *, manifest: dict[str, Any], vocab_size: int):
        super().__init__(config, manifest=manifest)
        self.asr = TokenASR(config.model, num_semantic=manifest["semantic"]["num_clusters"], vocab_size=vocab_size)

    def training_step(self, batch: TokenBatch, batch_idx: int) -> torch.Tensor:
        """L_ASR of a batch."""
        del batch_idx
        output = self._forward(batch)
        values = {"loss": output.loss, "ctc_loss": output.ctc_loss, "accuracy": output.accuracy}
        self.log_values("train", values, batch_size=batch.size.num_units)
        return self.checked(output.loss, batch)

    def validation_step(self, batch: TokenBatch, batch_idx: int) -> None:
        """Losses, teacher-forced accuracy, and the token error rate of the greedy CTC path."""
        del batch_idx
        output = self._forward(batch)
        values: dict[str, torch.Tensor | float] = {
            "loss": output.loss,
            "ctc_loss": output.ctc_loss,
            "accuracy": output.accuracy,
            "ctc_ter": greedy_ter(self.asr, batch, output.memory_BSD, output.memory_lengths_B),
        }
        self.log_values("valid", values, batch_size=batch.size.num_units)

    def _forward(self, batch: TokenBatch) -> ASROutput:
        """The recogniser on paired utterances."""
        return self.asr(
            batch.semantic_BT, batch.semantic_lengths_B, batch.text_BL, batch.text_lengths_B, size=batch.size
        )


def greedy_ter(asr: TokenASR, batch: TokenBatch, memory_BSD: torch.Tensor, memory_lengths_B: torch.Tensor) -> float:
    """Token error rate of the greedy CTC path of a batch."""
    import jiwer

    references = [row[:n].tolist() for row, n in zip(batch.text_BL, batch.text_lengths_B.tolist(), strict=True)]
    hypotheses = asr.ctc_greedy(memory_BSD, memory_lengths_B)
    rate = jiwer.wer([_as_words(ids) for ids in references], [_as_words(ids) for ids in hypotheses])
    return rate * sum(map(len, references)) / batch.size.units


def _as_words(ids: list[int]) -> str:
    """Ids as words, for a library that aligns words."""
    return " ".join(map(str, ids))
