"""Turn semantic tokens into audio with S2A and the codec, or decode a dump's own acoustic codes (no --s2a)."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import add_worker_options, run_command, stage_parser, workers_from


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = stage_parser(__doc__ or "")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer whose codec decodes")
    parser.add_argument("--dump", type=Path, required=True, help="semantic tokens to synthesize")
    parser.add_argument("--data", type=Path, required=True, help="Kaldi directory of the same utterances")
    parser.add_argument("--s2a", type=Path, help="S2A model folder; without it the dump's own codes are decoded")
    parser.add_argument("--prompt_dump", type=Path, help="natural tokens with acoustic codes, for prompts")
    parser.add_argument("--max_utts", type=int, help="only that many utterances, spread evenly over the set")
    parser.add_argument("--out", type=Path, required=True, help="output folder, a Kaldi directory of the audio")
    add_worker_options(parser)
    return run_command(run, parser, argv)


def run(arguments: argparse.Namespace) -> None:
    """Synthesize, unless the audio is up to date."""
    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.config.s2a import S2ADecodingConfig
    from tokenchain_toolkit.data.stamp import make_output
    from tokenchain_toolkit.errors import ConfigError
    from tokenchain_toolkit.inference.vocoding import synthesize_dump
    from tokenchain_toolkit.tokenizers.codec import decoding_inputs

    if arguments.s2a is None and (arguments.config or arguments.overrides or arguments.prompt_dump):
        raise ConfigError("--config, its settings and --prompt_dump are for S2A; name it by --s2a, or leave them out")
    config = load_config(S2ADecodingConfig, arguments.config, arguments.overrides)
    inputs = [*decoding_inputs(arguments.tokenizer), arguments.dump / ".done"]
    inputs += [arguments.data / "utt2spk", arguments.data / "text"]
    inputs += [arguments.s2a / "model.safetensors"] if arguments.s2a else []
    inputs += [arguments.prompt_dump / ".done"] if arguments.prompt_dump else []
    settings = {"max_utts": arguments.max_utts, **config_dict(config)}
    make_output(
        arguments.out,
        lambda: synthesize_dump(
            arguments.tokenizer,
            arguments.dump,
            arguments.data,
            arguments.out,
            s2a=arguments.s2a,
            prompt_dump=arguments.prompt_dump,
            max_utts=arguments.max_utts,
            config=config,
            workers=workers_from(arguments),
            device=arguments.device,
        ),
        inputs=inputs,
        config=settings,
        overwrite=arguments.overwrite,
    )


if __name__ == "__main__":
    sys.exit(main())
