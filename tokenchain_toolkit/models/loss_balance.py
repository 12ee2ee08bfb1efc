"""Balancing the supervised and the reconstruction loss."""

import math
from collections.abc import Sequence

import torch

from tokenchain_toolkit.config.chain import BalanceConfig


def dynamic_weight_average(history: Sequence[Sequence[float]], *, temperature: float) -> list[float]:
    """Weights for the next epoch from the epoch means of each loss (Liu et al. 2019, the standard form).

    ``r_k = L_k(t-1) / L_k(t-2)`` and ``lambda_k = K exp(r_k / T) / sum_j exp(r_j / T)``, so a loss that falls more
    slowly gets more weight. All weights are 1 until two epochs are known.

    Args:
        history: For each finished epoch, the mean of each of the K losses.
        temperature: T; large values make the weights equal.
    """
    num_losses = len(history[-1]) if history else 0
    if len(history) < 2:
        return [1.0] * (num_losses or 2)
    ratios = [now / max(before, 1e-12) for now, before in zip(history[-1], history[-2], strict=True)]
    peak = max(ratios)
    scores = [math.exp((ratio - peak) / temperature) for ratio in ratios]
    return [num_losses * score / sum(scores) for score in scores]


def uncertainty_weighted(losses: Sequence[torch.Tensor], log_variances_K: torch.Tensor) -> torch.Tensor:
    """Sum of losses whose variances are learned, ``exp(-s_k) L_k + s_k / 2`` (Kendall et al. 2018, for likelihoods).

    Args:
        losses: K scalars.
        log_variances_K: s; the weights are ``exp(-s)``.
    """
    return ((-log_variances_K).exp() * torch.stack(list(losses)) + log_variances_K / 2).sum()


def loss_weights(config: BalanceConfig, history: Sequence[Sequence[float]]) -> list[float]:
    """Weights of (L_ASR, L_rec) for the next epoch."""
    if config.kind == "dwa":
        return dynamic_weight_average(history, temperature=config.dwa_temperature)
    if config.kind == "fixed":
        return [config.asr_weight, config.rec_weight]
    return [1.0, 1.0]  # of uncertainty, to start with; see ``uncertainty_weighted``
