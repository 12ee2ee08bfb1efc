"""Train S2A, the masked generative model from semantic tokens to acoustic codes."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command
from tokenchain_toolkit.bin._training import train_stage, training_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = training_parser(__doc__ or "")
    parser.add_argument("--tokenizer", type=Path, help="folder of the tokenizer, which model.start=codebooks needs")
    return run_command(run, parser, argv)


def run(arguments: argparse.Namespace) -> None:
    """Train and write the model folder."""
    from tokenchain_toolkit.config.s2a import S2AConfig
    from tokenchain_toolkit.tasks.experiment import train_s2a

    train_stage(
        arguments,
        S2AConfig,
        inputs=lambda config: [],
        train=lambda config, sets: train_s2a(config, sets, tokenizer=arguments.tokenizer, folder=arguments.out),
    )


if __name__ == "__main__":
    sys.exit(main())
