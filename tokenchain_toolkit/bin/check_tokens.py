"""Compare the semantic tokens of a sample computed alone, batched, in chunks and in half precision."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder that learn_tokenizer wrote")
    parser.add_argument("--data", type=Path, required=True, help="Kaldi data directory")
    parser.add_argument("--max_utts", type=int, default=20, help="utterances of it to compare, spread evenly")
    parser.add_argument("--half", choices=("bfloat16", "float16"), default="bfloat16", help="half precision to try")
    parser.add_argument("--device", default="cpu", help="torch device of an SSL model, such as cuda")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each mode; tokens that change in a batch are an error."""
    from tokenchain_toolkit.data.kaldi import read_table
    from tokenchain_toolkit.errors import DataError
    from tokenchain_toolkit.tokenizers.agreement import compare_modes

    wavs = read_table(arguments.data / "wav.scp")
    step = max(len(wavs) // max(arguments.max_utts, 1), 1)
    sample = dict(list(wavs.items())[::step][: arguments.max_utts])
    found = compare_modes(arguments.tokenizer, sample, device=arguments.device, half=arguments.half)
    sys.stdout.write(f"{'mode':10} {'frames':>8} {'mismatch':>9}\n")
    for one in found:
        sys.stdout.write(f"{one.mode:10} {one.frames:8} {100 * one.mismatch:8.3f}%\n")
    if found[0].mismatch:
        raise DataError("tokens of an utterance depend on what else is in its batch; extract with a batch of one")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
