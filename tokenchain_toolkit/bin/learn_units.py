"""Learn units of semantic tokens without repetitions, and BPE over them, from the dump of a training set."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command, stage_parser


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__)
    parser.add_argument("--dump", type=Path, required=True, help="token dump of the training set")
    parser.add_argument("--out", type=Path, required=True, help="folder of the units, such as exp/units_mfcc")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Learn, unless the units are up to date."""
    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.config.units import UnitsConfig
    from tokenchain_toolkit.data.stamp import make_output
    from tokenchain_toolkit.tokenizers.unit_dump import learn_units

    config = load_config(UnitsConfig, arguments.config, arguments.overrides)
    make_output(
        arguments.out,
        lambda: learn_units(arguments.dump, arguments.out, config=config),
        inputs=[arguments.dump / ".done"],
        config=config_dict(config),
        overwrite=arguments.overwrite,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
