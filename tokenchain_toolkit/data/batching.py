"""Batches of utterances of similar length: deterministic by seed and epoch."""

import numpy as np


def make_batches(
    lengths: np.ndarray, *, batch_frames: int, max_batch_size: int, min_batch_size: int = 1, seed: int, epoch: int
) -> list[np.ndarray]:
    """Group utterances so that the padded size of a batch stays within ``batch_frames``.

    Lengths are jittered by 5 % before sorting, so that batches differ between epochs; then batches are shuffled.

    Args:
        lengths: Frames of each utterance.
        batch_frames: Bound on (longest utterance) x (utterances) of a batch; a longer single utterance is alone.
        max_batch_size: Bound on utterances.
        min_batch_size: No batch is smaller, whatever the bounds, unless there are fewer utterances. What is left over
            at the end then joins the batch before it, and all others stay in their order.
        seed: Seed of the run.
        epoch: Epoch, from 0.

    Returns:
        Index arrays; each utterance stands in exactly one.
    """
    generator = np.random.default_rng((seed, epoch))
    order = np.argsort(lengths * generator.uniform(0.95, 1.05, len(lengths)), kind="stable")
    batches, start, longest = [], 0, 0
    for stop, index in enumerate(order):
        longest = max(longest, int(lengths[index]))
        size = stop - start + 1
        if size > max(min_batch_size, 1) and (longest * size > batch_frames or size > max_batch_size):
            batches.append(order[start:stop])
            start, longest = stop, int(lengths[index])
    batches.append(order[start:])
    shuffled = generator.permutation(len(batches)).tolist()
    if len(batches) > 1 and len(batches[-1]) < min_batch_size:
        batches[-2] = np.concatenate(batches[-2:])
        shuffled.remove(len(batches) - 1)
    return [batches[index] for index in shuffled]


def padding_share(lengths: np.ndarray, batches: list[np.ndarray]) -> float:
    """Share of padded frames over all batches, in [0, 1]."""
    padded = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    return 1.0 - float(lengths.sum()) / padded
