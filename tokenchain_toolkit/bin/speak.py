"""Speak texts in the voice of a prompt: T2S draws semantic tokens, S2A and the codec make them sound."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import (
    add_listener_option,
    add_norms_options,
    add_worker_options,
    listener_inputs,
    norms_inputs,
    run_command,
    stage_parser,
    workers_from,
)
from tokenchain_toolkit.config.text import NORMALISERS


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__ or "", config=False)
    texts = parser.add_mutually_exclusive_group(required=True)
    texts.add_argument("--text", action="append", help="what to say; may be given several times")
    texts.add_argument("--texts", type=Path, help="table utt_id -> what to say")
    prompts = parser.add_mutually_exclusive_group(required=True)
    prompts.add_argument("--prompt", type=Path, help="audio file of the wanted voice")
    prompts.add_argument("--prompts", type=Path, help="table utt_id -> audio file of the wanted voice")
    said = parser.add_mutually_exclusive_group()
    said.add_argument("--prompt_text", help="what is said in --prompt: a slow speaker is given as much more time")
    said.add_argument(
        "--prompt_texts", type=Path, help="table utt_id -> what is said in its prompt; some may be missing"
    )
    parser.add_argument("--t2s", type=Path, required=True, help="T2S model folder, such as exp/chain_st_argmax/t2s")
    parser.add_argument("--s2a", type=Path, required=True, help="S2A model folder")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer whose codec decodes")
    parser.add_argument("--units", type=Path, help="folder that learn_units wrote, where T2S was trained on units")
    parser.add_argument("--t2s_config", type=Path, help="YAML file of T2S's sampling, such as conf/decode_t2s.yaml")
    parser.add_argument("--s2a_config", type=Path, help="YAML file of S2A's decoding, such as conf/synthesize.yaml")
    parser.add_argument(
        "overrides", nargs="*", metavar="part.key=value", help="settings that win over the YAML files: t2s.*, s2a.*"
    )
    parser.add_argument(
        "--normaliser", choices=NORMALISERS, default="none", help="what texts go through before T2S's own text units"
    )
    add_norms_options(parser)
    add_listener_option(parser)
    parser.add_argument("--out", type=Path, required=True, help="output folder, a Kaldi directory of the audio")
    add_worker_options(parser)
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Speak, unless the audio is up to date."""
    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.config.s2a import S2ADecodingConfig
    from tokenchain_toolkit.config.t2s import T2SSamplingConfig
    from tokenchain_toolkit.data.kaldi import read_table
    from tokenchain_toolkit.data.stamp import make_output
    from tokenchain_toolkit.errors import ConfigError
    from tokenchain_toolkit.inference.speaking import SpeechParts, speak_texts
    from tokenchain_toolkit.inference.spoken_inputs import text_rows
    from tokenchain_toolkit.text.normalise import get_normaliser
    from tokenchain_toolkit.tokenizers.codec import decoding_inputs

    sampling = load_config(T2SSamplingConfig, arguments.t2s_config, _part(arguments.overrides, "t2s"))
    decoding = load_config(S2ADecodingConfig, arguments.s2a_config, _part(arguments.overrides, "s2a"))
    if arguments.listener and sampling.most_misread >= 1:
        raise ConfigError(
            f"--listener {arguments.listener} has nothing to do while t2s.most_misread is 1; give the share of a "
            "text's characters that it may misread, such as t2s.most_misread=0, or leave --listener out"
        )
    given = read_table(arguments.texts) if arguments.texts else _numbered(arguments.text)
    normalise = get_normaliser(arguments.normaliser)
    texts = {utt_id: normalise(text) for utt_id, text in given.items()}
    prompts = read_table(arguments.prompts) if arguments.prompts else dict.fromkeys(texts, str(arguments.prompt))
    said = _what_prompts_say(arguments, texts, prompt_frames=sampling.prompt_frames)
    prompt_texts = {prompts[utt_id]: normalise(text) for utt_id, text in said.items() if utt_id in prompts}
    names = ("tokenizer", "s2a", "t2s", "units", "norms_dump", "norms_data", "listener")
    inputs = [*decoding_inputs(arguments.tokenizer), *norms_inputs(arguments)]
    inputs += listener_inputs(arguments, sampling.most_misread)
    inputs += [folder / "model.safetensors" for folder in (arguments.s2a, arguments.t2s)]
    inputs += [arguments.units / ".done"] if arguments.units else []
    rows = text_rows(texts, prompts, prompt_texts=prompt_texts, t2s=arguments.t2s, tokenizer=arguments.tokenizer)
    inputs += [Path(path) for path in dict.fromkeys(prompt for *_, prompt in rows)]
    make_output(
        arguments.out,
        lambda: speak_texts(
            SpeechParts(**{name: getattr(arguments, name) for name in names}),
            rows,
            arguments.out,
            prompt_texts=prompt_texts,
            sampling=sampling,
            decoding=decoding,
            workers=workers_from(arguments),
            device=arguments.device,
        ),
        inputs=inputs,
        config={"rows": rows, "prompt_texts": prompt_texts, "t2s": config_dict(sampling), "s2a": config_dict(decoding)},
        overwrite=arguments.overwrite,
        subject="rows",
    )


def _numbered(texts: list[str]) -> dict[str, str]:
    return {f"text{number:03d}": text for number, text in enumerate(texts, start=1)}


def _what_prompts_say(arguments: argparse.Namespace, texts: Mapping[str, str], *, prompt_frames: int) -> dict[str, str]:
    """utt_id -> what is said in its prompt, where that is given.

    Raises:
        ConfigError: T2S is given no prompt, or knows no pace; one text is given for several prompts, or the table is of
            other utterances.
    """
    from tokenchain_toolkit.config.load import merge_into
    from tokenchain_toolkit.config.t2s import T2SModelConfig
    from tokenchain_toolkit.data.kaldi import read_table
    from tokenchain_toolkit.errors import ConfigError
    from tokenchain_toolkit.inference.model_folder import load_model

    if arguments.prompt_text is None and arguments.prompt_texts is None:
        return {}
    if prompt_frames == 0:
        raise ConfigError(
            "T2S hears no prompt (t2s.prompt_frames=0), so what is said in it is of no use; leave --prompt_text(s) "
            "out, or take a T2S that was trained with prompts and set t2s.prompt_frames"
        )
    model = merge_into(T2SModelConfig, load_model(arguments.t2s, kind="t2s").model_config)
    if model.text_positions == "order":
        raise ConfigError(
            f"{arguments.t2s} was trained with text_positions=order and knows no pace, so what is said in a prompt is "
            "of no use; leave --prompt_text(s) out"
        )
    if arguments.prompt_text is not None:
        if arguments.prompts:
            raise ConfigError("--prompt_text is of one --prompt; give --prompt_texts with --prompts")
        return dict.fromkeys(texts, arguments.prompt_text)
    said = read_table(arguments.prompt_texts)
    if not said.keys() & texts.keys():
        raise ConfigError(f"{arguments.prompt_texts} has none of the utterances that are to be spoken")
    return said


def _part(overrides: list[str], name: str) -> list[str]:
    """The settings of one part, without its name.

    Raises:
        ConfigError: A setting names neither part.
    """
    from tokenchain_toolkit.errors import ConfigError

    for setting in overrides:
        if not setting.startswith(("t2s.", "s2a.")):
            raise ConfigError(f"{setting}: begin with the part that is meant, such as t2s.temperature or s2a.top_k")
    return [setting.removeprefix(f"{name}.") for setting in overrides if setting.startswith(f"{name}.")]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
