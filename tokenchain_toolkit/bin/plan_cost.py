"""Reckon what the paper's experiments take on 1, 4 and 8 GPUs, from steps that are measured on this machine."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenchain_toolkit.bin._cli import run_command

PAPER = Path(__file__).resolve().parents[2] / "egs2" / "TEMPLATE" / "tokenchain1" / "conf" / "paper"


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--conf", type=Path, default=PAPER, help="folder with asr.yaml, t2s.yaml, chain.yaml, s2a.yaml")
    parser.add_argument("--models", nargs="+", choices=("asr", "t2s", "chain", "s2a"), help="all if not given")
    parser.add_argument("--seconds", type=float, default=60.0, help="time to measure each model; two steps at least")
    parser.add_argument(
        "--tflops",
        type=float,
        help="speed of a GPU in 10**12 operations a second, of these models; if not given, as measured on a GPU, and "
        "without one 60, about a fifth of the bf16 peak of an A100",
    )
    parser.add_argument("--scaling", type=float, default=0.9, help="share of its speed that each of several GPUs keeps")
    parser.add_argument("--gpu_memory", type=float, default=80.0, help="GB of a GPU")
    parser.add_argument("--json", type=Path, help="file that gets all figures")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Measure, reckon, show."""
    import logging
    from dataclasses import asdict

    from tokenchain_toolkit.files import write_json
    from tokenchain_toolkit.planning.paper_plan import (
        MODELS,
        gpu_speed,
        load_paper_settings,
        measure_models,
        plan_paper,
    )
    from tokenchain_toolkit.planning.plan_table import basis, measured_table, plan_table

    logger = logging.getLogger(__name__)
    settings = load_paper_settings(arguments.conf)
    measures = []
    for measure in measure_models(settings, arguments.models or MODELS, seconds=arguments.seconds):
        logger.info("%s: a step of %d frames took %.2g s", measure.name, measure.frames, measure.seconds)
        measures.append(measure)
    speeds = [gpu_speed(measure, arguments.tflops, arguments.scaling) for measure in measures]
    plans = plan_paper(settings, measures, speeds, gpu_bytes=arguments.gpu_memory * 1e9)
    tables = (measured_table(measures), plan_table(plans), basis(speeds, arguments.gpu_memory))
    sys.stdout.write("\n\n".join(tables) + "\n")
    if arguments.json:
        figures: dict[str, list[Any]] = {"measured": measures, "speeds": speeds, "plans": plans}
        write_json(arguments.json, {name: [asdict(each) for each in rows] for name, rows in figures.items()})


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
