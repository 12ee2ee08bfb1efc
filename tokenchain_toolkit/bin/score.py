"""Score one hypothesis file: score.json with intervals, and the worst utterances aligned."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import json_target, run_command


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--hyp", type=Path, required=True, help="Kaldi text table that the decoder wrote")
    parser.add_argument("--ref", type=Path, required=True, help="Kaldi text table of the set")
    parser.add_argument("--set", required=True, dest="set_name", help="name of the set in the results")
    parser.add_argument("--experiment", required=True, help="name of the experiment in the results")
    parser.add_argument("--model", required=True, help="kind of model: asr, t2s, chain, s2a")
    parser.add_argument("--trained", type=Path, help="model folder, which says how many epochs it was trained for")
    parser.add_argument("--out", type=json_target, required=True, help="score.json to write")
    parser.add_argument(
        "--baseline",
        nargs="+",
        type=Path,
        default=[],
        metavar="TEXT",
        help="hypotheses to compare with, exp/<experiment>/decode_<set>/text",
    )
    parser.add_argument("--command", help="command that made the hypothesis; by default this command")
    metric = parser.add_mutually_exclusive_group()
    metric.add_argument("--metric", nargs="+", choices=("wer", "cer"), default=["wer"], help="error rates to compute")
    metric.add_argument("--metric_name", help="compute the word error rate under this name, such as t2s_wer")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Score as the options say."""
    from tokenchain_toolkit.files import read_json
    from tokenchain_toolkit.metrics.score import ScoreRequest, score
    from tokenchain_toolkit.report.provenance import package_commit

    score(
        ScoreRequest(
            hypothesis=arguments.hyp,
            reference=arguments.ref,
            set_name=arguments.set_name,
            experiment=arguments.experiment,
            model=arguments.model,
            epoch=read_json(arguments.trained / "model.json")["epoch"] if arguments.trained else None,
            metrics=(arguments.metric_name,) if arguments.metric_name else tuple(arguments.metric),
            baselines=tuple(arguments.baseline),
            command=arguments.command or shlex.join(["python", "-m", "tokenchain_toolkit.bin.score", *sys.argv[1:]]),
            commit=package_commit(),
            output=arguments.out,
        )
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
