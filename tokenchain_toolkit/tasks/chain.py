"""Chain training, and the baseline that it is compared with: the same code without feedback."""

from typing import Any

import torch

from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.models.asr import TokenASR
from tokenchain_toolkit.models.batch import TokenBatch
from tokenchain_toolkit.models.chain import ChainModel, ChainOutput
from tokenchain_toolkit.models.chain_diagnostics import feedback_gradients, text_dependence
from tokenchain_toolkit.models.loss_balance import loss_weights, uncertainty_weighted
from tokenchain_toolkit.models.t2s import T2SModel
from tokenchain_toolkit.models.temperature import temperature_at
from tokenchain_toolkit.tasks.asr import greedy_ter
from tokenchain_toolkit.tasks.base import BaseTask

# The Gumbel noise has a stream of its own, so that the baseline and the chain see the same dropout and masks.
GUMBEL_STREAM = 500_009


class ChainTask(BaseTask):
    """Trains ASR and T2S together on paired data; L = lambda_1 L_ASR + lambda_2 L_rec.

    Args:
        config: The experiment.
        manifest: Tokenizer of the training tokens.
        asr: Pretrained recogniser.
        t2s: Pretrained T2S.
    """

    def __init__(self, config: ChainConfig, *, manifest: dict[str, Any], asr: TokenASR, t2s: T2SModel):
        super().__init__(config, manifest=manifest)
        self.chain = ChainModel(config.model, asr=asr, t2s=t2s)
        self.loss_history: list[list[float]] = []
        self.weights = loss_weights(config.model.balance, self.loss_history)
        self._sums = [0.0, 0.0]
        self.log_variances: torch.nn.Parameter | None = None
        if config.model.balance.kind == "uncertainty":
            self.log_variances = torch.nn.Parameter(torch.zeros(2))

    @property
    def temperature(self) -> float:
        """Tau now."""
        return temperature_at(self.config.model.temperature, self.progress)  # type: ignore[attr-defined]

    def on_train_epoch_start(self) -> None:
        """Weigh the losses by what the last two epochs were like."""
        super().on_train_epoch_start()
        self.weights = loss_weights(self.config.model.balance, self.loss_history)  # type: ignore[attr-defined]
        self._sums = [0.0, 0.0]

    def training_step(self, batch: TokenBatch, batch_idx: int) -> torch.Tensor:
        """Weighted loss of a batch."""
        seed = GUMBEL_STREAM + self.config.training.seed + self.global_step
        generator = torch.Generator(device=self.device).manual_seed(seed)
        output = self.chain(batch, temperature=self.temperature, generator=generator)
        loss = self._total(output)
        values = {**_values(output), "loss": loss, "temperature": self.temperature}
        values |= {"asr_weight": self.weights[0], "rec_weight": self.weights[1]}
        self.log_values("train", values, batch_size=len(batch))
        self._sums = [total + float(part.detach()) for total, part in zip(self._sums, _losses(output), strict=True)]
        return self.checked(loss, batch)

    def _total(self, output: ChainOutput) -> torch.Tensor:
        """The weighted loss."""
        if self.log_variances is not None:
            self.weights = (-self.log_variances.detach()).exp().tolist()
            loss = uncertainty_weighted(_losses(output), self.log_variances)
        else:
            loss = self.weights[0] * output.asr.loss + self.weights[1] * output.t2s.loss
        if output.supervised is None:
            return loss
        return loss + self.config.model.supervised_t2s * output.supervised.loss  # type: ignore[attr-defined]

    def on_train_epoch_end(self) -> None:
        """Remember the epoch's mean losses for dynamic weight averaging."""
        means = torch.tensor(self._sums, device=self.device) / self.trainer.num_training_batches
        if self.trainer.world_size > 1:
            means = self.trainer.strategy.reduce(means, reduce_op="mean")
        self.loss_history.append(means.tolist())

    def validation_step(self, batch: TokenBatch, batch_idx: int) -> None:
        """Both losses without noise, the greedy CTC path's token error rate, and what there is to feed back."""
        output = self.chain(batch, temperature=self.temperature)
        ter = greedy_ter(self.chain.asr, batch, output.asr.memory_BSD, output.asr.memory_lengths_B)
        values = {**_values(output), "loss": output.asr.loss + output.t2s.loss, "ctc_ter": ter}
        recognised_BL = output.asr.logits_BLV[:, :-1].argmax(-1)
        generator = torch.Generator(device=self.device).manual_seed(batch_idx)
        values |= text_dependence(self.chain, batch, recognised_BL, generator=generator)
        self.log_values("valid", values, batch_size=len(batch))
        if batch_idx == 0 and self.config.model.feedback != "none":  # type: ignore[attr-defined]
            gradients = feedback_gradients(self.chain, batch, temperature=self.temperature)
            self.log_values("valid", {**gradients}, batch_size=len(batch))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what dynamic weight averaging has seen."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["loss_history"] = self.loss_history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with what dynamic weight averaging has seen."""
        self.loss_history = checkpoint["loss_history"]


def _losses(output: ChainOutput) -> tuple[torch.Tensor, torch.Tensor]:
    """L_ASR and L_rec."""
    return output.asr.loss, output.t2s.loss


def _values(output: ChainOutput) -> dict[str, torch.Tensor | float]:
    """What is logged of a batch, for training and validation alike."""
    return {
        "asr_loss": output.asr.loss,
        "rec_loss": output.t2s.loss,
        "accuracy": output.asr.accuracy,
        "t2s_accuracy": output.t2s.accuracy,
        "interface_entropy": output.interface_entropy,
        "interface_accuracy": output.interface_accuracy,
    }
