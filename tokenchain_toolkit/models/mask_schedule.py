"""How many positions stay masked as masked generative decoding proceeds (MaskGIT's cosine schedule)."""

import torch


def cosine_mask_ratio(progress: torch.Tensor) -> torch.Tensor:
    """Share of positions still masked at ``progress`` in [0, 1]: 1 at the start, 0 at the end."""
    return torch.cos(progress * torch.pi / 2).clamp_min(0.0)


def masked_counts(lengths_B: torch.Tensor, *, num_steps: int) -> torch.Tensor:
    """Positions left masked after each decoding step.

    Args:
        lengths_B: Number of positions to fill in each utterance.
        num_steps: Decoding steps.

    Returns:
        Shape (num_steps, B), falling to 0 in the last row.
    """
    progress_S = torch.arange(1, num_steps + 1, device=lengths_B.device) / num_steps
    counts_SB = torch.floor(cosine_mask_ratio(progress_S)[:, None] * lengths_B[None, :] + 1e-6).long()
    counts_SB[-1] = 0
    return counts_SB
