"""Measured speed of this machine: training steps on random batches."""

import time
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from tokenchain_toolkit.models.asr import count_parameters
from tokenchain_toolkit.models.batch import TokenBatch
from tokenchain_toolkit.planning.machine import available_memory
from tokenchain_toolkit.planning.recipe import TokenSizes
from tokenchain_toolkit.planning.trainees import Trainee, random_batch
from tokenchain_toolkit.tasks.base import build_optimizer
from tokenchain_toolkit.tasks.fit import choose_precision

CPU = "CPU"
SHORT_FRAMES = 100
# Steps of less than so many seconds are taken beyond the time that is given: so many short ones for a whole utterance,
# and larger ones until they have this share of training's frames, below which the time of an update is guessed.
CHEAP_SECONDS, CHEAP_STEPS, ROUGH_SHARE = 1.0, 10, 0.25
LARGEST_UPDATE_SHARE = 0.8  # more of a step's time is taken for noise
FLOAT_BYTES = 4
# Weights, gradients, and the two moments of Adam, in float32.
TRAINED_BYTES = 4 * FLOAT_BYTES


@dataclass(frozen=True)
class StepMeasure:
    """What training steps of one model came to.

    Attributes:
        name: Of the model.
        device: Where they ran.
        precision: Lightning's name of it.
        num_parameters: All parameters.
        num_steps: Steps that were timed.
        frames: Frames of a step as ``training.batch_frames`` counts them: padded, the longest prompts included.
        seconds: Median of a step.
        update_seconds: What of it an update takes whatever its batch.
        fixed_bytes: What a step needs beside weights, gradients and moments, whatever its batch: copies of the weights
            in half precision. On a GPU it may be negative: what is kept is gone before all gradients are there.
        kept_bytes: What it keeps for the backward pass, for each frame.
        flops: Operations of matrix products, convolutions and attention, forward and backward, for each frame; None
            where they were not counted.
    """

    name: str
    device: str
    precision: str
    num_parameters: int
    num_steps: int
    frames: int
    seconds: float
    update_seconds: float
    fixed_bytes: float
    kept_bytes: float
    flops: float | None

    @property
    def on_gpu(self) -> bool:
        """Whether they ran on a GPU."""
        return not self.device.startswith(CPU)

    @property
    def seconds_per_frame(self) -> float:
        """Time of a frame, beside that of the update."""
        return (self.seconds - self.update_seconds) / self.frames

    def memory(self, frames: int) -> int:
        """Bytes that training needs if so many frames are taken at once."""
        return round(self.num_parameters * TRAINED_BYTES + self.fixed_bytes + self.kept_bytes * frames)

    def frames_in(self, num_bytes: float) -> int:
        """Frames that can be taken at once in so many bytes, in thousands; 0 or less where not even 1000 can."""
        return int((num_bytes - self.memory(0)) / self.kept_bytes) // 1000 * 1000


class StepProbe:
    """Takes training steps of a model on batches of any number of utterances.

    Args:
        trainee: The model.
        lengths: Semantic frames of utterances that are like those to be trained on.
        sizes: Numbers of tokens.
        input_layer: Of the ASR.
    """

    def __init__(self, trainee: Trainee, lengths: np.ndarray, sizes: TokenSizes, *, input_layer: str):
        training = trainee.config.training
        self.trainee, self.lengths, self.sizes, self.input_layer = trainee, np.sort(lengths), sizes, input_layer
        on_gpu = torch.cuda.is_available() and training.accelerator != "cpu"
        self.device = torch.device("cuda" if on_gpu else "cpu")
        self.precision = choose_precision(training)
        trainee.module.to(self.device).train()
        learned = [parameter for parameter in trainee.module.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(trainee.config.optim, learned)
        self.gradient_bytes = sum(parameter.nbytes for parameter in learned)

    def batch(self, num_utts: int, *, longest: int | None = None) -> TokenBatch:
        """So many utterances of about the median length, cut to at most so many frames."""
        chosen, data = self._middle(num_utts, longest), self.trainee.config.data
        return random_batch(chosen, self.sizes, data, input_layer=self.input_layer).to(self.device)

    def frames(self, num_utts: int, *, longest: int | None = None) -> int:
        """Frames of that batch as training counts them."""
        return (int(self._middle(num_utts, longest).max()) + self.trainee.config.data.max_prompt_frames) * num_utts

    def _middle(self, num_utts: int, longest: int | None) -> np.ndarray:
        """Lengths of so many utterances around the median; of a smaller set some are taken again."""
        first = max((len(self.lengths) - num_utts) // 2, 0)
        chosen = np.resize(self.lengths[first : first + num_utts], num_utts)
        return chosen if longest is None else np.minimum(chosen, longest)

    def step(self, batch: TokenBatch) -> float:
        """One whole step; gives its seconds."""
        self._wait()
        started = time.perf_counter()
        self._loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(self.trainee.module.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._wait()
        return time.perf_counter() - started

    def kept(self, batch: TokenBatch) -> int:
        """Bytes that a step needs beside weights, gradients and moments, most of them kept for its backward pass."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            self.step(batch)
            return torch.cuda.max_memory_allocated() - before - self.gradient_bytes
        weights = {parameter.untyped_storage().data_ptr() for parameter in self.trainee.module.parameters()}
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()  # with its graph, an output that its own step saves would hold itself for ever

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = self._loss(batch)
        del loss  # Until here it holds what is kept, so that no two tensors are at one address.
        return sum(kept.values())

    def flops(self, batch: TokenBatch) -> int:
        """Operations of a step, with attention as the matrix products that it is made of."""
        from torch.nn.attention import SDPBackend, sdpa_kernel
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            self.step(batch)
        return counter.get_total_flops()

    def _loss(self, batch: TokenBatch) -> torch.Tensor:
        mixed = self.precision == "bf16-mixed"
        with torch.autocast(self.device.type, torch.bfloat16) if mixed else nullcontext():
            return self.trainee.loss(batch)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure_step(probe: StepProbe, *, seconds: float, count_flops: bool = False) -> StepMeasure:
    """Steps on the largest batch that leaves time for a few, but at most as large as training's.

    Args:
        probe: Of the model.
        seconds: Time to spend, about; three steps are taken in any case, two of them short, and steps of less than a
            second until a batch is a fair share of training's.
        count_flops: Count operations too, which takes a whole step.
    """
    ends = time.monotonic() + seconds
    flops = probe.flops(probe.batch(1)) / probe.frames(1) if count_flops else None
    short_seconds = _short_step(probe)
    num_steps = (ends - time.monotonic()) / (2 * short_seconds)
    if short_seconds < CHEAP_SECONDS:
        num_steps = max(num_steps, CHEAP_STEPS)
    longest, num_utts = _affordable_frames(probe, num_steps), 1
    batch = probe.batch(1, longest=longest)
    taken = probe.step(batch)
    # What is kept takes another step's time at most.
    while longest is None and _may_grow(probe, 2 * num_utts):
        if time.monotonic() + 5 * taken > ends and not (taken < CHEAP_SECONDS and _is_rough(probe, num_utts)):
            break
        if not _has_room(probe, batch):
            break
        try:
            larger = probe.batch(2 * num_utts)
            taken = probe.step(larger)
        except torch.cuda.OutOfMemoryError:
            probe.optimizer.zero_grad()
            break
        batch, num_utts = larger, 2 * num_utts
    fixed, kept = _kept_bytes(probe, num_utts, longest)
    times = [taken]
    while time.monotonic() + taken < ends:
        times.append(probe.step(batch))
    frames, taken = probe.frames(num_utts, longest=longest), float(np.median(times))
    return StepMeasure(
        name=probe.trainee.name,
        device=device_name(probe.device),
        precision=probe.precision,
        num_parameters=count_parameters(probe.trainee.module),
        num_steps=len(times),
        frames=frames,
        seconds=taken,
        update_seconds=_update_seconds(probe.frames(1, longest=SHORT_FRAMES), short_seconds, frames, taken),
        fixed_bytes=fixed,
        kept_bytes=kept,
        flops=flops,
    )


def _kept_bytes(probe: StepProbe, num_utts: int, longest: int | None) -> tuple[float, float]:
    """Bytes that a step needs whatever its batch, and those for each frame, by two batches of equal utterances."""
    sizes = (num_utts // 2, num_utts) if num_utts > 1 else (1, 2)
    fewer, more = (probe.frames(size, longest=longest) for size in sizes)
    of_fewer = probe.kept(probe.batch(sizes[0], longest=longest))
    try:
        of_more = probe.kept(probe.batch(sizes[1], longest=longest))
    except torch.cuda.OutOfMemoryError:
        probe.optimizer.zero_grad()
        return 0.0, of_fewer / fewer
    each = max((of_more - of_fewer) / (more - fewer), 1.0)
    return of_fewer - each * fewer, each


def _short_step(probe: StepProbe) -> float:
    """Seconds of a step on a short utterance, after one that makes the optimiser's state."""
    short = probe.batch(1, longest=SHORT_FRAMES)
    probe.step(short)
    return probe.step(short)


def _affordable_frames(probe: StepProbe, num_steps: float) -> int | None:
    """How many frames of an utterance a step can have in the time of so many short ones; None for a whole one."""
    affordable = num_steps * probe.frames(1, longest=SHORT_FRAMES)
    if affordable >= probe.frames(1):
        return None
    return max(int(affordable) - probe.trainee.config.data.max_prompt_frames, SHORT_FRAMES)


def _update_seconds(short_frames: int, short_seconds: float, frames: int, seconds: float) -> float:
    """What of a step's time does not grow with its frames, by the line through a short step and a longer one."""
    if frames <= short_frames:
        return 0.0
    each = (seconds - short_seconds) / (frames - short_frames)
    return min(max(seconds - each * frames, 0.0), LARGEST_UPDATE_SHARE * seconds)


def _is_rough(probe: StepProbe, num_utts: int) -> bool:
    """Whether a batch is too small to tell what training's takes."""
    return probe.frames(num_utts) < ROUGH_SHARE * probe.trainee.config.training.batch_frames


def _may_grow(probe: StepProbe, num_utts: int) -> bool:
    """Whether a batch of so many utterances is one that training could have."""
    training = probe.trainee.config.training
    fits = num_utts <= min(training.max_batch_size, len(probe.lengths))
    return fits and probe.frames(num_utts) <= training.batch_frames


def _has_room(probe: StepProbe, batch: TokenBatch) -> bool:
    """Whether a batch of twice the size needs at most half of the memory that is free; a GPU says so by itself."""
    return probe.device.type == "cuda" or 2 * probe.kept(batch) <= available_memory() / 2


def device_name(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    return f"{CPU}, {torch.get_num_threads()} threads"
