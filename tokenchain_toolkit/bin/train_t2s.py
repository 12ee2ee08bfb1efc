"""Train T2S, the model from text to semantic tokens on paired data."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command
from tokenchain_toolkit.bin._training import train_stage, training_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = training_parser(__doc__ or "")
    parser.add_argument("--token_list", type=Path, required=True, help="folder written by train_bpe")
    return run_command(run, parser, argv)


def run(arguments: argparse.Namespace) -> None:
    """Train and write the model folder."""
    from tokenchain_toolkit.config.t2s import T2SConfig
    from tokenchain_toolkit.tasks.experiment import train_t2s

    train_stage(
        arguments,
        T2SConfig,
        inputs=lambda config: [arguments.token_list / "tokens.txt"],
        train=lambda config, sets: train_t2s(config, sets, token_list=arguments.token_list, folder=arguments.out),
    )


if __name__ == "__main__":
    sys.exit(main())
