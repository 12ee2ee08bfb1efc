"""Make a dump of units from a dump of frames, or, with --expand, frames from units."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command, stage_parser

LOG = logging.getLogger(__name__)


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__, config=False)
    parser.add_argument("--units", type=Path, required=True, help="folder that learn_units wrote")
    parser.add_argument("--dump", type=Path, required=True, help="token dump to convert")
    parser.add_argument("--out", type=Path, required=True, help="folder of the converted dump")
    parser.add_argument("--expand", action="store_true", help="from units to frames")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Convert, unless the dump is up to date."""
    from tokenchain_toolkit.data.stamp import make_output
    from tokenchain_toolkit.tokenizers.unit_dump import expand_units, make_units

    def convert() -> None:
        if arguments.expand:
            expand_units(arguments.units, arguments.dump, arguments.out)
            return
        frames_per_unit = make_units(arguments.units, arguments.dump, arguments.out)
        LOG.info("%s: %.2f frames per unit", arguments.out, frames_per_unit)

    make_output(
        arguments.out,
        convert,
        inputs=[arguments.units / ".done", arguments.dump / ".done"],
        config={"expand": arguments.expand},
        overwrite=arguments.overwrite,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
