"""Before a recipe's first stage: is there what it takes from another recipe, and is nothing else in its place."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__} Called in a recipe's folder.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--source", type=Path, help="folder of the other recipe; none, and nothing may be taken")
    parser.add_argument("--exp", type=Path, default=Path("exp"), help="folder of the experiments")
    for name, what in (
        ("adopted", "what is to be a link to the same path of the source"),
        ("own", "what is made here"),
        ("needed", "files that the source must have"),
    ):
        parser.add_argument(f"--{name}", type=Path, nargs="*", default=[], metavar="PATH", help=what)
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Fail with what is wrong."""
    from tokenchain_toolkit.recipe.source import check_places, check_source

    if arguments.source is not None:
        check_source(arguments.source, needed=arguments.needed)
    check_places(arguments.source, exp=arguments.exp, adopted=arguments.adopted, own=arguments.own)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
