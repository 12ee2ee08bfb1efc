"""Settings that every trainable task shares."""

import math
from dataclasses import dataclass, field
from typing import Any

from tokenchain_toolkit.config.checks import check_choices, check_least, check_positive, check_shares
from tokenchain_toolkit.errors import ConfigError

OPTIMIZERS = ("adam", "adamw")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true")
SCHEDULES = ("warmup_inverse_sqrt", "warmup_cosine")


@dataclass
class OptimConfig:
    """Optimiser and learning-rate schedule.

    ``warmup_inverse_sqrt`` is ESPnet's WarmupLR: ``lr`` is the peak, reached after ``warmup_steps``.
    ``warmup_cosine`` falls from the peak to ``final_lr_ratio * lr`` over the whole run.
    """

    name: str = "adam"
    lr: float = 0.002
    weight_decay: float = 1e-6
    beta2: float = 0.98
    schedule: str = "warmup_inverse_sqrt"
    warmup_steps: int = 15000
    final_lr_ratio: float = 0.02

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_choices(self, "optim", name=OPTIMIZERS, schedule=SCHEDULES)
        check_least(self, "optim", 0, "lr", "weight_decay", "warmup_steps")
        check_shares(self, "optim", "beta2")
        check_shares(self, "optim", "final_lr_ratio", whole=True)


WHERE_IT_RUNS = ("accelerator", "devices", "num_nodes", "strategy", "num_workers", "device_frames")


@dataclass
class TrainingConfig:
    """Length of a run, size of a batch, precision, devices and checkpoints.

    ``batch_frames`` counts padded semantic frames per optimiser update over all devices, so that a batch means the
    same whatever the number of GPUs: each of them takes its share of every batch, and means are over the whole batch.
    A device that cannot hold its share takes about ``device_frames`` at once, rounded to whole utterances, in several
    passes whose gradients add up to that of the batch; 0 stands for one pass. A batch has at least ``min_batch_size``
    utterances, so that it can be shared out to as many devices times passes: up to there, batches are the same whatever
    the number of devices. ``average_best`` checkpoints with the best validation metric are
    averaged; 0 keeps the last weights. ``precision`` is Lightning's name of it, or ``auto``: bf16-mixed where the
    hardware multiplies in it.
    """

    max_epochs: int = 70
    batch_frames: int = 60000
    device_frames: int = 0
    max_batch_size: int = 512
    min_batch_size: int = 1
    gradient_clip: float = 5.0
    precision: str = "auto"
    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    num_workers: int = 0
    average_best: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_least(self, "training", 1, "max_epochs", "batch_frames", "max_batch_size", "min_batch_size")
        check_least(self, "training", 1, "devices", "num_nodes")
        check_least(self, "training", 0, "device_frames", "gradient_clip", "num_workers", "average_best", "seed")
        check_choices(self, "training", precision=PRECISIONS)

    def num_passes(self, num_devices: int) -> int:
        """Passes in which each of so many devices takes its share of a batch."""
        return math.ceil(self.batch_frames / (num_devices * self.device_frames)) if self.device_frames > 0 else 1


@dataclass
class DataConfig:
    """How utterances become batches.

    A prompt is a crop of another utterance of the same speaker; its length in frames is drawn between the two bounds,
    and 0 leaves it out. Of an utterance that is the only one of its speaker, S2A takes the beginning as the prompt and
    learns the rest; T2S goes without. ASR, T2S and the chain take ``paired_share`` of the training utterances as paired
    data, drawn by ``split_seed`` and their names alone, so that all of them take the same; the chain may use the others
    as speech and text without each other. S2A, which needs no text, takes all.
    """

    min_prompt_frames: int = 0
    max_prompt_frames: int = 0
    max_frames: int = 3000
    paired_share: float = 1.0
    split_seed: int = 0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if not 0 <= self.min_prompt_frames <= self.max_prompt_frames:
            raise ConfigError(
                f"data.min_prompt_frames={self.min_prompt_frames} must be from 0 to "
                f"data.max_prompt_frames={self.max_prompt_frames}"
            )
        check_least(self, "data", 1, "max_frames")
        check_least(self, "data", 0, "split_seed")
        check_positive(self, "data", "paired_share")
        check_shares(self, "data", "paired_share", whole=True)


@dataclass
class CommonConfig:
    """Base of the task configurations."""

    optim: OptimConfig = field(default_factory=OptimConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    data: DataConfig = field(default_factory=DataConfig)


def what_is_trained(settings: dict[str, Any]) -> dict[str, Any]:
    """An experiment's settings, as plain values, without those of where it runs, which change it by rounding alone."""
    training = {name: value for name, value in settings["training"].items() if name not in WHERE_IT_RUNS}
    return {**settings, "training": training}
