"""Report on the tokens of one or several dumps: codebooks, runs, phones, robustness, reconstruction, probes."""

import argparse
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--dump", type=Path, nargs="+", required=True, help="token dumps to compare")
    parser.add_argument(
        "--data", type=Path, help="data directory of their utterances; its phones are used if it has any"
    )
    parser.add_argument(
        "--tokenizer", type=Path, nargs="+", default=[], help="tokenizer of each dump, to measure audio"
    )
    parser.add_argument("--asr", type=Path, nargs="+", default=[], help="ASR of each dump, to recognise rebuilt speech")
    parser.add_argument("--max_utts", type=int, default=40, help="utterances of what needs audio")
    parser.add_argument("--probes", action="store_true", help="train probes for speaker and content (minutes)")
    parser.add_argument("--out", type=Path, required=True, help="folder for tokens.md, tokens.json and tokens.png")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Write the report."""
    from tokenchain_toolkit.errors import ConfigError
    from tokenchain_toolkit.report.token_facts import TokenSources
    from tokenchain_toolkit.report.tokens import report_tokens

    for name in ("tokenizer", "asr"):
        given = getattr(arguments, name)
        if given and len(given) != len(arguments.dump):
            raise ConfigError(f"--{name} names {len(given)} folders for {len(arguments.dump)} dumps; name one for each")
    if arguments.asr and not arguments.tokenizer:
        raise ConfigError("--asr recognises rebuilt speech, which needs --tokenizer")
    sources = [
        TokenSources(dump, tokenizer, asr)
        for dump, tokenizer, asr in zip_longest(arguments.dump, arguments.tokenizer, arguments.asr)
    ]
    report_tokens(
        sources, arguments.out, data=arguments.data, max_utts=arguments.max_utts, with_probes=arguments.probes
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
