"""Time, disk and memory of a recipe's stages, from measured speeds and the amount of data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.s2a import S2AConfig
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.config.training import CommonConfig
from tokenchain_toolkit.data.batching import make_batches
from tokenchain_toolkit.planning.findings import OK, WARN, Finding, about, about_bytes, about_time
from tokenchain_toolkit.planning.probe import FLOAT_BYTES, ROUGH_SHARE, StepMeasure
from tokenchain_toolkit.planning.recipe import TokenSizes
from tokenchain_toolkit.planning.tokenizer_probe import ExtractionMeasure, HeadMeasure
from tokenchain_toolkit.tokenizers.codec import SPECTRAL_RVQ

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
        is_rough: Whether it was measured on so little that it may be far too high.
    """

    stage: str
    seconds: float
    disk_bytes: int
    memory_bytes: int
    basis: str
    fault: str = ""
    is_rough: bool = False


@dataclass(frozen=True)
class Epoch:
    """One pass over a set.

    Attributes:
        frames: Padded, prompts included.
        updates: Batches, which in training are updates.
        drawn_frames: Frames that T2S draws for text alone.
    """

    frames: int
    updates: int
    drawn_frames: int = 0


def learning_stage(
    config: TokenizerConfig,
    measure: ExtractionMeasure,
    head: HeadMeasure | None,
    *,
    train_seconds: float,
    sizes: TokenSizes,
) -> StageEstimate | None:
    """Learning the tokenizer, in one process; None if nothing of it is learned.

    Args:
        config: Tokenizer.
        measure: Speed of extraction.
        head: Training of the codec's head; None where the codec has none.
        train_seconds: Audio of the training set.
        sizes: Frame rate.
    """
    clusters, learns_codec = config.semantic.kind != "codec", config.codec.enabled and config.codec.kind == SPECTRAL_RVQ
    if not clusters and not learns_codec:
        return None
    frames = config.semantic.kmeans.max_frames if clusters else config.codec.max_frames
    seconds = (min(train_seconds, frames / sizes.frame_rate) if frames else train_seconds) / measure.speed
    disk, memory = 0, round(config.semantic.kmeans.memory_gb * 1e9) if clusters else 0
    basis = f"{_speed(measure)}; the k-means itself is not in it"
    if head is not None:
        seconds += head.num_steps * head.step_seconds
        disk += head.num_parameters * FLOAT_BYTES
        basis += f"; {head.num_steps:,} updates of the codec's head, each {head.step_seconds:.2g} s"
    return StageEstimate("learn_tokenizer", seconds, disk, memory, basis)


def extraction_stage(
    config: TokenizerConfig, measure: ExtractionMeasure, *, seconds: float, sizes: TokenSizes
) -> StageEstimate:
    """Extracting the tokens of so many seconds of audio, in one process."""
    tokens_a_second = sizes.frame_rate + (sizes.num_quantizers * sizes.acoustic_rate if config.codec.enabled else 0)
    disk = dump_bytes(seconds * tokens_a_second)
    return StageEstimate("extract_tokens", seconds / measure.speed, disk, 0, _speed(measure))


def _speed(measure: ExtractionMeasure) -> str:
    return f"{measure.what}, {about(measure.speed, 'seconds of audio a second')}, one process"


def dump_bytes(tokens: float) -> int:
    """Bytes of so many tokens."""
    return round(tokens * TOKEN_BYTES)


def training_stage(
    measure: StepMeasure,
    config: CommonConfig,
    *,
    train_frames: np.ndarray,
    valid_frames: np.ndarray,
    drawing: float = 0.0,
    evaluating: float = 0.0,
) -> StageEstimate:
    """A training run, from the time of a frame.

    Args:
        measure: Of its steps.
        config: Of the experiment.
        train_frames: Frames of every training utterance, semantic ones or, for S2A, those of the codes.
        valid_frames: Those of every validation utterance.
        drawing: Seconds that T2S takes to draw a frame, for text alone.
        evaluating: Seconds of an evaluation, which there is one of before training and after every epoch.
    """
    training = config.training
    train, valid = epoch_of(train_frames, config), epoch_of(valid_frames, config, is_training=False)
    passes = (train.frames + VALIDATION_SHARE * valid.frames) * measure.seconds_per_frame
    passes += (train.updates + VALIDATION_SHARE * valid.updates) * measure.update_seconds
    at_once = frames_at_once(config, num_devices=1)
    rough = f", far from {at_once:,}, so this is rough" if measure.frames < ROUGH_SHARE * at_once else ""
    num_checkpoints = max(training.average_best, 1) + 1
    weights = measure.num_parameters * FLOAT_BYTES
    updates = train.updates * training.max_epochs
    epochs = "1 epoch" if training.max_epochs == 1 else f"{training.max_epochs} epochs"
    drawn = "; tokens for text alone are drawn by T2S, which is counted" if train.drawn_frames else ""
    drawn += f"; each evaluation takes {about_time(evaluating).removeprefix('about ')}" if evaluating else ""
    seconds = training.max_epochs * (passes + train.drawn_frames * drawing)
    return StageEstimate(
        stage=f"train_{measure.name}",
        seconds=seconds + (training.max_epochs + 1) * evaluating,
        disk_bytes=num_checkpoints * measure.num_parameters * CHECKPOINT_BYTES + weights,
        memory_bytes=measure.memory(at_once),
        fault=warmup_fault(config, updates),
        is_rough=bool(rough),
        basis=(
            f"{epochs}, {updates:,} updates; a step of {measure.frames:,} frames took {measure.seconds:.3g} s "
            f"({measure.device}, precision {measure.precision}, median of {measure.num_steps}{rough}){drawn}"
        ),
    )


def evaluation_seconds(config: CommonConfig, sets: Sequence[np.ndarray], *, reading: float, drawing: float) -> float:
    """An evaluation of a chain, if its search and drawing are as fast as those of decode_asr and decode_t2s.

    Args:
        config: Of the experiment; only chains are evaluated.
        sets: Semantic frames of every utterance of each set.
        reading: Seconds that the search takes for a frame.
        drawing: Seconds that T2S takes to draw a frame, which is then read, too.
    """
    if not isinstance(config, ChainConfig):
        return 0.0
    settings, seconds = config.evaluation, 0.0
    for frames in (each for each in sets if len(each)):
        read = min(settings.max_utts or len(frames), len(frames)) * len(settings.heads)
        drawn = min(settings.t2s_utts, len(frames))
        seconds += float(frames.mean()) * (read * reading + drawn * (drawing + reading))
    return seconds


def epoch_of(frames: np.ndarray, config: CommonConfig, *, is_training: bool = True) -> Epoch:
    """One pass over a set.

    Args:
        frames: Frames of every utterance.
        config: Of the experiment.
        is_training: Whether only the paired share is used, with speech and text alone beside it.
    """
    used = frames[frames <= config.data.max_frames]
    if is_training and not isinstance(config, S2AConfig):  # which needs no text
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
    if not is_training or not isinstance(config, ChainConfig):
        return Epoch(padded, len(batches))
    unpaired = config.unpaired
    padded = round(padded * (1 + unpaired.speech_ratio + unpaired.text_ratio))
    return Epoch(padded, len(batches), drawn_frames=round(unpaired.text_ratio * used.sum()))


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
        if each.is_rough:
            remedies.append("that may be far too high: a larger --seconds, or an idle machine, tells more")
        if each.fault:
            remedies.append(f"{each.stage.replace('train_chain', 'chain')}.yaml: {each.fault}")
        found.append(Finding(each.stage, WARN if remedies else OK, text, "; ".join(remedies)))
    time, disk = sum(each.seconds for each in stages), sum(each.disk_bytes for each in stages)
    text = f"{about_time(time)}, disk {about_bytes(disk)}"
    found.append(Finding("sum of these", OK, text))
    return found
