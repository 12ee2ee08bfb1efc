"""Reckon what the trainings of recipes take on 1, 4 and 8 GPUs, from steps that are measured on this machine."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenchain_toolkit.bin._cli import json_target, run_command

KINDS = ("asr", "t2s", "chain", "s2a")
EGS = Path(__file__).resolve().parents[2] / "egs2"
PAPER = [EGS / name / "tokenchain1" for name in ("librispeech_100", "librispeech", "tedlium2")]


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "recipes", nargs="*", type=Path, default=PAPER, help="their folders; those of the paper if none is given"
    )
    parser.add_argument("--models", nargs="+", choices=KINDS, help="all if not given")
    parser.add_argument("--seconds", type=float, default=60.0, help="time to measure each model; two steps at least")
    parser.add_argument(
        "--tflops",
        type=float,
        help="speed of a GPU in 10**12 operations a second, of these models; if not given, as measured on a GPU, and "
        "without one 60, about a fifth of the bf16 peak of an A100",
    )
    parser.add_argument("--scaling", type=float, default=0.9, help="share of its speed that each of several GPUs keeps")
    parser.add_argument("--gpu_memory", type=float, default=80.0, help="GB of a GPU")
    parser.add_argument("--json", type=json_target, help="file that gets all figures")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Measure, reckon, show."""
    import logging
    from dataclasses import asdict

    from tokenchain_toolkit.errors import ConfigError
    from tokenchain_toolkit.files import write_json
    from tokenchain_toolkit.planning.experiments import recipe_experiments
    from tokenchain_toolkit.planning.paper_plan import gpu_speed, measure_models, plan_experiments
    from tokenchain_toolkit.planning.plan_table import basis, measured_table, plan_table

    logger = logging.getLogger(__name__)
    wanted = arguments.models or KINDS
    experiments = [each for root in arguments.recipes for each in recipe_experiments(root) if each.kind in wanted]
    if not experiments:
        raise ConfigError(f"these recipes train no {', '.join(wanted)}; name others, or other --models")
    measures = {}
    told = "measuring %d models, each for about %.0f s; where memory or time is short: --models, --seconds"
    logger.info(told, len({each.model for each in experiments}), arguments.seconds)
    for key, measure in measure_models(experiments, seconds=arguments.seconds):
        logger.info("%s: a step of %d frames took %.2g s", measure.name, measure.frames, measure.seconds)
        measures[key] = measure
    speeds = {key: gpu_speed(measure, arguments.tflops, arguments.scaling) for key, measure in measures.items()}
    plans = plan_experiments(experiments, measures, speeds, gpu_bytes=arguments.gpu_memory * 1e9)
    measured, speed_of_each = list(measures.values()), list(speeds.values())
    tables = (measured_table(measured), plan_table(plans), basis(speed_of_each, arguments.gpu_memory))
    sys.stdout.write("\n\n".join(tables) + "\n")
    if arguments.json:
        figures: dict[str, list[Any]] = {"measured": measured, "speeds": speed_of_each, "plans": plans}
        write_json(arguments.json, {name: [asdict(each) for each in rows] for name, rows in figures.items()})


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
