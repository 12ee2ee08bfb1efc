"""Run a study: pretrained models, grids of chain experiments that start from them, and their report."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import add_worker_options, run_command, stage_parser, workers_from


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = stage_parser(f"{__doc__} Runs in a recipe's folder, after its stages up to train_bpe.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study, such as exp/study")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help="grids, runs or models to carry out with all they need, such as enough or enough/st_argmax",
    )
    parser.add_argument("--dry_run", action="store_true", help="show the runs and what is up to date; run nothing")
    add_worker_options(parser)
    return run_command(run, parser, argv)


def run(arguments: argparse.Namespace) -> None:
    """Carry out what is not up to date, and report on all runs that are complete."""
    import logging

    from tokenchain_toolkit.config.grid import StudyConfig
    from tokenchain_toolkit.config.load import load_config
    from tokenchain_toolkit.report.grid import build_grid_report
    from tokenchain_toolkit.tasks.grid import carry_out_study, describe_study
    from tokenchain_toolkit.tasks.grid_plan import plan_study

    logger = logging.getLogger(__name__)
    config = load_config(StudyConfig, arguments.config, arguments.overrides)
    study = plan_study(config, out=arguments.out, only=arguments.only, device=arguments.device)
    if arguments.dry_run:
        for line in describe_study(study):
            logger.info("%s", line)
        return
    outcome = carry_out_study(study, workers=workers_from(arguments), overwrite=arguments.overwrite)
    if outcome.num_complete:
        options = ["--config", str(arguments.config), "--out", str(arguments.out), *arguments.overrides]
        options += ["--only", *arguments.only] if arguments.only else []
        command = shlex.join(["python", "-m", "tokenchain_toolkit.bin.run_grid", *options])
        page = build_grid_report(arguments.out, title=config.title or arguments.out.name, command=command)
        logger.info("report: %s, %s", page, arguments.out / "RESULTS.md")
    outcome.check()


if __name__ == "__main__":
    sys.exit(main())
