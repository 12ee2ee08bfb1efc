"""Running a task to its end with Lightning: resume, checkpoints, averaging."""

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from tokenchain_toolkit.config.training import TrainingConfig
from tokenchain_toolkit.data.batching import make_batches, padding_share
from tokenchain_toolkit.data.dataset import TokenDataset
from tokenchain_toolkit.data.module import TokenDataModule
from tokenchain_toolkit.errors import ConfigError, counted
from tokenchain_toolkit.models.asr import count_parameters
from tokenchain_toolkit.tasks.base import BaseTask
from tokenchain_toolkit.tasks.epoch_log import EpochLog

LOG = logging.getLogger(__name__)


def fit(
    task: BaseTask, data: TokenDataModule, *, folder: Path, callbacks: Sequence[lightning.Callback] = ()
) -> dict[str, torch.Tensor]:
    """Train to ``max_epochs``, going on from ``folder/checkpoints/last.ckpt`` if it is there.

    Args:
        task: What to train.
        data: Its batches.
        folder: The experiment; gets ``checkpoints/`` and ``metrics.csv``.
        callbacks: What else is to happen, before an epoch's checkpoint is written.

    Returns:
        The task's weights: the average of the best checkpoints, or the last ones if ``average_best`` is 0.
    """
    training = task.config.training
    always: dict[str, Any] = {
        "dirpath": folder / "checkpoints",
        "save_on_train_epoch_end": True,
        "enable_version_counter": False,
    }
    best = ModelCheckpoint(
        filename="epoch{epoch:03d}",
        auto_insert_metric_name=False,
        monitor=task.monitor,
        mode=task.monitor_mode,
        save_top_k=max(training.average_best, 1),
        **always,
    )
    # Of its own: with save_last the former would write it only in epochs that are among the best. It comes second, so
    # that it knows of them.
    latest = ModelCheckpoint(filename="last", **always)
    last = folder / "checkpoints" / "last.ckpt"
    _announce(task, data, resumed=last.is_file())
    with warnings.catch_warnings():
        # Hints about more workers and about checkpoint folders that exist, which here is how a run goes on.
        warnings.filterwarnings("ignore", category=UserWarning, module="lightning")
        warnings.filterwarnings("ignore", message=".*LeafSpec")  # between the pinned Lightning and PyTorch
        log = EpochLog(folder / "metrics.csv")
        trainer = build_trainer(training, callbacks=[*callbacks, best, latest, log])
        announce_idle_gpus(trainer)
        if trainer.world_size > 1 and trainer.is_global_zero:
            LOG.info("%d processes share out every batch", trainer.world_size)
        try:
            trainer.fit(task, datamodule=data, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
        except SystemExit as ended:
            if isinstance(ended.__context__, KeyboardInterrupt):  # which Lightning makes a silent exit of
                raise KeyboardInterrupt from ended
            raise
    if training.average_best == 0:
        return task.state_dict()
    return average_checkpoints([Path(path) for path in best.best_k_models])


def build_trainer(training: TrainingConfig, *, callbacks: list[lightning.Callback]) -> lightning.Trainer:
    """The Lightning trainer of an experiment."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    trainer = lightning.Trainer(
        max_epochs=training.max_epochs,
        accelerator=training.accelerator,
        devices=training.devices,
        num_nodes=training.num_nodes,
        strategy=training.strategy,
        precision=choose_precision(training),  # type: ignore[arg-type]
        gradient_clip_val=training.gradient_clip,
        callbacks=callbacks,
        logger=False,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
    )
    # How many devices there are in all is known from here on.
    trainer.accumulate_grad_batches = training.num_passes(trainer.world_size)
    return trainer


def check_gpus(training: TrainingConfig) -> None:
    """Refuse more devices than there are GPUs, unless processes on the CPU are asked for.

    Raises:
        ConfigError: There are fewer.
    """
    present = torch.cuda.device_count()
    if training.accelerator != "cpu" and training.devices > max(present, 1):
        raise ConfigError(
            f"training.devices={training.devices} (./run.sh --num_gpus), and PyTorch finds {counted(present, 'GPU')} "
            "here; ask for as many as there are, or set training.accelerator=cpu for as many processes on the CPU"
        )


def announce_idle_gpus(trainer: lightning.Trainer) -> None:
    """Say that a run on a GPU leaves others of the machine idle, if it does."""
    used, present = trainer.num_devices, torch.cuda.device_count()
    if trainer.strategy.root_device.type == "cuda" and used < present:
        LOG.info(
            "training on %d of the %d GPUs here; training.devices=%d, for all trainings of a recipe "
            "./run.sh --num_gpus %d, gives each its share of every batch",
            *(used, present, present, present),
        )


def choose_precision(training: TrainingConfig) -> str:
    """Lightning's precision; ``auto`` is bf16-mixed where the GPU, or without one the CPU, multiplies in bfloat16."""
    if training.precision != "auto":
        return training.precision
    if torch.cuda.is_available() and training.accelerator != "cpu":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if fast else "32-true"


def average_checkpoints(paths: list[Path]) -> dict[str, torch.Tensor]:
    """Mean of the floating-point weights of several checkpoints; other tensors come from the first."""
    states = [torch.load(path, map_location="cpu", weights_only=True)["state_dict"] for path in paths]
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in states[0].items()
    }


def take_part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The weights of one submodule, without its prefix."""
    return {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}


def _announce(task: BaseTask, data: TokenDataModule, *, resumed: bool) -> None:
    """Say how large the model and the data are."""
    training = task.config.training
    lengths = data.train.dump.lengths[data.train.usable] + data.data_config.max_prompt_frames
    batches = make_batches(
        lengths,
        batch_frames=training.batch_frames,
        max_batch_size=training.max_batch_size,
        min_batch_size=data.min_batch_size,
        seed=training.seed,
        epoch=0,
    )
    if data.min_batch_size > training.min_batch_size:
        LOG.warning(
            "a batch is shared out %d times, and training.min_batch_size is %d: a few batches are larger than they are "
            "on fewer devices; where runs are compared, set it to %d in all of them",
            *(data.min_batch_size, training.min_batch_size, data.min_batch_size),
        )
    LOG.info(
        "%s: %.2f M parameters, %d training utterances in %d batches (padding %.1f %%), %d epochs%s",
        type(task).__name__,
        count_parameters(task) / 1e6,
        len(lengths),
        len(batches),
        100 * padding_share(lengths, batches),
        training.max_epochs,
        ", going on from the last checkpoint" if resumed else "",
    )
    if data.data_config.max_prompt_frames:
        _announce_alone(TokenDataset(data.train, data.data_config, seed=training.seed, epoch=0))


def _announce_alone(dataset: TokenDataset) -> None:
    """Say how many utterances cannot be given another one of their speaker as a prompt."""
    if dataset.num_alone:
        has_codes = dataset.corpus.dump.codes is not None
        LOG.info(
            "prompts: %d of %d training utterances (%.1f %%) are the only ones of their speakers: %s",
            dataset.num_alone,
            len(dataset),
            100 * dataset.num_alone / len(dataset),
            "each is cut into its prompt and its target" if has_codes else "they go without a prompt",
        )
