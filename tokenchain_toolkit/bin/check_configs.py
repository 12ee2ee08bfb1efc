"""Load configurations of a recipe, whose names say what they are of, and say what is wrong with each."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="+", type=Path, metavar="FILE", help="such as conf/train_asr.yaml")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Show what is wrong, and fail if anything is."""
    import logging

    from tokenchain_toolkit.config.schemas import schema_of
    from tokenchain_toolkit.errors import ConfigError, counted
    from tokenchain_toolkit.recipe.configurations import configuration_faults

    for path in arguments.configs:
        if not path.is_file() or schema_of(path) is None:
            raise ConfigError(f"{path} is no file that a stage reads; name one of a recipe's conf/")
    faults = list(configuration_faults(dict.fromkeys(arguments.configs)))
    for fault in faults:
        logging.getLogger(__name__).info("problem: %s", fault)
    if faults:
        raise ConfigError(f"{counted(len(faults), 'configuration')} cannot be used, listed above")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
