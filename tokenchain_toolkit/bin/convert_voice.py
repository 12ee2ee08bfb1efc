"""Say what recordings say in the voice of a prompt; without a prompt each is resynthesised in its own voice."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import add_worker_options, run_command, stage_parser, workers_from


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__ or "")
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument("--wav", type=Path, action="append", help="recording; may be given several times")
    sources.add_argument("--wavs", type=Path, help="table utt_id -> recording, such as a wav.scp")
    prompts = parser.add_mutually_exclusive_group()
    prompts.add_argument("--prompt", type=Path, help="audio file of the wanted voice")
    prompts.add_argument("--prompts", type=Path, help="table utt_id -> audio file of the wanted voice")
    parser.add_argument("--s2a", type=Path, required=True, help="S2A model folder")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer that encodes and decodes")
    parser.add_argument("--out", type=Path, required=True, help="output folder: wav.scp and the audio")
    add_worker_options(parser)
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Convert, unless the audio is up to date."""
    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.config.s2a import S2ADecodingConfig
    from tokenchain_toolkit.data.kaldi import read_table
    from tokenchain_toolkit.data.stamp import make_output
    from tokenchain_toolkit.inference.speaking import SpeechParts, convert_voices
    from tokenchain_toolkit.inference.spoken_inputs import recording_rows
    from tokenchain_toolkit.tokenizers.codec import decoding_inputs

    decoding = load_config(S2ADecodingConfig, arguments.config, arguments.overrides)
    wavs = read_table(arguments.wavs) if arguments.wavs else _by_name(arguments.wav)
    prompts = wavs
    if arguments.prompt or arguments.prompts:
        prompts = read_table(arguments.prompts) if arguments.prompts else dict.fromkeys(wavs, str(arguments.prompt))
    inputs = [*decoding_inputs(arguments.tokenizer), arguments.s2a / "model.safetensors"]
    rows = recording_rows(wavs, prompts, tokenizer=arguments.tokenizer)
    inputs += [Path(path) for path in dict.fromkeys(path for row in rows for path in row[1:])]
    make_output(
        arguments.out,
        lambda: convert_voices(
            SpeechParts(tokenizer=arguments.tokenizer, s2a=arguments.s2a),
            rows,
            arguments.out,
            decoding=decoding,
            workers=workers_from(arguments),
            device=arguments.device,
        ),
        inputs=inputs,
        config={"rows": rows, **config_dict(decoding)},
        overwrite=arguments.overwrite,
        subject="rows",
    )


def _by_name(paths: list[Path]) -> dict[str, str]:
    """Recordings by the names of their files, with a sign for what a name cannot hold.

    Raises:
        ConfigError: Two files have the same name.
    """
    from tokenchain_toolkit.errors import ConfigError
    from tokenchain_toolkit.inference.spoken_inputs import clean_name

    named: dict[str, str] = {}
    for path in paths:
        name = clean_name(path)
        if name in named:
            raise ConfigError(f"--wav: two files are called {name}; give a table by --wavs, which names utterances")
        named[name] = str(path)
    return named


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
