"""What tokens are like by themselves: how much of a codebook is used, how many bits it carries, how long tokens last.

Shapes: N frames of all utterances one after another, K codebook entries, U utterances.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CodebookStatistics:
    """One codebook over a set.

    Attributes:
        counts_K: Frames of each entry.
        entropy_bits: Entropy of the entries' frequencies.
        perplexity: Two to the power of the entropy: entries that would be used if all used ones were equally frequent.
        dead: Entries that never occur.
        bits_per_second: Entropy times frame rate, an upper bound of the information per second.
    """

    counts_K: np.ndarray
    entropy_bits: float
    perplexity: float
    dead: int
    bits_per_second: float


def codebook_statistics(tokens_N: np.ndarray, *, size: int, frame_rate: float) -> CodebookStatistics:
    """Statistics of one stream of tokens.

    Args:
        tokens_N: Entries in 0..size-1.
        size: Entries K of the codebook.
        frame_rate: Tokens per second.
    """
    counts_K = np.bincount(tokens_N, minlength=size)
    entropy = entropy_bits(counts_K)
    return CodebookStatistics(
        counts_K=counts_K,
        entropy_bits=entropy,
        perplexity=2.0**entropy,
        dead=int((counts_K == 0).sum()),
        bits_per_second=entropy * frame_rate,
    )


def entropy_bits(counts: np.ndarray) -> float:
    """Entropy of the distribution that counts of any shape give; 0 without counts."""
    used = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(used * np.log2(used)).sum()) + 0.0


def run_lengths(tokens_N: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Frames of each run of equal tokens; a run ends with its utterance.

    Args:
        tokens_N: Tokens of all utterances.
        offsets: Bounds of the utterances, shape (U + 1,).

    Returns:
        One length per run, in order.
    """
    if not len(tokens_N):
        return np.zeros(0, np.int64)
    begins_N = np.ones(len(tokens_N), bool)
    begins_N[1:] = tokens_N[1:] != tokens_N[:-1]
    begins_N[offsets[:-1][np.diff(offsets) > 0]] = True
    return np.diff(np.append(np.flatnonzero(begins_N), len(tokens_N)))
