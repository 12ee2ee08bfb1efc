"""What do codec, S2A and T2S cost? Word errors, voice and naturalness on the way from natural speech to T2S's."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command, stage_parser

# As in metrics/error_ladder.py and metrics/recognisers.py, which would make --help load PyTorch; a test compares.
MEASURES = ("similarity", "dnsmos")
NORMALISERS = ("none", "lower", "upper", "words", "whisper_english")


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__ or "", config=False)
    parser.add_argument("--exp", type=Path, default=Path("exp"), help="folder of the experiments")
    parser.add_argument("--data", type=Path, required=True, help="natural utterances, data/<set>")
    parser.add_argument(
        "--experiments", nargs="+", required=True, metavar="NAME", help="whose T2S drew the tokens: chain_baseline, ..."
    )
    parser.add_argument(
        "--measures",
        nargs="*",
        choices=MEASURES,
        default=list(MEASURES),
        metavar="MEASURE",
        help=f"beside word errors: {', '.join(MEASURES)}; what is not installed is left out and named",
    )
    model = "local folder or hub id of a model of transformers"
    parser.add_argument("--encoder", default="resemblyzer", help=f"speaker encoder: resemblyzer, or {model}")
    parser.add_argument("--recogniser", help=f"a second recogniser beside the recipe's ASR: pocketsphinx, or {model}")
    parser.add_argument("--language", help="language that a multilingual Whisper shall write, such as en")
    parser.add_argument(
        "--normaliser", choices=NORMALISERS, default="words", help="what the second recogniser's text goes through"
    )
    parser.add_argument("--worst", type=int, default=10, help="utterances to list")
    parser.add_argument("--device", default="cpu", help="torch device of encoder and recogniser, such as cuda")
    parser.add_argument("--out", type=Path, required=True, help="folder for ladder.json, exp/ladder_<set>")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Measure, unless the ladder is up to date."""
    from tokenchain_toolkit.data.stamp import data_inputs, make_output
    from tokenchain_toolkit.inference.vocoding import PROMPTS
    from tokenchain_toolkit.metrics.error_ladder import LadderRequest, build_ladder, can_measure
    from tokenchain_toolkit.metrics.ladder_rungs import S2A, recipe_rungs

    rungs = recipe_rungs(arguments.exp, arguments.data, arguments.experiments)
    request = LadderRequest(
        rungs=rungs,
        reference=arguments.data,
        prompts=next(rung.wavs for rung in rungs if rung.name == S2A) / PROMPTS,
        asr=arguments.exp / "asr",
        measures=tuple(arguments.measures),
        encoder=arguments.encoder,
        recogniser=arguments.recogniser,
        normaliser=arguments.normaliser,
        language=arguments.language,
        device=arguments.device,
        num_worst=arguments.worst,
        output=arguments.out,
    )
    inputs = [arguments.data / "text", arguments.data / "utt2spk", request.prompts, *(rung.texts for rung in rungs)]
    inputs += [path for rung in rungs for path in data_inputs(rung.wavs, "wav.scp")]
    names = ("measures", "encoder", "recogniser", "normaliser", "language", "experiments", "worst")
    settings = {name: getattr(arguments, name) for name in names}
    # Installing what was missing makes the ladder stale.
    settings["left_out"] = sorted(can_measure(request))
    make_output(
        arguments.out, lambda: build_ladder(request), inputs=inputs, config=settings, overwrite=arguments.overwrite
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
