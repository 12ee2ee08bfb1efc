"""What is bad about a draw of T2S, and which of several draws of an utterance is kept.

Shapes: B utterances, L text positions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.inference.listening import Listener
from tokenchain_toolkit.metrics.speech_norms import SpeechNorms, longest_loop

UNENDED, LOOP, LENGTH, MISREAD = FAULTS = ("unended", "loop", "length", "misread")


@dataclass(frozen=True)
class SampledSpeech:
    """What was drawn for one utterance.

    Attributes:
        semantic_T: Tokens.
        ended: False if the length cap cut it off.
        faults: What is bad about it, of ``unended``, ``loop``, ``length`` and ``misread``; none if it is good.
        draws: How often it was drawn.
        first_faults: What was bad about the first draw.
        misread: Share of the text's characters that the listener misreads; 0 without one.
    """

    semantic_T: torch.Tensor
    ended: bool
    faults: tuple[str, ...] = ()
    draws: int = 1
    first_faults: tuple[str, ...] = ()
    misread: float = 0.0


def hear(
    drawn: Sequence[SampledSpeech], text_BL: torch.Tensor, text_lengths_B: torch.Tensor, listener: Listener
) -> list[SampledSpeech]:
    """The draws, each with how much of it the listener misreads; ``text_BL`` holds their text ids."""
    texts = [text_L[:length].tolist() for text_L, length in zip(text_BL, text_lengths_B.tolist(), strict=True)]
    shares = listener([speech.semantic_T for speech in drawn], texts)
    return [replace(speech, misread=share) for speech, share in zip(drawn, shares, strict=True)]


def judge(speech: SampledSpeech, expected: float, norms: SpeechNorms, config: T2SSamplingConfig) -> SampledSpeech:
    """A draw with what is bad about it; a length that is not known to be wrong is right.

    Args:
        speech: What was drawn.
        expected: Its frames, as they are expected; 0 if unknown.
        norms: Of natural speech.
        config: Says how far off a draw may be.
    """
    found = {
        UNENDED: not speech.ended,
        LOOP: 0 < norms.longest_loop < longest_loop(speech.semantic_T.cpu().numpy()),
        LENGTH: _off(speech, expected) > math.log(config.length_tolerance),
        MISREAD: speech.misread > config.most_misread,
    }
    faults = tuple(fault for fault, there in found.items() if there)
    return replace(speech, faults=faults, first_faults=faults)


def _off(speech: SampledSpeech, expected: float) -> float:
    """How far the length is from the expected one, by the logarithm of their ratio."""
    return abs(math.log(len(speech.semantic_T) / expected)) if expected else 0.0


def better(first: SampledSpeech, other: SampledSpeech, expected: float) -> SampledSpeech:
    """The draw to keep, as T2SSamplingConfig says, with the faults of the first; the first of equal ones."""

    def badness(speech: SampledSpeech) -> tuple[bool, bool, bool, float, float]:
        faults = speech.faults
        return UNENDED in faults, LOOP in faults, LENGTH in faults, speech.misread, _off(speech, expected)

    kept = other if badness(other) < badness(first) else first
    return replace(kept, first_faults=first.first_faults)
