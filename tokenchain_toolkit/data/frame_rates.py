"""Semantic tokens and acoustic codes that come at different frame rates (50 and 75 Hz, 50 and 12.5 Hz).

Shapes: T semantic frames, N acoustic frames, k semantic tokens of one acoustic frame.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenchain_toolkit.errors import DataError

TOLERANCE_FRAMES = 2  # of the slower rate: unpadded convolutions lose a frame, padded ones add up to one

ROUNDING = 1e-6  # seconds


@dataclass(frozen=True)
class FrameRates:
    """Frames per second of both halves of a tokenizer.

    Attributes:
        semantic: Hz.
        acoustic: Hz.
    """

    semantic: float
    acoustic: float

    @classmethod
    def of(cls, manifest: dict[str, Any]) -> "FrameRates":
        """The rates of a manifest that has an acoustic part."""
        return cls(float(manifest["semantic"]["frame_rate"]), float(manifest["acoustic"]["frame_rate"]))

    @property
    def tokens_per_frame(self) -> int:
        """Semantic tokens k that one acoustic frame is given: 1 unless the semantic rate is much the higher one."""
        return max(1, round(self.semantic / self.acoustic))

    def acoustic_frames(self, semantic_frames: int) -> int:
        """Acoustic frames N that last as long as so many semantic ones, at least one."""
        return max(1, round(semantic_frames * self.acoustic / self.semantic))

    def check(self, semantic_frames: int, acoustic_frames: int, *, name: str) -> None:
        """Refuse an utterance whose two halves do not last equally long.

        At equal rates the numbers of frames must be equal; at others the durations may differ by two frames of the
        slower rate.

        Raises:
            DataError: They differ by more.
        """
        allowed = 0.0 if self.semantic == self.acoustic else TOLERANCE_FRAMES / min(self.semantic, self.acoustic)
        seconds = semantic_frames / self.semantic, acoustic_frames / self.acoustic
        if abs(seconds[0] - seconds[1]) > allowed + ROUNDING:
            raise DataError(
                f"{name} has {semantic_frames} semantic tokens at {self.semantic:g} Hz ({seconds[0]:.2f} s) and "
                f"{acoustic_frames} frames of codes at {self.acoustic:g} Hz ({seconds[1]:.2f} s); they are not of the "
                "same audio: extract the tokens again"
            )

    def align(self, semantic_T: np.ndarray, num_frames: int) -> np.ndarray:
        """Semantic tokens at the times of acoustic frames.

        Each acoustic frame is cut into k equal parts, and each part is given the token that lasts at its middle.

        Args:
            semantic_T: Tokens of one utterance.
            num_frames: Acoustic frames N.

        Returns:
            Shape (N,), or (N, k) where k is above 1.
        """
        if self.semantic == self.acoustic and len(semantic_T) == num_frames:
            return semantic_T
        parts = self.tokens_per_frame
        middles_P = (np.arange(num_frames * parts) + 0.5) / parts
        index_P = np.minimum((middles_P * (self.semantic / self.acoustic)).astype(np.int64), len(semantic_T) - 1)
        return semantic_T[index_P] if parts == 1 else semantic_T[index_P].reshape(num_frames, parts)
