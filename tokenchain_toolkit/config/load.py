"""Typed configurations: dataclass default < YAML file < ``key=value`` on the command line."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.files import write_text

Config = TypeVar("Config")


def load_config(schema: type[Config], path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """Merge a dataclass's defaults, a YAML file and overrides into one typed object.

    Args:
        schema: Dataclass that names every key and its type.
        path: YAML file, or None for the defaults alone.
        overrides: Strings such as ``optim.lr=0.001``.

    Raises:
        ConfigError: A key is unknown, a value has the wrong type, or the file is missing or not YAML.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if path is not None and not Path(path).is_file():
        raise ConfigError(f"{path}: no such configuration file")
    source = " with ".join(filter(None, [str(path or ""), " ".join(overrides)]))
    try:
        merged = OmegaConf.structured(schema)
        if path is not None:
            merged = OmegaConf.merge(merged, OmegaConf.load(path))
        merged = OmegaConf.merge(merged, OmegaConf.from_dotlist(list(overrides)))
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except ConfigError as error:  # of the dataclass, which names the setting
        raise ConfigError(f"{source}: {error}") if path else error from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: {_told(error)}") from error
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(
            f"{source or schema.__name__}: {_told(error)}; the keys are the fields of "
            f"{schema.__module__}.{schema.__name__}"
        ) from error


def merge_into(schema: type[Config], values: dict[str, Any]) -> Config:
    """A dataclass from plain values, such as those of a model folder; unknown keys fail.

    Raises:
        ConfigError: A key is unknown or a value has the wrong type.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), values))  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise ConfigError(f"{schema.__name__}: {_told(error)}") from error


def _told(error: Exception) -> str:
    """What is wrong, in one line that names the key, which OmegaConf says only in a later line."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:  # of YAML, which counts lines from 0
        return f"line {mark.line + 1}: {getattr(error, 'problem', None) or error}; mend the YAML"
    first = str(error).splitlines()[0]
    key = getattr(error, "full_key", None)
    return f"{key}: {first}" if key and key not in first else first


def config_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain dictionaries and lists."""
    return asdict(config)


def save_config(config: Any, path: Path) -> None:
    """Write the resolved configuration; it alone reproduces the run."""
    write_text(path, yaml.safe_dump(asdict(config), sort_keys=False))
