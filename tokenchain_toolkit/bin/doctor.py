"""Look at a recipe before it is run: machine, corpora, data, and what its stages will take, as a short probe tells."""

import argparse
import sys
from collections.abc import Sequence

from tokenchain_toolkit.bin._cli import json_target, run_command

FIGURES, PROBES = ("ctc", "steps", "decodings", "stages"), ("extraction", "head", "vocoding")
RUN_OPTIONS = ("conf", "data", "dump", "train_set", "valid_set", "test_sets", "tag", "device")


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__} Runs in a recipe's folder; again when data/ and dump/ are there, with more to say.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="time of the probe; 0 leaves the estimates out")
    parser.add_argument(
        "--hours",
        type=float,
        help="hours of training speech to reckon with while there is no data; the published ones if not given",
    )
    for name in RUN_OPTIONS:
        parser.add_argument(f"--{name}", default="", help="passed on to run.sh; what that says itself if not given")
    parser.add_argument("--chains", nargs="+", default=[], help="the same, names in one list")
    parser.add_argument("--json", type=json_target, help="file that gets the findings and the figures behind them")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Show the table; raise if anything fails."""
    from dataclasses import asdict

    from tokenchain_toolkit.errors import ConfigError
    from tokenchain_toolkit.files import write_json
    from tokenchain_toolkit.planning.diagnosis import DoctorOptions
    from tokenchain_toolkit.planning.doctor import diagnose
    from tokenchain_toolkit.planning.findings import FAIL, findings_table

    given = {name: getattr(arguments, name) for name in RUN_OPTIONS}
    given["chains"] = " ".join(arguments.chains)
    run_options = [word for name, value in given.items() if value for word in (f"--{name}", value)]
    found = diagnose(DoctorOptions(arguments.seconds, arguments.hours, run_options))
    sys.stdout.write(findings_table(found.findings) + "\n")
    if arguments.json:
        figures = {name: [asdict(each) for each in getattr(found, name)] for name in FIGURES}
        sets = [{"name": each.name, "num_utts": each.num_utts, "hours": each.hours} for each in found.sets]
        probes = {name: getattr(found, name) and asdict(getattr(found, name)) for name in PROBES}
        findings = [asdict(each) for each in found.findings]
        write_json(arguments.json, {"findings": findings, "sets": sets, **probes, **figures})
    failed = [each.check for each in found.findings if each.status == FAIL]
    if failed:
        raise ConfigError(f"to be mended first: {', '.join(failed)}; what to do stands in these lines or after ->")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
