"""Say in plain words where a recipe's folder does not keep the contract of egs2/README.md, and how to mend it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__} Calls the recipe's run.sh --dry_run to learn its sets; runs no stage.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("recipe", type=Path, help="folder of the recipe, such as egs2/mine/tokenchain1")
    parser.add_argument("--num_jobs", type=int, default=2, help="audio files read at the same time")
    parser.add_argument("--show", type=int, default=20, help="lines shown in each respect; 0 shows all")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Check, show what was found, and fail if there are problems."""
    import logging

    from tokenchain_toolkit.errors import DataError, counted
    from tokenchain_toolkit.files import working_in
    from tokenchain_toolkit.recipe.check import check_recipe

    logger = logging.getLogger(__name__)
    if not arguments.recipe.is_dir():
        raise DataError(f"{arguments.recipe} is no folder; egs2/TEMPLATE/tokenchain1/setup.sh makes a recipe")
    with working_in(arguments.recipe):
        respects = check_recipe(Path("."), num_jobs=arguments.num_jobs)
    for found in respects:
        lines = [f"problem: {text}" for text in found.problems] + [f"warning: {text}" for text in found.warnings]
        logger.info("%s:%s", found.title, "" if lines else " ok")
        for line in lines[: arguments.show or None]:
            logger.info("  %s", line)
        if arguments.show and len(lines) > arguments.show:
            logger.info("  ... and %d more (--show 0 shows all)", len(lines) - arguments.show)
    num_problems = sum(len(found.problems) for found in respects)
    if num_problems:
        raise DataError(
            f"{arguments.recipe}: {counted(num_problems, 'problem')}, listed above; mend them and check again"
        )
    logger.info("%s keeps the contract", arguments.recipe)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
