"""Copy a data directory with every utterance at several speeds, to train on more voices and tempos."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command, stage_parser


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__, config=False)
    parser.add_argument("--data", type=Path, required=True, help="Kaldi data directory")
    parser.add_argument("--out", type=Path, required=True, help="the perturbed one, such as data/train_sp")
    parser.add_argument("--speeds", type=float, nargs="+", default=[0.9, 1.0, 1.1], help="factors")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Copy, unless the copy is up to date."""
    from tokenchain_toolkit.data.speed import perturb_speed
    from tokenchain_toolkit.data.stamp import data_inputs, make_output

    make_output(
        arguments.out,
        lambda: perturb_speed(arguments.data, arguments.out, speeds=arguments.speeds),
        inputs=data_inputs(arguments.data, "wav.scp", "text", "utt2spk"),
        config={"speeds": arguments.speeds},
        overwrite=arguments.overwrite,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
