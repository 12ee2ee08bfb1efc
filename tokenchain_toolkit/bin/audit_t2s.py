"""Audit speech that T2S drew: how often it ran away, stopped early, repeated itself or skipped words."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import json_target, run_command


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--hyp", type=Path, required=True, help="Kaldi text table that decode_asr wrote of the dump")
    parser.add_argument("--ref", type=Path, required=True, help="Kaldi text table of the set")
    parser.add_argument("--dump", type=Path, required=True, help="dump of drawn tokens that decode_t2s wrote")
    parser.add_argument("--natural", type=Path, help="natural tokens of the set, for the lengths to expect")
    parser.add_argument("--worst", type=int, default=20, help="utterances to list")
    parser.add_argument("--out", type=json_target, required=True, help="audit.json to write")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Audit as the options say."""
    from tokenchain_toolkit.metrics.t2s_audit import write_audit

    write_audit(
        arguments.hyp, arguments.ref, arguments.dump, arguments.natural, arguments.out, num_worst=arguments.worst
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
