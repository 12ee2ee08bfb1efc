"""What the types of settings cannot say: choices, counts, shares, and sizes that divide each other.

Every function names the setting with its section in front (``section``, without one if it is empty) and raises
``ConfigError``. NaN passes none of them.
"""

import math
from collections.abc import Sequence

from tokenchain_toolkit.errors import ConfigError


def check_choices(settings: object, section: str, **choices: Sequence[str]) -> None:
    """Refuse a name that is none of those that there are.

    Args:
        settings: Fields and their values.
        section: Where they stand.
        choices: Field -> its names.
    """
    for name, allowed in choices.items():
        value = getattr(settings, name)
        if value not in allowed:
            raise ConfigError(f"{_named(section, name)}={value}: choose one of {', '.join(allowed)}")


def check_least(settings: object, section: str, least: float, *names: str) -> None:
    """Refuse numbers that are below the least one or infinite; None is not looked at."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not least <= value < math.inf:
            raise ConfigError(f"{_named(section, name)}={value} must be at least {least}")


def check_positive(settings: object, section: str, *names: str) -> None:
    """Refuse numbers that are 0, negative or infinite."""
    for name in names:
        value = getattr(settings, name)
        if not 0 < value < math.inf:
            raise ConfigError(f"{_named(section, name)}={value} must be above 0")


def check_shares(settings: object, section: str, *names: str, whole: bool = False) -> None:
    """Refuse dropouts and their like that are no share; None is not looked at.

    Args:
        settings: Fields and their values.
        section: Where they stand.
        names: Those that are shares.
        whole: Whether the share may be 1.
    """
    for name in names:
        share = getattr(settings, name)
        if share is not None and not (0 <= share < 1 or (whole and share == 1)):
            raise ConfigError(f"{_named(section, name)}={share} must be in [0, 1{']' if whole else ')'}")


def check_odd(settings: object, section: str, *names: str) -> None:
    """Refuse the kernels of convolutions that have no middle."""
    for name in names:
        if getattr(settings, name) < 1 or getattr(settings, name) % 2 == 0:
            raise ConfigError(f"{_named(section, name)}={getattr(settings, name)} must be odd")


def check_heads(model: object, *, size: str, heads: str, each: int = 1) -> None:
    """Refuse an attention that cannot be divided into its heads.

    Args:
        model: Settings under ``model``.
        size: Name of the size that is divided.
        heads: Name of the number of heads.
        each: What the size of a head must be a multiple of; 2 where positions rotate pairs.
    """
    whole, parts = getattr(model, size), getattr(model, heads)
    if parts < 1 or whole < 1 or whole % (each * parts):
        of = f"{each} x " if each > 1 else ""
        raise ConfigError(f"model.{size}={whole} must be a multiple of {of}{heads}={parts}")


def _named(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name
