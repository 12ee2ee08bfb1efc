"""Schedules of the interface temperature tau."""

import math

from tokenchain_toolkit.config.chain import TemperatureConfig


def temperature_at(config: TemperatureConfig, progress: float, *, num_epochs: int) -> float:
    """Tau at ``progress`` (0 at the start of the run, 1 at its end)."""
    if config.schedule == "constant":
        return config.start
    progress = min(max(progress, 0.0), 1.0)
    if config.by == "epoch":
        # A rounding error must not keep the last epoch of the division in the one before it.
        epoch = min(math.floor(progress * num_epochs + 1e-9), num_epochs - 1)
        progress = epoch / max(num_epochs - 1, 1)
    if config.schedule == "linear":
        return config.start + (config.end - config.start) * progress
    if config.schedule == "cosine":
        return config.end + (config.start - config.end) * 0.5 * (1 + math.cos(math.pi * progress))
    return config.start * (config.end / config.start) ** progress
