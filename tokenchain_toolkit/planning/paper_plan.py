"""What experiments cost on GPUs: counted operations times data and epochs, over a speed."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.planning.corpus_sizes import frames_of_sets, hours_of_sets
from tokenchain_toolkit.planning.estimates import epoch_of, frames_at_once, warmup_fault
from tokenchain_toolkit.planning.experiments import RUN, Experiment
from tokenchain_toolkit.planning.probe import StepMeasure, StepProbe, measure_step

NUM_GPUS = (1, 4, 8)
ASSUMED_TFLOPS = 60.0  # about a fifth of the bf16 peak of an A100


@dataclass(frozen=True)
class Speed:
    """How fast GPUs are.

    Attributes:
        tflops: Operations that one GPU does of these models, in units of 10**12 a second; not its peak.
        scaling: Share of that speed that each of several GPUs keeps.
        is_measured: Whether ``tflops`` was measured here.
    """

    tflops: float
    scaling: float
    is_measured: bool


@dataclass(frozen=True)
class Placement:
    """One run where there are a number of GPUs: a training of ``run.sh`` has all of them, a run of a study has one.

    Attributes:
        num_gpus: How many.
        hours_per_epoch: Time of an epoch.
        hours: Time of one training.
        memory_bytes: Of each GPU, if it takes its share of a batch in one pass; more than it needs where attention is
            fused and activations are in half precision.
        device_frames: Setting with which it fits into the GPUs that are reckoned with; 0 where it does anyway, None
            where not even short batches do.
    """

    num_gpus: int
    hours_per_epoch: float
    hours: float
    memory_bytes: int
    device_frames: int | None


@dataclass(frozen=True)
class Plan:
    """What trainings that cost the same take.

    Attributes:
        recipe: Name of the recipe.
        part: What runs them.
        names: Of the trainings.
        train_sets: Their training sets, which are joined.
        hours_of_speech: Of these.
        runs: How many trainings.
        epochs: As configured.
        updates: Of an epoch.
        flops: Operations of one training.
        placements: By number of GPUs.
        fault: What is wrong with the settings, given the data, and what to do; empty where nothing is.
        evaluation: What each run is evaluated on, which its hours leave out; empty where it is not.
    """

    recipe: str
    part: str
    names: tuple[str, ...]
    train_sets: tuple[str, ...]
    hours_of_speech: float
    runs: int
    epochs: int
    updates: int
    flops: float
    placements: list[Placement]
    fault: str = ""
    evaluation: str = ""


def measure_models(experiments: Sequence[Experiment], *, seconds: float) -> Iterator[tuple[str, StepMeasure]]:
    """Steps of every model of the experiments, once, their operations counted.

    Args:
        experiments: The first one that has a model gives the lengths of its utterances.
        seconds: Time for each; on a CPU a step of a large model may take longer.

    Yields:
        Key of the model, and its steps.
    """
    firsts: dict[str, Experiment] = {}
    for each in experiments:
        firsts.setdefault(each.model, each)
    for key, experiment in firsts.items():
        input_layer = experiment.halves.asr.model.input_layer
        probe = StepProbe(experiment.trainee(), _frames(experiment), experiment.sizes, input_layer=input_layer)
        measure = measure_step(probe, seconds=seconds, count_flops=True)
        del probe  # gigabytes, in cycles of an optimiser and its parameters, before the next model comes
        gc.collect()
        yield key, measure


def gpu_speed(measure: StepMeasure, tflops: float | None, scaling: float) -> Speed:
    """The speed that a model is reckoned with: as told, else as measured on a GPU, else as assumed.

    Args:
        measure: Of the model.
        tflops: What the user says, if anything.
        scaling: Share that each of several GPUs keeps.
    """
    if tflops is not None:
        return Speed(tflops, scaling, is_measured=False)
    if measure.on_gpu:
        assert measure.flops is not None
        return Speed(measure.flops * measure.frames / measure.seconds / 1e12, scaling, is_measured=True)
    return Speed(ASSUMED_TFLOPS, scaling, is_measured=False)


def plan_experiments(
    experiments: Sequence[Experiment],
    measures: Mapping[str, StepMeasure],
    speeds: Mapping[str, Speed],
    *,
    gpu_bytes: float,
    num_gpus: Sequence[int] = NUM_GPUS,
) -> list[Plan]:
    """What each experiment takes.

    Args:
        experiments: Of any recipes.
        measures: Key of each model -> its steps, with their operations.
        speeds: Key of each model -> the speed of the GPUs at it.
        gpu_bytes: Memory of a GPU.
        num_gpus: Numbers of GPUs to reckon with.

    Raises:
        ConfigError: The size of a training set is not known.
    """
    return [
        _plan(each, measures[each.model], speeds[each.model], gpu_bytes=gpu_bytes, num_gpus=num_gpus)
        for each in experiments
    ]


def _plan(
    experiment: Experiment, measure: StepMeasure, speed: Speed, *, gpu_bytes: float, num_gpus: Sequence[int]
) -> Plan:
    assert measure.flops is not None
    config, frames = experiment.config, _frames(experiment)
    epoch, epochs = epoch_of(frames, config), config.training.max_epochs
    placements = []
    for count in num_gpus:
        devices = count if experiment.part == RUN else 1
        rate = speed.tflops * 1e12 * devices * (speed.scaling if devices > 1 else 1.0)
        hours = epoch.frames * measure.flops / rate / 3600
        at_once = frames_at_once(config, num_devices=devices)
        placements.append(
            Placement(
                num_gpus=count,
                hours_per_epoch=hours,
                hours=hours * epochs,
                memory_bytes=measure.memory(at_once),
                device_frames=_fitting_frames(measure, at_once, gpu_bytes),
            )
        )
    return Plan(
        experiment.recipe,
        experiment.part,
        experiment.names,
        experiment.train_sets,
        hours_of_speech=hours_of_sets(experiment.recipe, experiment.train_sets),
        runs=experiment.runs,
        epochs=epochs,
        updates=epoch.updates,
        flops=epoch.frames * measure.flops * epochs,
        placements=placements,
        fault=warmup_fault(config, epoch.updates * epochs),
        evaluation=_evaluation(experiment),
    )


def hours_of_all(plans: Sequence[Plan], place: int) -> float:
    """Hours of all runs: those of ``run.sh`` one after the other, those of a grid as many at once as there are GPUs.

    Args:
        plans: Of any recipes.
        place: Which of their placements.
    """
    parts: dict[tuple[str, str], list[Plan]] = {}
    for plan in plans:
        parts.setdefault((plan.recipe, plan.part), []).append(plan)
    total = 0.0
    for (_, part), of_part in parts.items():
        placements = [(plan.runs, plan.placements[place]) for plan in of_part]
        hours = sum(runs * placement.hours for runs, placement in placements)
        if part != RUN:
            longest = max(placement.hours for _, placement in placements)
            hours = max(hours / placements[0][1].num_gpus, longest)
        total += hours
    return total


def _evaluation(experiment: Experiment) -> str:
    """What is done before training and after every epoch, in words."""
    config, count = experiment.config, experiment.eval_sets
    if not isinstance(config, ChainConfig) or not count:
        return ""
    settings = config.evaluation
    read = f"{settings.max_utts} utterances" if settings.max_utts else "all utterances"
    return (
        f"{config.training.max_epochs + 1} times in a run {read} of each of {count} sets are recognised by "
        f"{' and '.join(settings.heads)}, and {settings.t2s_utts} drawn"
    )


def _fitting_frames(measure: StepMeasure, at_once: int, gpu_bytes: float) -> int | None:
    """``training.device_frames`` for a GPU; 0 if it takes its whole share, None if nothing fits."""
    room = measure.frames_in(gpu_bytes)
    if room >= at_once:
        return 0
    return room if room > 0 else None


def _frames(experiment: Experiment) -> np.ndarray:
    """Frames of every training utterance: semantic ones, for S2A those of the codes."""
    sizes = experiment.sizes
    frame_rate = sizes.acoustic_rate if experiment.kind == "s2a" else sizes.frame_rate
    return frames_of_sets(experiment.recipe, experiment.train_sets, frame_rate=frame_rate)
