"""Write the paper's tables from the results of recipes and studies: TABLES.md and tables.json."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--egs2", type=Path, default=Path("egs2"), help="folder of the recipes")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder that gets the two files")
    parser.add_argument("--tables", type=Path, help="YAML file of what stands in them; the paper's if not given")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Write the tables and say how much of them is filled."""
    import logging

    from tokenchain_toolkit.errors import DataError
    from tokenchain_toolkit.report.tables import PAPER_TABLES, build_tables

    logger = logging.getLogger(__name__)
    if not arguments.egs2.is_dir():
        raise DataError(f"{arguments.egs2} is no folder; run this from the root of the tree, or give --egs2")
    options = [f"--egs2={arguments.egs2}", f"--out={arguments.out}"]
    options += [f"--tables={arguments.tables}"] if arguments.tables else []
    tables = build_tables(
        arguments.egs2,
        arguments.out,
        command=shlex.join(["python", "-m", "tokenchain_toolkit.bin.make_tables", *options]),
        definition=arguments.tables or PAPER_TABLES,
    )
    for table in tables:
        filled = sum(each.cell is not None for each in table.rows)
        logger.info("%s: %d of %d rows", table.title, filled, len(table.rows))
    logger.info("%s", arguments.out / "TABLES.md")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
