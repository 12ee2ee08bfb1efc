"""Recognise the semantic tokens of one set by joint CTC/attention beam search."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import add_worker_options, run_command, stage_parser, workers_from


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = stage_parser(__doc__ or "")
    parser.add_argument("--model", type=Path, required=True, help="ASR model folder, such as exp/chain_st_argmax/asr")
    parser.add_argument("--dump", type=Path, required=True, help="token dump of the set")
    parser.add_argument("--out", type=Path, required=True, help="folder for text, such as exp/asr/decode_test")
    add_worker_options(parser)
    return run_command(run, parser, argv)


def run(arguments: argparse.Namespace) -> None:
    """Recognise, unless the text is up to date."""
    from tokenchain_toolkit.config.asr import ASRDecodingConfig
    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.data.stamp import make_output
    from tokenchain_toolkit.inference.recognition import recognise_dump

    config = load_config(ASRDecodingConfig, arguments.config, arguments.overrides)
    inputs = [arguments.model / "model.safetensors", arguments.dump / ".done"]
    make_output(
        arguments.out,
        lambda: recognise_dump(
            arguments.model,
            arguments.dump,
            arguments.out,
            config=config,
            workers=workers_from(arguments),
            device=arguments.device,
        ),
        inputs=inputs,
        config=config_dict(config),
        overwrite=arguments.overwrite,
    )


if __name__ == "__main__":
    sys.exit(main())
