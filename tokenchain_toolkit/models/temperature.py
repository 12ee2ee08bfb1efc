"""Schedules of the interface temperature tau."""

import math

from tokenchain_toolkit.config.chain import TEMPERATURE_SCHEDULES, TemperatureConfig
from tokenchain_toolkit.errors import ConfigError


def temperature_at(config: TemperatureConfig, progress: float) -> float:
    """Tau at ``progress`` (0 at the start of the run, 1 at its end).

    Raises:
        ConfigError: The schedule is unknown or a temperature is not positive.
    """
    if config.schedule not in TEMPERATURE_SCHEDULES:
        raise ConfigError(f"temperature.schedule={config.schedule}: choose one of {', '.join(TEMPERATURE_SCHEDULES)}")
    if min(config.start, config.end) <= 0:
        raise ConfigError("temperature.start and temperature.end must be above 0")
    progress = min(max(progress, 0.0), 1.0)
    if config.schedule == "constant":
        return config.start
    if config.schedule == "linear":
        return config.start + (config.end - config.start) * progress
    if config.schedule == "cosine":
        return config.end + (config.start - config.end) * 0.5 * (1 + math.cos(math.pi * progress))
    return config.start * (config.end / config.start) ** progress
