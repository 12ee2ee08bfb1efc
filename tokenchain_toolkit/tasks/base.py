"""What the trainable tasks share: optimiser, schedules by progress, logging, and the guard against bad losses."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning
import torch

from tokenchain_toolkit.config.training import CommonConfig, OptimConfig
from tokenchain_toolkit.errors import TrainingError
from tokenchain_toolkit.models.batch import TokenBatch

# Large and odd, so that neighbouring seeds and epochs share no random stream.
SEED_STRIDE = 1_000_003
DEVICE_STRIDE = 1_000_000_007


class BaseTask(lightning.LightningModule):
    """A task whose randomness in an epoch depends on the seed and the epoch alone, so a resumed run equals a whole one.

    Args:
        config: The experiment.
        manifest: Tokenizer of the tokens it is trained on; kept in every checkpoint.
    """

    monitor = "valid/loss"
    monitor_mode = "min"

    def __init__(self, config: CommonConfig, *, manifest: dict[str, Any]):
        super().__init__()
        self.config = config
        self.manifest = manifest
        # The weights that a task now makes depend on the seed alone; no epoch has this stream.
        torch.manual_seed((config.training.seed + 1) * SEED_STRIDE - 1)

    @property
    def progress(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        trainer = self.trainer
        passes = trainer.accumulate_grad_batches
        batches = max(int(trainer.num_training_batches) // passes, 1)
        done = trainer.current_epoch + trainer.fit_loop.epoch_loop.batch_idx // passes / batches
        return done / self.config.training.max_epochs

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam or AdamW over the parameters that are trained."""
        return build_optimizer(self.config.optim, [p for p in self.parameters() if p.requires_grad])

    def on_train_epoch_start(self) -> None:
        """Seed by epoch and device, so that no two devices draw the same masks."""
        seed = self.config.training.seed * SEED_STRIDE + self.current_epoch
        torch.manual_seed(seed + self.global_rank * DEVICE_STRIDE)

    def on_train_batch_start(self, batch: TokenBatch, batch_idx: int) -> None:
        """Set the learning rate; it has no state, so resuming cannot lose it."""
        del batch, batch_idx
        lr = learning_rate(self.config.optim, step=self.global_step + 1, progress=self.progress)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = lr

    def sum_over_devices(self, values_X: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all devices, each of which must ask for it."""
        if self.trainer.world_size == 1:
            return values_X
        return self.trainer.strategy.reduce(values_X.clone(), reduce_op="sum")  # which works in place

    def log_values(self, prefix: str, values: Mapping[str, torch.Tensor | float], *, batch_size: int) -> None:
        """Log the means over the epoch as ``prefix/name``.

        Args:
            prefix: ``train`` or ``valid``.
            values: Each such that the mean over the devices is that of the batch.
            batch_size: Weight of the batch in the epoch; the same on every device.
        """
        self.log_dict(
            {f"{prefix}/{name}": value for name, value in values.items()},
            on_step=False,
            on_epoch=True,
            batch_size=batch_size,
            sync_dist=self.trainer.world_size > 1,
        )

    def checked(self, loss: torch.Tensor, batch: TokenBatch) -> torch.Tensor:
        """The loss itself.

        Raises:
            TrainingError: It is not finite; the message names the utterances of the batch.
        """
        if not torch.isfinite(loss):
            names = ", ".join(batch.utt_ids[:5])
            raise TrainingError(
                f"the loss of epoch {self.current_epoch}, step {self.global_step} is {loss.item()}; the batch holds "
                f"{len(batch)} utterances, first {names}; look at them, lower optim.lr, or use precision=32-true"
            )
        return loss

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the tokenizer's manifest inside the checkpoint."""
        checkpoint["manifest"] = self.manifest


def build_optimizer(
    config: OptimConfig, parameters: Sequence[torch.nn.Parameter | dict[str, Any]]
) -> torch.optim.Optimizer:
    """Adam or AdamW.

    Args:
        config: Its settings.
        parameters: What it changes, or groups of them with what differs from the settings, as PyTorch takes them.
    """
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    return kind(parameters, lr=config.lr, betas=(0.9, config.beta2), weight_decay=config.weight_decay)


def learning_rate(config: OptimConfig, *, step: int, progress: float) -> float:
    """Learning rate at an update.

    Args:
        config: Peak, warm-up and kind of schedule.
        step: Number of the update, from 1.
        progress: Share of the run that is done, in [0, 1].
    """
    warmup = max(config.warmup_steps, 1)
    rising = min(step / warmup, 1.0)
    if config.schedule == "warmup_inverse_sqrt":
        return config.lr * min(rising, (warmup / step) ** 0.5)
    cosine = 0.5 * (1 + torch.cos(torch.tensor(min(progress, 1.0) * torch.pi)).item())
    return config.lr * rising * (config.final_lr_ratio + (1 - config.final_lr_ratio) * cosine)
