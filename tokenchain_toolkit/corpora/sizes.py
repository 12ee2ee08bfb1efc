"""How many utterances a scaled-down corpus holds."""

from tokenchain_toolkit.errors import ConfigError

MIN_UTTERANCES = 4


def scaled(count: int, scale: float) -> int:
    """``count`` times ``scale``, at least a few utterances.

    Raises:
        ConfigError: ``scale`` is not above 0.
    """
    if scale <= 0:
        raise ConfigError(f"--scale is {scale}; give a number above 0, 1 for the whole corpus")
    return max(MIN_UTTERANCES, round(count * scale))
