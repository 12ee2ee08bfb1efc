"""What natural semantic tokens are like in two respects that drawn ones fail in: length for a text, and repetition.

Shapes: T frames, U utterances.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NORM_UTTS = 500  # utterances that norms are learned from, spread evenly over the set
# A loop is bad from so many times the repetition that one natural utterance in a hundred reaches.
LOOP_PERCENTILE, LOOP_FACTOR = 99, 3
MAX_PERIOD = 150  # frames, three seconds of speech at 50 Hz


@dataclass(frozen=True)
class SpeechNorms:
    """Expected length and bearable repetition; a norm of 0 is not known, and nothing is judged by it.

    Attributes:
        frames_per_token: Frames that a text token adds.
        extra_frames: Frames that every utterance has besides, such as the silence around it.
        longest_loop: The longest loop, as ``longest_loop`` counts it, that is still taken for speech.
    """

    frames_per_token: float = 0.0
    extra_frames: float = 0.0
    longest_loop: int = 0

    def expected_frames(self, num_tokens: int) -> float:
        """Frames that a text is expected to take, at least 1; 0 if that is not known."""
        if self.frames_per_token == 0 and self.extra_frames == 0:
            return 0.0
        return max(self.extra_frames + self.frames_per_token * num_tokens, 1.0)


def learn_norms(utterances: Sequence[np.ndarray], num_tokens: Sequence[int]) -> SpeechNorms:
    """Norms of natural speech: a line through its lengths by least squares, and what it repeats.

    Args:
        utterances: Natural semantic tokens, each of shape (T,); at least one.
        num_tokens: Text tokens of each.
    """
    chosen = np.unique(np.linspace(0, len(utterances) - 1, NORM_UTTS).astype(int))
    some = [utterances[index] for index in chosen]
    loops_U = [longest_loop(semantic_T) for semantic_T in some]
    extra, slope = length_line([num_tokens[index] for index in chosen], [len(semantic_T) for semantic_T in some])
    bearable = max(LOOP_FACTOR * float(np.percentile(loops_U, LOOP_PERCENTILE)), 1.0)
    return SpeechNorms(frames_per_token=slope, extra_frames=extra, longest_loop=round(bearable))


def length_line(num_units: Sequence[int], num_frames: Sequence[int]) -> tuple[float, float]:
    """Intercept and slope of frames over text units, by least squares; if all texts are equally long, their mean."""
    units_U = np.asarray(num_units, dtype=float)
    design_U2 = np.stack([np.ones_like(units_U), units_U], axis=1)
    (extra, slope), *_ = np.linalg.lstsq(design_U2, np.asarray(num_frames, dtype=float), rcond=None)
    return float(extra), float(slope)


def longest_loop(semantic_T: np.ndarray) -> int:
    """Most frames in a row that each repeat the frame one period before, over periods up to ``MAX_PERIOD``.

    A token that lasts n frames counts n - 1 (period 1); a phrase of n frames said k times in a row, n * (k - 1).
    """
    longest = 0
    for period in range(1, min(MAX_PERIOD, len(semantic_T) // 2) + 1):
        breaks = np.flatnonzero(semantic_T[period:] != semantic_T[:-period])
        edges = np.concatenate([[-1], breaks, [len(semantic_T) - period]])
        longest = max(longest, int(np.diff(edges).max()) - 1)
    return longest
