"""What a chain step costs: against the sum of an ASR step and a T2S step on the same batch.

Usage: python tools/bench/chain.py [--asr egs2/mini_synth/tokenchain1/conf/train_asr.yaml] [--t2s .../train_t2s.yaml]
       [--feedback st_argmax st_gumbel soft] [--reading teacher_forced] [--device cpu]

A step is forward, backward, clipping and AdamW. The batch is of random tokens and text with lengths like those of
LibriSpeech, put together as training does it; the share of its padding is printed. Steps of all kinds take turns, and
the figures are medians over the turns. Memory is what the forward pass keeps for the backward pass, counted once for
each storage, or on a GPU the peak.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tokenchain_toolkit.config.asr import ASRConfig
from tokenchain_toolkit.config.chain import FEEDBACKS, READINGS, ChainModelConfig
from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.data.batching import make_batches, padding_share
from tokenchain_toolkit.data.dataset import Example, collate
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models.asr import TokenASR, count_parameters
from tokenchain_toolkit.models.batch import TokenBatch
from tokenchain_toolkit.models.chain import ChainModel
from tokenchain_toolkit.models.t2s import T2SModel

RECIPE = Path(__file__).resolve().parents[2] / "egs2/mini_synth/tokenchain1/conf"
MIB = 2**20


def main() -> int:
    """Measure every kind of step, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--asr", type=Path, default=RECIPE / "train_asr.yaml", help="configuration of the ASR")
    parser.add_argument("--t2s", type=Path, default=RECIPE / "train_t2s.yaml", help="configuration of T2S")
    parser.add_argument("--feedback", nargs="+", choices=FEEDBACKS[1:], default=["st_argmax", "st_gumbel", "soft"])
    parser.add_argument("--reading", nargs="+", choices=READINGS, default=["teacher_forced"], help="what the ASR reads")
    parser.add_argument("--batch_frames", type=int, default=4000, help="semantic frames of a batch, with padding")
    parser.add_argument("--num_semantic", type=int, default=500, help="clusters")
    parser.add_argument("--vocab_size", type=int, default=1000, help="text units")
    parser.add_argument("--frames_per_unit", type=float, default=8.6, help="mean frames of a text unit")
    parser.add_argument("--turns", type=int, default=15, help="steps of each kind")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch")
    parser.add_argument("--device", default="cpu", help="torch device")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    asr_config, t2s_config = load_config(ASRConfig, arguments.asr), load_config(T2SConfig, arguments.t2s)
    sizes = {"num_semantic": arguments.num_semantic, "vocab_size": arguments.vocab_size}
    asr = TokenASR(asr_config.model, **sizes).to(device)
    t2s = T2SModel(t2s_config.model, **sizes).to(device)
    batch = make_batch(arguments).to(device)
    sys.stdout.write(
        f"ASR {count_parameters(asr) / 1e6:.1f} M, T2S {count_parameters(t2s) / 1e6:.1f} M parameters; "
        f"{len(batch)} utterances of {int(batch.semantic_lengths_B.sum())} frames and "
        f"{int(batch.text_lengths_B.sum())} text units; {arguments.threads} threads, {device}\n\n"
    )
    steps = kinds(arguments, asr, t2s, batch)
    times: dict[str, list[float]] = {name: [] for name in steps}
    kept: dict[str, int] = {}
    for turn in range(arguments.turns + 1):
        for name, step in steps.items():
            taken, kept[name] = step.take(device)
            if turn:  # the first turn makes the optimisers' state
                times[name].append(taken)
    seconds = {name: float(np.median(each)) for name, each in times.items()}
    sum_seconds, sum_kept = seconds["ASR"] + seconds["T2S"], kept["ASR"] + kept["T2S"]
    sys.stdout.write("| step | ms | against the sum | memory (MiB) | against the sum |\n|---|---:|---:|---:|---:|\n")
    for name, each in {**seconds, "ASR + T2S": sum_seconds}.items():
        size = kept.get(name, sum_kept)
        sys.stdout.write(
            f"| {name} | {1000 * each:.0f} | {each / sum_seconds:.3f} | {size / MIB:.0f} | {size / sum_kept:.3f} |\n"
        )
    return 0


def make_batch(arguments: argparse.Namespace) -> TokenBatch:
    """The batch of median length among those of 2,000 utterances; prints the share of padding over all of them."""
    random = np.random.default_rng(0)
    frames = np.clip(random.normal(12.3, 3.8, 2000), 1.5, 17) * 50
    short = random.random(2000) < 0.25  # LibriSpeech has a quarter of utterances spread below the bulk
    lengths = np.where(short, random.uniform(1.5, 12, 2000) * 50, frames).astype(int)
    batches = make_batches(lengths, batch_frames=arguments.batch_frames, max_batch_size=512, seed=0, epoch=0)
    sys.stdout.write(f"padding of length-bucketed batches: {padding_share(lengths, batches):.1%}\n")
    chosen = sorted(batches, key=lambda batch: lengths[batch].max())[len(batches) // 2]
    examples = []
    for number in chosen:
        units = max(1, round(lengths[number] / arguments.frames_per_unit))
        semantic_T = random.integers(0, arguments.num_semantic, lengths[number])
        text_L = random.integers(1, arguments.vocab_size - 1, units)
        examples.append(Example(f"utt{number}", semantic_T, text_L, semantic_T[:0]))
    return collate(examples)


def kinds(arguments: argparse.Namespace, asr: TokenASR, t2s: T2SModel, batch: TokenBatch) -> dict[str, "Step"]:
    """Each kind of step by its name."""
    generator = torch.Generator(device=arguments.device).manual_seed(0)
    plain = ChainModel(ChainModelConfig(feedback="none"), asr=asr, t2s=t2s)
    asr_optimiser, t2s_optimiser = (torch.optim.AdamW(model.parameters(), lr=1e-5) for model in (asr, t2s))
    speech_and_text = (batch.semantic_BT, batch.semantic_lengths_B, batch.text_BL, batch.text_lengths_B)
    found = {
        "ASR": Step(lambda: asr(*speech_and_text).loss, [asr_optimiser]),
        "T2S": Step(lambda: plain.reconstruct_from_ids(batch.text_BL, batch).loss, [t2s_optimiser]),
    }
    for feedback, reading in itertools.product(arguments.feedback, arguments.reading):
        try:
            chain = ChainModel(ChainModelConfig(feedback=feedback, reading=reading), asr=asr, t2s=t2s)
        except ConfigError:
            continue  # two that do not go together

        def loss(chain: ChainModel = chain) -> torch.Tensor:
            output = chain(batch, temperature=1.0, generator=generator)
            return output.asr.loss + output.t2s.loss

        found[f"chain, {feedback}, {reading}"] = Step(loss, [asr_optimiser, t2s_optimiser])
    return found


@dataclass
class Step:
    """A kind of training step: its loss, and who learns from it."""

    loss: Callable[[], torch.Tensor]
    optimisers: list[torch.optim.Optimizer]

    def take(self, device: torch.device) -> tuple[float, int]:
        """One whole step: its seconds, and the bytes that it kept."""
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        on_gpu = device.type == "cuda"
        if on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        counting = nullcontext() if on_gpu else torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
        with counting:
            loss = self.loss()
        loss.backward()
        for optimiser in self.optimisers:
            torch.nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], 5.0)
            optimiser.step()
            optimiser.zero_grad()
        if on_gpu:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        return seconds, torch.cuda.max_memory_allocated() if on_gpu else sum(kept.values())


if __name__ == "__main__":
    sys.exit(main())
