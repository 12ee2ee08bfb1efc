"""Report on the tokens of one or several dumps: use of the codebooks, run lengths, agreement with phones."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--dump", type=Path, nargs="+", required=True, help="token dumps to compare")
    parser.add_argument(
        "--data", type=Path, help="data directory of their utterances; its phones are used if it has any"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for tokens.md, tokens.json and tokens.png")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Write the report."""
    from tokenchain_toolkit.report.tokens import report_tokens

    report_tokens(arguments.dump, arguments.out, data=arguments.data)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
