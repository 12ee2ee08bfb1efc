"""Supervised training of T2S."""

from typing import Any

import torch

from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.models.batch import TokenBatch
from tokenchain_toolkit.models.t2s import T2SModel, T2SOutput
from tokenchain_toolkit.tasks.base import BaseTask


class T2STask(BaseTask):
    """Trains ``T2SModel`` on paired text and semantic tokens.

    Args:
        config: The experiment.
        manifest: Tokenizer of the training tokens.
        vocab_size: Text units.
    """

    def __init__(self, config: T2SConfig, *, manifest: dict[str, Any], vocab_size: int):
        super().__init__(config, manifest=manifest)
        num_semantic = manifest["semantic"]["num_clusters"]
        self.t2s = T2SModel(config.model, vocab_size=vocab_size, num_semantic=num_semantic)

    def training_step(self, batch: TokenBatch, batch_idx: int) -> torch.Tensor:
        """Cross-entropy of a batch, of which ``text_dropout`` of the utterances are spoken without their text."""
        del batch_idx
        lengths_B = batch.text_lengths_B
        if self.t2s.config.text_dropout > 0:
            hidden_B = torch.rand(len(lengths_B), device=lengths_B.device) < self.t2s.config.text_dropout
            lengths_B = lengths_B.masked_fill(hidden_B, 0)
        output = self._forward(batch, lengths_B)
        self._log("train", output, batch)
        return self.checked(output.loss, batch)

    def validation_step(self, batch: TokenBatch, batch_idx: int) -> None:
        """Cross-entropy and accuracy given the true history."""
        del batch_idx
        self._log("valid", self._forward(batch, batch.text_lengths_B), batch)

    def _forward(self, batch: TokenBatch, text_lengths_B: torch.Tensor) -> T2SOutput:
        """T2S on the reference text, so much of it."""
        return self.t2s(
            self.t2s.read_ids(batch.text_BL, text_lengths_B),
            batch.semantic_BT,
            batch.semantic_lengths_B,
            prefix_BP=batch.prompt_BP,
            prefix_lengths_B=batch.prompt_lengths_B,
            size=batch.size,
        )

    def _log(self, prefix: str, output: T2SOutput, batch: TokenBatch) -> None:
        """Log means per frame."""
        values: dict[str, torch.Tensor | float] = {"loss": output.loss, "accuracy": output.accuracy}
        self.log_values(prefix, values, batch_size=batch.size.num_frames)
