"""How long each text unit lasts, learned from whole utterances: no alignment is needed.

Shapes: U utterances, V text units, X = V + 1.
"""

from collections.abc import Sequence

import numpy as np

# A unit that is said so many times is moved half-way from what its size tells to what its utterances say of it.
PRIOR_COUNT = 5.0


def learn_unit_durations(
    texts: Sequence[np.ndarray], num_frames: Sequence[int] | np.ndarray, *, unit_sizes: Sequence[int]
) -> tuple[np.ndarray, float]:
    """Frames of each text unit, and those that every utterance has besides, such as the silence around it.

    The length of an utterance is taken for the sum of its units' durations and of what is besides (least squares over
    all utterances), with a ridge towards durations in proportion to the units' sizes.

    Args:
        texts: Text ids of each utterance; at least one.
        num_frames: Semantic frames of each.
        unit_sizes: Size of each of the V units, such as its characters.

    Returns:
        Durations (V,), none below 0, and the frames besides, which are negative where units overlap.
    """
    from scipy.sparse import csr_array, hstack

    frames_U, sizes_V = np.asarray(num_frames, dtype=float), np.asarray(unit_sizes, dtype=float)
    ends = np.cumsum([0, *(len(text_L) for text_L in texts)])
    units = np.concatenate([np.asarray(text_L, dtype=np.int64) for text_L in texts])
    counts_UV = csr_array((np.ones(len(units)), units, ends), shape=(len(texts), len(sizes_V)))
    size_U, ones_U = counts_UV @ sizes_V, np.ones(len(texts))
    (extra, frames_per_size), *_ = np.linalg.lstsq(np.stack([ones_U, size_U], axis=1), frames_U, rcond=None)
    design_UX = hstack([counts_UV, csr_array(ones_U[:, None])], format="csr")
    left_U = frames_U - extra - frames_per_size * size_U
    # What is besides is not drawn towards its prior: it would be taken for the mean length of all utterances where the
    # size of a text tells little.
    ridge_XX = np.diag([*np.full(len(sizes_V), PRIOR_COUNT), 0.0])
    differences_X = np.linalg.solve((design_UX.T @ design_UX).toarray() + ridge_XX, design_UX.T @ left_U)
    durations_V = np.maximum(frames_per_size * sizes_V + differences_X[:-1], 0.0)
    return durations_V, float(extra + differences_X[-1])
