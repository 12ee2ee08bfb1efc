"""Does the gradient of L_rec do what it is for? For every link, what a small step along it does to L_rec.

Usage: python tools/bench/feedback.py --asr exp/asr --t2s exp/t2s --data data/read_valid --dump dump/mfcc/read_valid

Of some batches of paired data, in evaluation mode: L_rec is read and computed anew after a step of the ASR against its
gradient, so long that it should lower L_rec by the figure above the column, and after a step as long as the last in a
random direction. The cosines are between the gradients at the posteriors: of the estimator and of expected embeddings
(soft), of the estimator and an unbiased score-function estimate, and what that would be for the true gradient (ceiling:
the estimate is noisy); and between the gradients of L_rec and of L_ASR at the ASR's weights.
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import torch

from tokenchain_toolkit.config.chain import FEEDBACKS, READINGS, ChainModelConfig
from tokenchain_toolkit.config.training import DataConfig
from tokenchain_toolkit.data.corpus import load_corpus
from tokenchain_toolkit.data.dataset import TokenDataset, collate
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.models.asr import TokenASR
from tokenchain_toolkit.models.batch import TokenBatch
from tokenchain_toolkit.models.chain import ChainModel, Link
from tokenchain_toolkit.models.chain_diagnostics import estimator_bias, feedback_gradients
from tokenchain_toolkit.models.t2s import T2SModel

COSINES = ("estimator_cosine", "score_cosine", "score_ceiling", "gradient_cosine")


def main() -> int:
    """Try every link, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, what in (("asr", "ASR model folder"), ("t2s", "T2S model folder"), ("data", "Kaldi directory")):
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--dump", type=Path, required=True, help="its token dump")
    parser.add_argument("--batches", type=int, default=8, help="batches to take means over")
    parser.add_argument("--batch_size", type=int, default=8, help="utterances of a batch")
    parser.add_argument(
        "--steps", type=float, nargs="+", default=[0.003, 0.01, 0.03], help="what a step should lower L_rec by"
    )
    parser.add_argument("--temperature", type=float, default=1.0, help="tau of the interface")
    arguments = parser.parse_args()
    asr, t2s = load_model(arguments.asr, kind="asr"), load_model(arguments.t2s, kind="t2s")
    assert isinstance(asr.module, TokenASR) and isinstance(t2s.module, T2SModel)
    chain = ChainModel(ChainModelConfig(feedback="none"), asr=asr.module, t2s=t2s.module).eval()
    corpus = load_corpus(arguments.dump, arguments.data, text_tokenizer=asr.text_tokenizer)
    dataset = TokenDataset(corpus, DataConfig(), seed=0, epoch=0)
    size, count = arguments.batch_size, min(arguments.batch_size * arguments.batches, len(dataset))
    batches = [
        collate([dataset[index] for index in range(start, min(start + size, count))]) for start in range(0, count, size)
    ]
    columns = [*(f"-{step:g}" for step in arguments.steps), "random", "soft", "score", "ceiling", "L_ASR"]
    sys.stdout.write(f"| feedback | reading | {' | '.join(columns)} |\n|---|---|{'---:|' * len(columns)}\n")
    for feedback, reading in itertools.product(FEEDBACKS[1:], READINGS):
        try:
            link = Link(feedback, reading)
        except ConfigError:
            continue  # two that do not go together
        cells = measure(chain, batches, link, arguments)
        sys.stdout.write(f"| {feedback} | {reading} | {' | '.join(cells)} |\n")
        sys.stdout.flush()
    return 0


def measure(chain: ChainModel, batches: list[TokenBatch], link: Link, arguments: argparse.Namespace) -> list[str]:
    """Changes of L_rec by each step and by the longest random one, with standard errors, and cosines."""
    cells = []
    found: list[dict[str, float]] = []
    settings = {"link": link, "temperature": arguments.temperature, "generator": torch.Generator().manual_seed(0)}
    for step in arguments.steps:
        found = [feedback_gradients(chain, batch, step=step, **settings) for batch in batches]
        cells.append(mean([each["rec_step_change"] for each in found]))
    cells.append(mean([each["rec_step_random"] for each in found]))
    found = [each | estimator_bias(chain, batch, **settings) for each, batch in zip(found, batches, strict=True)]
    for name in COSINES:
        cells.append(f"{np.mean([each[name] for each in found]):.2f}" if name in found[0] else "")
    return cells


def mean(values: list[float]) -> str:
    """Mean and its standard error."""
    return f"{np.mean(values):+.4f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.4f}"


if __name__ == "__main__":
    sys.exit(main())
