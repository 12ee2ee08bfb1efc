"""Learn the text units (BPE) from transcripts."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenchain_toolkit.bin._cli import run_command, stage_parser


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__)
    parser.add_argument("--text", nargs="+", type=Path, required=True, help="Kaldi text files to learn from")
    parser.add_argument("--out", type=Path, required=True, help="folder for bpe.model, tokens.txt and config.yaml")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Train unless the output is up to date."""
    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.config.text import BPEConfig
    from tokenchain_toolkit.data.stamp import make_output

    settings = config_dict(load_config(BPEConfig, arguments.config, arguments.overrides))
    make_output(
        arguments.out,
        lambda: train(arguments.text, arguments.out, settings),
        inputs=arguments.text,
        config=settings,
        overwrite=arguments.overwrite,
    )


def train(texts: Sequence[Path], out: Path, settings: dict[str, Any]) -> None:
    """Learn from the transcripts of several sets."""
    import logging

    from tokenchain_toolkit.data.kaldi import read_table
    from tokenchain_toolkit.text.bpe import train_bpe

    sentences = [text for path in texts for text in read_table(path).values()]
    tokenizer = train_bpe(sentences, out, **settings)
    logging.getLogger(__name__).info(
        "%s: %d tokens (%s) from %d texts", out, tokenizer.vocab_size, settings["model_type"], len(sentences)
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
