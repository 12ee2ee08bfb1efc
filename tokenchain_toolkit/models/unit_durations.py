"""How long each text unit lasts, learned from whole utterances: no alignment is needed.

Shapes: U utterances, V text units.
"""

from collections.abc import Sequence

import numpy as np

# A unit that is said so many times is moved half-way from the mean of all units to what its utterances say of it.
PRIOR_COUNT = 5.0


def learn_unit_durations(
    texts: Sequence[np.ndarray], num_frames: Sequence[int] | np.ndarray, *, vocab_size: int
) -> tuple[np.ndarray, float]:
    """Frames of each text unit, and those that every utterance has besides, such as the silence around it.

    The length of an utterance is taken for the sum of its units' durations (least squares over all utterances, with a
    ridge towards one duration for all units).

    Args:
        texts: Text ids of each utterance; at least one.
        num_frames: Semantic frames of each.
        vocab_size: Text units V.

    Returns:
        Durations (V,), none below 0, and the frames besides, which are negative where units overlap.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import lsqr

    lengths_U = np.array([len(text_L) for text_L in texts], dtype=float)
    frames_U = np.asarray(num_frames, dtype=float)
    design_U2 = np.stack([np.ones_like(lengths_U), lengths_U], axis=1)
    (extra, mean), *_ = np.linalg.lstsq(design_U2, frames_U, rcond=None)
    ends = np.cumsum([0, *(len(text_L) for text_L in texts)])
    units = np.concatenate([np.asarray(text_L, dtype=np.int64) for text_L in texts])
    counts_UV = csr_array((np.ones(len(units)), units, ends), shape=(len(texts), vocab_size))
    differences_V, *_ = lsqr(counts_UV, frames_U - design_U2 @ [extra, mean], damp=PRIOR_COUNT**0.5)
    return np.maximum(mean + differences_V, 0.0), float(extra)
