"""Train ASR and T2S as a chain from their pretrained models, or side by side as the baseline (model.feedback=none)."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command
from tokenchain_toolkit.bin._training import train_stage, training_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = training_parser(__doc__ or "")
    parser.add_argument("--asr", type=Path, required=True, help="model folder of the pretrained ASR")
    parser.add_argument("--t2s", type=Path, required=True, help="model folder of the pretrained T2S")
    return run_command(run, parser, argv)


def run(arguments: argparse.Namespace) -> None:
    """Train and write the two model folders ``asr`` and ``t2s``."""
    from tokenchain_toolkit.config.chain import ChainConfig
    from tokenchain_toolkit.tasks.experiment import train_chain

    train_stage(
        arguments,
        ChainConfig,
        inputs=[arguments.asr / "model.safetensors", arguments.t2s / "model.safetensors"],
        train=lambda config, sets: train_chain(
            config, sets, asr_folder=arguments.asr, t2s_folder=arguments.t2s, folder=arguments.out
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
