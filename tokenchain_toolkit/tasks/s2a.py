"""Training of S2A."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tokenchain_toolkit.config.s2a import S2AConfig
from tokenchain_toolkit.data.frame_rates import FrameRates
from tokenchain_toolkit.models.batch import TokenBatch, join_prompt
from tokenchain_toolkit.models.s2a import S2AModel, S2AOutput
from tokenchain_toolkit.tasks.base import BaseTask


class S2ATask(BaseTask):
    """Trains ``S2AModel`` on aligned semantic tokens and acoustic codes.

    Args:
        config: The experiment.
        manifest: Tokenizer of the training tokens; must have an acoustic part.
        codebooks: Entries (K, E) of each quantizer, if the codes start from them.
    """

    def __init__(self, config: S2AConfig, *, manifest: dict[str, Any], codebooks: Sequence[np.ndarray] | None = None):
        super().__init__(config, manifest=manifest)
        self.s2a = S2AModel(
            config.model,
            num_semantic=manifest["semantic"]["num_clusters"],
            num_quantizers=manifest["acoustic"]["num_quantizers"],
            codebook_size=manifest["acoustic"]["codebook_size"],
            tokens_per_frame=FrameRates.of(manifest).tokens_per_frame,
        )
        if codebooks is not None:
            self.s2a.start_from(codebooks)

    def training_step(self, batch: TokenBatch, batch_idx: int) -> torch.Tensor:
        """Masked cross-entropy of a batch."""
        del batch_idx
        return self.checked(self._log("train", self._forward(batch, generator=None), batch), batch)

    def validation_step(self, batch: TokenBatch, batch_idx: int) -> None:
        """Masked cross-entropy with the same masks every epoch."""
        generator = torch.Generator(device=self.device).manual_seed(batch_idx)
        self._log("valid", self._forward(batch, generator=generator), batch)

    def _forward(self, batch: TokenBatch, *, generator: torch.Generator | None) -> S2AOutput:
        """S2A on the prompt followed by the target."""
        semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
        return self.s2a.compute_loss(semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B, generator=generator)

    def _log(self, prefix: str, output: S2AOutput, batch: TokenBatch) -> torch.Tensor:
        """Log means over the masked positions of all devices; gives the loss with the weight that this one has.

        Passes after each other count alike, however many positions are masked in each.
        """
        num_masked = self.sum_over_devices(output.num_masked).clamp_min(1)
        weight = self.trainer.world_size * output.num_masked / num_masked
        values: dict[str, torch.Tensor | float] = {"loss": weight * output.loss, "accuracy": weight * output.accuracy}
        self.log_values(prefix, values, batch_size=batch.size.num_utts)
        return weight * output.loss
