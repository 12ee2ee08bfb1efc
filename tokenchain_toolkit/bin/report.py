"""Collect all scores of a recipe into results.json, RESULTS.md and one self-contained report.html."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--exp", type=Path, default=Path("exp"), help="folder of the experiments")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder that gets the three files")
    parser.add_argument("--title", required=True, help="name of the recipe")
    parser.add_argument("--data", type=Path, default=Path("data"), help="data directories, for natural recordings")
    parser.add_argument("--dump", type=Path, default=Path("dump"), help="token dumps, for manifests and skipped lists")
    parser.add_argument("--config", type=Path, help="YAML file; its keys are checked")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that win over the YAML file")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Build the report and show its table."""
    import logging

    from tokenchain_toolkit.config.load import load_config
    from tokenchain_toolkit.report.audio import wav_folders
    from tokenchain_toolkit.report.build import build_report
    from tokenchain_toolkit.report.settings import ReportConfig, ReportInputs

    logger = logging.getLogger(__name__)
    options = {f"--{name}": getattr(arguments, name) for name in ("exp", "data", "dump", "out", "title")}
    words = [str(word) for option in options.items() for word in option]
    report = build_report(
        ReportInputs(exp=arguments.exp, data=arguments.data, dump=arguments.dump),
        output=arguments.out,
        title=arguments.title,
        command=shlex.join(["python", "-m", "tokenchain_toolkit.bin.report", *words]),
        config=load_config(ReportConfig, arguments.config, arguments.overrides),
    )
    logger.info("%s\n", report.table)
    megabytes = report.html.stat().st_size / 1e6
    logger.info("report: %s (%.1f MB, opens in any browser), %s", report.html, megabytes, report.markdown)
    for folder in wav_folders(arguments.exp):
        logger.info("synthesised speech: %s", folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
