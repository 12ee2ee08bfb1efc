"""Time, disk and memory of a recipe's stages, from measured speeds and the amount of data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.config.training import CommonConfig
from tokenchain_toolkit.data.batching import make_batches
from tokenchain_toolkit.planning.findings import OK, WARN, Finding, about, about_bytes, about_time
from tokenchain_toolkit.planning.probe import FLOAT_BYTES, StepMeasure
from tokenchain_toolkit.planning.recipe import TokenSizes
from tokenchain_toolkit.planning.tokenizer_probe import ExtractionMeasure, HeadMeasure

TOKEN_BYTES = 2
# A checkpoint holds the weights and the two moments of Adam.
CHECKPOINT_BYTES = 3 * FLOAT_BYTES
# Validation has no backward pass, which is about two thirds of a step.
VALIDATION_SHARE = 1 / 3
LONG_SECONDS = 7 * 86400
# Of a run's updates, so many at most are for the learning rate to rise; where training went well, up to 0.47 were.
LONGEST_WARMUP = 0.5


@dataclass(frozen=True)
class StageEstimate:
    """What one stage is expected to take.

    Attributes:
        stage: Its name, with that of the experiment where there are several.
        seconds: Time on this machine.
        disk_bytes: What it leaves behind.
        memory_bytes: Main memory, or that of a GPU where the stage runs on one.
        basis: What the figures rest on.
        fault: What is wrong with its settings, given the data, and what to do; empty where nothing is.
    """

    stage: str
    seconds: float
    disk_bytes: int
    memory_bytes: int
    basis: str
    fault: str = ""


@dataclass(frozen=True)
class Epoch:
    """One pass over a set: padded frames, prompts included, and batches, which in training are updates."""

    frames: int
    updates: int


def tokenizer_stages(
    config: TokenizerConfig,
    measure: ExtractionMeasure,
    head: HeadMeasure | None,
    *,
    train_seconds: float,
    all_seconds: float,
    sizes: TokenSizes,
) -> list[StageEstimate]:
    """Learning the tokenizer and extracting the tokens of all sets, both in one process.

    Args:
        config: Tokenizer.
        measure: Speed of extraction.
        head: Training of the codec's head; None where the codec has none.
        train_seconds: Audio of the training set.
        all_seconds: Audio of all sets.
        sizes: Frame rate and quantizers.
    """
    columns = 1 + (sizes.num_quantizers if config.codec.enabled else 0)
    basis = f"{measure.what}, {about(measure.speed, 'seconds of audio a second')}, one process"
    found = [
        StageEstimate("extract_tokens", all_seconds / measure.speed, _dump_bytes(all_seconds, sizes, columns), 0, basis)
    ]
    if config.semantic.kind == "codec":
        return found
    most = config.semantic.kmeans.max_frames / sizes.frame_rate
    seconds = (min(train_seconds, most) if most else train_seconds) / measure.speed
    disk, memory = 0, round(config.semantic.kmeans.memory_gb * 1e9)
    basis += "; the k-means itself is not in it"
    if head is not None:
        seconds += head.num_steps * head.step_seconds
        disk += head.num_parameters * FLOAT_BYTES
        basis += f"; {head.num_steps:,} updates of the codec's head, each {head.step_seconds:.2g} s"
    return [StageEstimate("learn_tokenizer", seconds, disk, memory, basis), *found]


def _dump_bytes(seconds: float, sizes: TokenSizes, columns: int) -> int:
    return round(seconds * sizes.frame_rate * columns * TOKEN_BYTES)


def training_stage(
    measure: StepMeasure, config: CommonConfig, *, train_frames: np.ndarray, valid_frames: np.ndarray
) -> StageEstimate:
    """A training run, from the time of a frame.

    Args:
        measure: Of its steps.
        config: Of the experiment.
        train_frames: Semantic frames of every training utterance.
        valid_frames: Those of every validation utterance.
    """
    training = config.training
    train, valid = epoch_of(train_frames, config), epoch_of(valid_frames, config, is_training=False)
    seconds = training.max_epochs * (train.frames + VALIDATION_SHARE * valid.frames) * measure.seconds_per_frame
    num_checkpoints = max(training.average_best, 1) + 1
    weights = measure.num_parameters * FLOAT_BYTES
    updates = train.updates * training.max_epochs
    epochs = "1 epoch" if training.max_epochs == 1 else f"{training.max_epochs} epochs"
    return StageEstimate(
        stage=f"train_{measure.name}",
        seconds=seconds,
        disk_bytes=num_checkpoints * measure.num_parameters * CHECKPOINT_BYTES + weights,
        memory_bytes=measure.memory(frames_at_once(config, num_devices=1)),
        fault=warmup_fault(config, updates),
        basis=(
            f"{epochs}, {updates:,} updates; a step of {measure.frames:,} frames took {measure.seconds:.3g} s "
            f"({measure.device}, precision {measure.precision}, median of {measure.num_steps})"
        ),
    )


def epoch_of(frames: np.ndarray, config: CommonConfig, *, is_training: bool = True) -> Epoch:
    """One pass over a set.

    Args:
        frames: Semantic frames of every utterance.
        config: Of the experiment.
        is_training: Whether only the paired share is used, with speech and text alone beside it.
    """
    used = frames[frames <= config.data.max_frames]
    if is_training:
        used = used[: round(config.data.paired_share * len(used))]
    if not len(used):
        return Epoch(0, 0)
    lengths = used + config.data.max_prompt_frames
    training = config.training
    batches = make_batches(
        lengths,
        batch_frames=training.batch_frames,
        max_batch_size=training.max_batch_size,
        min_batch_size=training.min_batch_size,
        seed=0,
        epoch=0,
    )
    padded = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    if is_training and isinstance(config, ChainConfig):
        padded = round(padded * (1 + config.unpaired.speech_ratio + config.unpaired.text_ratio))
    return Epoch(padded, len(batches))


def warmup_fault(config: CommonConfig, updates: int) -> str:
    """What is wrong if the learning rate rises for too much of a run, and what to do; empty where it does not.

    Args:
        config: Of the experiment.
        updates: Of the whole run.
    """
    rising = config.optim.warmup_steps
    if rising <= max(LONGEST_WARMUP * updates, 1):
        return ""
    peak = "never gets to its peak" if rising > updates else f"is at its peak after {rising / updates:.0%} of the run"
    return (
        f"the learning rate rises for optim.warmup_steps={rising} updates of {updates:,}, so it {peak}; set "
        f"optim.warmup_steps={max(updates // 10, 1)}, a tenth of them, or let there be more: a smaller "
        "training.batch_frames, or a larger training.max_epochs"
    )


def frames_at_once(config: CommonConfig, *, num_devices: int) -> int:
    """Padded frames that a device takes in one pass."""
    training = config.training
    return -(-training.batch_frames // (num_devices * training.num_passes(num_devices)))


def describe_stages(stages: Sequence[StageEstimate]) -> list[Finding]:
    """One line for each stage, and their sum."""
    found = []
    for each in stages:
        text = f"{about_time(each.seconds)}, disk {about_bytes(each.disk_bytes)} ({each.basis})"
        remedies = ["that is more than a week: use a GPU, or smaller settings"] if each.seconds > LONG_SECONDS else []
        if each.fault:
            remedies.append(f"{each.stage.replace('train_chain', 'chain')}.yaml: {each.fault}")
        found.append(Finding(each.stage, WARN if remedies else OK, text, "; ".join(remedies)))
    time, disk = sum(each.seconds for each in stages), sum(each.disk_bytes for each in stages)
    text = f"{about_time(time)}, disk {about_bytes(disk)}; decoding, synthesis and scoring are not in it"
    found.append(Finding("sum of these", OK, text))
    return found
