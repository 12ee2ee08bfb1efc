"""How well tokens and phones agree, where the phones' times are known.

The measures are those of HuBERT (Hsu et al. 2021, section IV-E). Shapes: N frames, P phones, K codebook entries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.data.kaldi import read_rows
from tokenchain_toolkit.data.token_dump import TokenDump
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics.token_statistics import entropy_bits

Interval = tuple[float, float, str]


@dataclass(frozen=True)
class PhoneAgreement:
    """Agreement over the frames whose phone is known.

    Attributes:
        phone_purity: Share of frames that have the likeliest phone of their token.
        cluster_purity: Share of frames that have the likeliest token of their phone.
        pnmi: Mutual information of phone and token, divided by the entropy of the phones.
        frames: Frames compared.
    """

    phone_purity: float
    cluster_purity: float
    pnmi: float
    frames: int


def read_phones(path: Path) -> dict[str, list[Interval]]:
    """Read ``phones``, lines of ``utt_id start end phone`` with times in seconds.

    Raises:
        DataError: The file is missing, or a line is not of this form.
    """
    phones: dict[str, list[Interval]] = {}
    for number, utt_id, rest in read_rows(path):
        try:
            start, end, phone = rest.split()
            phones.setdefault(utt_id, []).append((float(start), float(end), phone))
        except ValueError as error:
            raise DataError(f"{path}:{number}: not 'utt_id start end phone' ({rest!r}); write it again") from error
    return phones


def phone_agreement(dump: TokenDump, phones: Mapping[str, list[Interval]], *, frame_rate: float) -> PhoneAgreement:
    """Agreement of the semantic tokens of a dump with phones.

    Args:
        dump: Tokens.
        phones: Intervals of each utterance; utterances without any are left out.
        frame_rate: Frames per second.

    Raises:
        DataError: No utterance of the dump has phones.
    """
    names = sorted({phone for intervals in phones.values() for _, _, phone in intervals})
    number = {phone: index for index, phone in enumerate(names)}
    joint_PK = np.zeros((len(names), int(dump.manifest["semantic"]["num_clusters"])), np.int64)
    for index, utt_id in enumerate(dump.utt_ids):
        semantic_T = dump.semantic_of(index)
        phone_T = _phones_of_frames(phones.get(utt_id, []), number, frames=len(semantic_T), frame_rate=frame_rate)
        known_T = phone_T >= 0
        np.add.at(joint_PK, (phone_T[known_T], semantic_T[known_T]), 1)
    if not joint_PK.sum():
        raise DataError("no utterance of the dump has phones; are the two of the same set?")
    return agreement_of(joint_PK)


def agreement_of(joint_PK: np.ndarray) -> PhoneAgreement:
    """The measures from the number of frames with each phone and token."""
    frames = int(joint_PK.sum())
    phone_entropy, token_entropy = entropy_bits(joint_PK.sum(1)), entropy_bits(joint_PK.sum(0))
    information = phone_entropy + token_entropy - entropy_bits(joint_PK)
    return PhoneAgreement(
        phone_purity=float(joint_PK.max(0).sum() / frames),
        cluster_purity=float(joint_PK.max(1).sum() / frames),
        pnmi=information / phone_entropy if phone_entropy else 0.0,
        frames=frames,
    )


def _phones_of_frames(
    intervals: list[Interval], number: Mapping[str, int], *, frames: int, frame_rate: float
) -> np.ndarray:
    """Number of the phone at the middle of each frame, -1 where there is none; int64 of shape (frames,)."""
    if not intervals:
        return np.full(frames, -1, np.int64)
    starts, ends, names = zip(*sorted(intervals), strict=True)
    middle_T = (np.arange(frames) + 0.5) / frame_rate
    # The last interval that has begun, if there is one and it has not ended.
    found_T = np.searchsorted(starts, middle_T, side="right") - 1
    inside_T = (found_T >= 0) & (middle_T < np.asarray(ends)[found_T])
    return np.where(inside_T, np.array([number[name] for name in names])[found_T], -1)
