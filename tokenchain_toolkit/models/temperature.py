"""Schedules of the interface temperature tau."""

import math

from tokenchain_toolkit.config.chain import TEMPERATURE_SCHEDULES, TEMPERATURE_STEPS, TemperatureConfig
from tokenchain_toolkit.errors import ConfigError


def temperature_at(config: TemperatureConfig, progress: float, *, num_epochs: int) -> float:
    """Tau at ``progress`` (0 at the start of the run, 1 at its end).

    Raises:
        ConfigError: The schedule is unknown or a temperature is not positive.
    """
    if config.schedule not in TEMPERATURE_SCHEDULES:
        raise ConfigError(f"temperature.schedule={config.schedule}: choose one of {', '.join(TEMPERATURE_SCHEDULES)}")
    if config.by not in TEMPERATURE_STEPS:
        raise ConfigError(f"temperature.by={config.by}: choose one of {', '.join(TEMPERATURE_STEPS)}")
    if min(config.start, config.end) <= 0:
        raise ConfigError("temperature.start and temperature.end must be above 0")
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
