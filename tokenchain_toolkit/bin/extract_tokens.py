"""Extract the semantic tokens and acoustic codes of one data set, in resumable shards."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import add_worker_options, run_command, stage_parser, workers_from


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__, config=False)
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder that learn_tokenizer wrote")
    parser.add_argument("--data", type=Path, required=True, help="Kaldi data directory")
    parser.add_argument("--out", type=Path, required=True, help="folder of the dump, such as dump/mfcc/train")
    add_worker_options(parser)
    parser.add_argument("--max_skipped", type=float, default=0.01, help="largest share of unusable utterances")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Extract, unless the dump is up to date."""
    from tokenchain_toolkit.data.kaldi import read_table
    from tokenchain_toolkit.data.speed import SPEEDS, read_speeds
    from tokenchain_toolkit.data.stamp import data_inputs, make_output
    from tokenchain_toolkit.tokenizers.extraction import extract_tokens

    wavs = read_table(arguments.data / "wav.scp")
    inputs = [arguments.tokenizer / "manifest.json", *data_inputs(arguments.data, "wav.scp")]
    inputs += [arguments.data / SPEEDS] if (arguments.data / SPEEDS).is_file() else []
    make_output(
        arguments.out,
        lambda: extract_tokens(
            arguments.tokenizer,
            wavs,
            arguments.out,
            workers=workers_from(arguments),
            speeds=read_speeds(arguments.data, list(wavs)),
            device=arguments.device,
            max_skipped=arguments.max_skipped,
        ),
        inputs=inputs,
        config={},
        overwrite=arguments.overwrite,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
