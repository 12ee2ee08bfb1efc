"""Measured speed of what comes after training: beam search, drawing from T2S, and S2A; on random tokens and weights.

Neither search nor drawing is let run to its end, which random weights would not come to as trained ones do: a few steps
are timed, and a step takes as long as any other.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.config.s2a import S2ADecodingConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.config.training import DataConfig
from tokenchain_toolkit.inference.asr_beam_search import BeamSearch
from tokenchain_toolkit.inference.s2a_decoding import num_passes
from tokenchain_toolkit.inference.t2s_sampling import sample_semantic
from tokenchain_toolkit.models.asr import TokenASR, encoder_frames
from tokenchain_toolkit.models.batch import TokenBatch, join_prompt
from tokenchain_toolkit.models.s2a import S2AModel
from tokenchain_toolkit.models.t2s import T2SModel
from tokenchain_toolkit.planning.probe import device_name
from tokenchain_toolkit.planning.recipe import TokenSizes
from tokenchain_toolkit.planning.trainees import random_batch

LONGEST = 300  # frames of an utterance; longer ones take about as long for each
STEPS = 8


@dataclass(frozen=True)
class DecodingMeasure:
    """What decoding came to.

    Attributes:
        name: ``asr``, ``t2s`` or ``s2a``.
        device: Where it ran.
        num_utts: Utterances at once.
        seconds_per_frame: Time for each frame that is recognised, drawn, or given codes.
    """

    name: str
    device: str
    num_utts: int
    seconds_per_frame: float


def measure_search(
    asr: TokenASR, config: ASRDecodingConfig, lengths: np.ndarray, sizes: TokenSizes, *, device: str, seconds: float
) -> DecodingMeasure:
    """Beam search of utterances of the median length, and as many units of each as its text has.

    Args:
        asr: Any weights.
        config: Beam, weights and batch.
        lengths: Semantic frames of utterances like those to be recognised.
        sizes: Numbers of tokens, and frames of a text unit.
        device: Torch device.
        seconds: Time to spend, about; one search of one utterance is made in any case.
    """
    asr.to(device).eval()
    frames = _middle(lengths)
    states, units = encoder_frames(frames, asr.config.input_layer), max(round(frames / sizes.frames_per_unit), 1)

    def search(num_utts: int, steps: int) -> int:
        share = (steps + 0.5) / max(states, 1)
        bounded = replace(config, batch_frames=frames * num_utts, max_length_ratio=share, min_length_ratio=share)
        spoken = np.random.default_rng(0).integers(0, sizes.num_semantic, (num_utts, frames))
        BeamSearch(asr, bounded).recognise(list(spoken))
        return steps

    steps = max(min(STEPS, states), 1)
    timer = _Timer(search, steps=steps, wanted=units, device=device)
    return _measured("asr", timer, frames, most=max(config.batch_frames // frames, 1), seconds=seconds)


def measure_drawing(
    t2s: T2SModel, config: T2SSamplingConfig, lengths: np.ndarray, sizes: TokenSizes, *, device: str, seconds: float
) -> DecodingMeasure:
    """Drawing tokens of texts of the median length, each once; arguments as of ``measure_search``."""
    t2s.to(device).eval()
    frames = _middle(lengths)

    def draw(num_utts: int, steps: int) -> int:
        batch = _batch(num_utts, frames, config.prompt_frames, sizes, device)
        cap = (steps + 0.5) / batch.text_BL.shape[1]
        drawn = sample_semantic(
            t2s,
            batch.text_BL,
            batch.text_lengths_B,
            prefix_BP=batch.prompt_BP,
            prefix_lengths_B=batch.prompt_lengths_B,
            config=replace(config, retries=0, max_frames_per_token=cap),
            streams=[np.random.default_rng(row) for row in range(num_utts)],
        )
        return max(len(each.semantic_T) for each in drawn)

    timer = _Timer(draw, steps=STEPS, wanted=frames, device=device)
    return _measured("t2s", timer, frames, most=config.batch_size, seconds=seconds)


def measure_codes(
    s2a: S2AModel, config: S2ADecodingConfig, lengths: np.ndarray, sizes: TokenSizes, *, device: str, seconds: float
) -> DecodingMeasure:
    """Codes of utterances of the median length, by as many passes as are configured; arguments as above."""
    s2a.to(device).eval()
    frames = _middle(lengths)
    passes = num_passes(config, num_quantizers=s2a.num_quantizers) * (2 if config.guidance > 0 else 1)

    @torch.no_grad()
    def look(num_utts: int, steps: int) -> int:
        batch = _batch(num_utts, frames, config.prompt_frames, sizes, device)
        semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
        for _ in range(steps):
            s2a(semantic_BN, codes_BNQ, lengths_B, torch.zeros_like(lengths_B))
        return steps

    timer = _Timer(look, steps=2, wanted=passes, device=device)
    return _measured("s2a", timer, frames, most=config.batch_size, seconds=seconds)


class _Timer:
    """Time of a decoding of so many utterances, of which a few steps are made.

    Args:
        decode: Makes so many steps for so many utterances; tells how many it has made.
        steps: To make.
        wanted: Steps of a whole decoding.
        device: Torch device.
    """

    def __init__(self, decode: Callable[[int, int], int], *, steps: int, wanted: int, device: str):
        self.decode, self.steps, self.wanted, self.device = decode, steps, wanted, device

    def __call__(self, num_utts: int) -> float:
        """Seconds of the whole decoding: what it begins with and its first step, and so many further ones."""
        first, made_first = self._time(num_utts, 1)
        more, made_more = self._time(num_utts, self.steps)
        if made_more <= made_first:
            return more / max(made_more, 1) * self.wanted
        each = max(more - first, 0.0) / (made_more - made_first)
        return first + each * max(self.wanted - made_first, 0)

    def _time(self, num_utts: int, steps: int) -> tuple[float, int]:
        started = time.perf_counter()
        made = self.decode(num_utts, steps)
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - started, made


def _measured(name: str, timer: _Timer, frames: int, *, most: int, seconds: float) -> DecodingMeasure:
    """The measure with as many utterances at once as there is time for, but at most so many."""
    ends = time.monotonic() + seconds
    timer.decode(1, 1)  # warms up
    num_utts, device = 1, device_name(torch.device(timer.device))
    while True:
        started = time.monotonic()
        taken = timer(num_utts)
        if 2 * num_utts > most or time.monotonic() + 2 * (time.monotonic() - started) > ends:
            return DecodingMeasure(name, device, num_utts, taken / (num_utts * frames))
        num_utts *= 2


def _middle(lengths: np.ndarray) -> int:
    """The median length, if that is not very long."""
    return min(max(int(np.median(lengths)), 1), LONGEST)


def _batch(num_utts: int, frames: int, prompt_frames: int, sizes: TokenSizes, device: str) -> TokenBatch:
    """Random utterances of equal length with prompts."""
    prompts = DataConfig(min_prompt_frames=prompt_frames, max_prompt_frames=prompt_frames)
    lengths = np.full(num_utts, frames)
    return random_batch(lengths, sizes, prompts, input_layer="linear").to(torch.device(device))
