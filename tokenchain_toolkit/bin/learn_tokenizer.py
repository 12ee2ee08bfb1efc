"""Learn the semantic k-means and the acoustic codec from one data set."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command, stage_parser


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Kaldi data directory to learn from")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tokenizer, such as exp/tokenizer_mfcc")
    parser.add_argument("--device", default="cpu", help="torch device of an SSL model")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Learn, unless the tokenizer is up to date."""
    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.config.tokenizer import TokenizerConfig
    from tokenchain_toolkit.data.kaldi import read_table
    from tokenchain_toolkit.data.stamp import data_inputs, make_output
    from tokenchain_toolkit.tokenizers.learning import learn_tokenizer

    config = load_config(TokenizerConfig, arguments.config, arguments.overrides)
    make_output(
        arguments.out,
        lambda: learn_tokenizer(config, read_table(arguments.data / "wav.scp"), arguments.out, device=arguments.device),
        inputs=data_inputs(arguments.data, "wav.scp"),
        config=config_dict(config),
        overwrite=arguments.overwrite,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
