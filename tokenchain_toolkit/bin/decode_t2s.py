"""Speak the transcripts of one set as semantic tokens, drawn from T2S."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import (
    add_listener_option,
    add_norms_options,
    listener_inputs,
    norms_inputs,
    run_command,
    stage_parser,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = stage_parser(__doc__ or "")
    parser.add_argument("--model", type=Path, required=True, help="T2S model folder, such as exp/chain_st_argmax/t2s")
    parser.add_argument("--data", type=Path, required=True, help="Kaldi directory with the transcripts")
    parser.add_argument("--dump", type=Path, required=True, help="natural tokens of the set, for prompts")
    add_norms_options(parser)
    add_listener_option(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the dump of drawn tokens")
    parser.add_argument("--device", default="cpu", help="torch device, such as cuda")
    return run_command(run, parser, argv)


def run(arguments: argparse.Namespace) -> None:
    """Generate, unless the dump is up to date."""
    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.config.t2s import T2SSamplingConfig
    from tokenchain_toolkit.data.stamp import make_output
    from tokenchain_toolkit.inference.generation import generate_dump

    config = load_config(T2SSamplingConfig, arguments.config, arguments.overrides)
    inputs = [arguments.model / "model.safetensors", arguments.data / "text", arguments.dump / ".done"]
    inputs += [*norms_inputs(arguments), *listener_inputs(arguments, config.most_misread)]
    make_output(
        arguments.out,
        lambda: generate_dump(
            arguments.model,
            arguments.data,
            arguments.dump,
            arguments.out,
            config=config,
            norms_data=arguments.norms_data,
            norms_dump=arguments.norms_dump,
            listener=arguments.listener,
            device=arguments.device,
        ),
        inputs=inputs,
        config=config_dict(config),
        overwrite=arguments.overwrite,
    )


if __name__ == "__main__":
    sys.exit(main())
