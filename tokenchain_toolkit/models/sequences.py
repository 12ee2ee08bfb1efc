"""Tensor operations on padded batches of sequences.

Shapes: B utterances, N positions of an assembled sequence, D features, V text units.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch

IGNORE_ID = -1


def valid_mask(lengths_B: torch.Tensor, max_length: int) -> torch.Tensor:
    """True at real positions, False at padding; shape (B, max_length)."""
    return torch.arange(max_length, device=lengths_B.device)[None, :] < lengths_B[:, None]


def add_sos_eos(
    text_BL: torch.Tensor, lengths_B: torch.Tensor, *, sos_eos_id: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decoder input and target of a teacher-forced decoder.

    Args:
        text_BL: Text ids; anything at padding.
        lengths_B: Number of text ids.
        sos_eos_id: Shared start and end id.

    Returns:
        Input (B, L + 1), padded with ``sos_eos_id``, and target (B, L + 1), padded with ``IGNORE_ID``.
    """
    batch_size, length = text_BL.shape
    is_text_BL = valid_mask(lengths_B, length)
    edge_B1 = text_BL.new_full((batch_size, 1), sos_eos_id)
    inputs_BL = torch.cat([edge_B1, text_BL.masked_fill(~is_text_BL, sos_eos_id)], dim=1)
    targets_BL = torch.cat([text_BL.masked_fill(~is_text_BL, IGNORE_ID), torch.full_like(edge_B1, IGNORE_ID)], dim=1)
    return inputs_BL, targets_BL.scatter(1, lengths_B[:, None], sos_eos_id)


def ctc_frames_needed(text_L: np.ndarray | torch.Tensor) -> int:
    """Encoder frames that CTC needs for a text: one for every unit, and a blank between two equal ones."""
    text = text_L.tolist()
    return max(len(text) + sum(unit == following for unit, following in itertools.pairwise(text)), 1)


def pack_left(parts: Sequence[torch.Tensor], lengths: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Join padded sequences of vectors end to end, without padding between them.

    Args:
        parts: Each (B, N_i, D).
        lengths: Each (B,), the real length of that part.

    Returns:
        The joined sequences (B, sum of N_i, D), real positions first and zeros after them, and their lengths (B,).
    """
    joined_BND = torch.cat(list(parts), dim=1)
    is_real_BN = torch.cat([valid_mask(n, part.shape[1]) for part, n in zip(parts, lengths, strict=True)], dim=1)
    # A stable sort on "is padding" moves the real positions forward and keeps their order.
    order_BN = torch.argsort((~is_real_BN).to(torch.int8), dim=1, stable=True)
    packed_BND = joined_BND.gather(1, order_BN[..., None].expand_as(joined_BND))
    total_B = torch.stack(list(lengths)).sum(0)
    longest = int(total_B.max())
    mask_BN = valid_mask(total_B, longest)
    return packed_BND[:, :longest] * mask_BN[..., None].to(packed_BND.dtype), total_B


def gather_span(states_BND: torch.Tensor, start_B: torch.Tensor, length: int) -> torch.Tensor:
    """Positions ``start .. start + length - 1`` of each row, (B, length, D); past the end the last row repeats."""
    index_BN = start_B[:, None] + torch.arange(length, device=start_B.device)[None, :]
    index_BN = index_BN.clamp_max(states_BND.shape[1] - 1)
    return states_BND.gather(1, index_BN[..., None].expand(-1, -1, states_BND.shape[2]))
