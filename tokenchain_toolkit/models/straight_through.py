"""The discrete interface between ASR and T2S: one-hot forward, soft backward.

Shapes: B utterances, L text positions, V text units.
"""

import torch

from tokenchain_toolkit.models.sequences import valid_mask


def straight_through(probs_BLV: torch.Tensor, chosen_BL: torch.Tensor | None = None) -> torch.Tensor:
    """One-hot of the argmax whose gradient is the gradient of ``probs`` (PAPER: y~ = onehot(argmax p) + p - sg(p)).

    Args:
        probs_BLV: Probabilities.
        chosen_BL: Units that stand in for the argmax where another pass has chosen them already.

    Returns:
        Shape (B, L, V); exactly one-hot in value up to rounding.
    """
    if chosen_BL is None:
        chosen_BL = probs_BLV.argmax(-1)
    one_hot_BLV = torch.zeros_like(probs_BLV).scatter_(-1, chosen_BL[..., None], 1.0)
    # Forward is one-hot, backward is softmax (straight-through); this order of operations cancels exactly.
    return one_hot_BLV + (probs_BLV - probs_BLV.detach())


def gumbel_noise(shape: torch.Size, *, generator: torch.Generator | None = None, device: torch.device) -> torch.Tensor:
    """Standard Gumbel noise, -log(-log u), on ``device``.

    Args:
        shape: Shape of the result.
        generator: Source of randomness, on ``device``.
        device: Where the noise lives.
    """
    uniform = torch.rand(shape, generator=generator, device=device)
    # u lies in [0, 1); only 0 needs care.
    return -torch.log(-torch.log(uniform.clamp_min(torch.finfo(uniform.dtype).tiny)))


def interface_probs(
    logits_BLV: torch.Tensor, *, temperature: float, noise_BLV: torch.Tensor | None = None
) -> torch.Tensor:
    """Tempered posterior p = softmax((h + g) / tau), in float32; g = 0 when no noise is given.

    Args:
        logits_BLV: Decoder scores h.
        temperature: tau > 0.
        noise_BLV: Gumbel noise g, or None for argmax feedback.
    """
    scores_BLV = logits_BLV.float() if noise_BLV is None else logits_BLV.float() + noise_BLV
    return torch.softmax(scores_BLV / temperature, dim=-1)


def interface_entropy(probs_BLV: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
    """Mean entropy over real positions, in nats; 0 where there is none.

    Args:
        probs_BLV: Posteriors.
        lengths_B: Real positions of each text.
    """
    is_text_BL = valid_mask(lengths_B, probs_BLV.shape[1])
    entropy_BL = -(probs_BLV * probs_BLV.clamp_min(1e-12).log()).sum(-1)
    return torch.where(is_text_BL, entropy_BL, 0.0).sum() / is_text_BL.sum().clamp_min(1)
