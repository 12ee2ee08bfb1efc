"""Learn the text units (BPE) from transcripts."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command, stage_parser


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__)
    parser.add_argument("--text", nargs="+", type=Path, required=True, help="Kaldi text files to learn from")
    parser.add_argument("--out", type=Path, required=True, help="folder for bpe.model, tokens.txt and config.yaml")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Train unless the output is up to date."""
    import logging

    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.config.text import BPEConfig
    from tokenchain_toolkit.data.kaldi import read_table
    from tokenchain_toolkit.data.stamp import StageStamp
    from tokenchain_toolkit.text.bpe import train_bpe

    logger = logging.getLogger(__name__)
    settings = config_dict(load_config(BPEConfig, arguments.config, arguments.overrides))
    stamp = StageStamp(arguments.out, inputs=arguments.text, config=settings)
    if not stamp.begin(overwrite=arguments.overwrite):
        logger.info("%s is up to date", arguments.out)
        return
    texts = [text for path in arguments.text for text in read_table(path).values()]
    tokenizer = train_bpe(texts, arguments.out, **settings)
    stamp.finish()
    logger.info(
        "%s: %d tokens (%s) from %d texts", arguments.out, tokenizer.vocab_size, settings["model_type"], len(texts)
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
