"""Measure synthesised audio: speaker similarity, DNSMOS, word errors, and its distance to the natural recording."""

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command, stage_parser

LOG = logging.getLogger(__name__)
# As in metrics/speech_measures.py and metrics/recognisers.py, which would make --help load PyTorch; a test compares.
MEASURES = ("similarity", "dnsmos", "wer", "mcd", "pitch", "pesq", "stoi")
NORMALISERS = ("none", "lower", "upper", "words", "whisper_english")


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__ or "", config=False)
    parser.add_argument("--wavs", type=Path, required=True, help="folder with the wav.scp of the audio to measure")
    parser.add_argument(
        "--reference", type=Path, required=True, help="Kaldi directory of the same utterances, spoken by people"
    )
    parser.add_argument(
        "--prompts",
        type=Path,
        help="table utt_id -> utterance of --reference, or audio file, whose voice is wanted; without it voices are "
        "compared with another utterance of the same speaker",
    )
    parser.add_argument(
        "--measures", nargs="*", choices=MEASURES, default=list(MEASURES), metavar="MEASURE", help=", ".join(MEASURES)
    )
    model = "local folder or hub id of a model of transformers"
    parser.add_argument("--encoder", default="resemblyzer", help=f"speaker encoder: resemblyzer, or {model}")
    parser.add_argument("--recogniser", default="pocketsphinx", help=f"pocketsphinx, or {model}, such as Whisper")
    parser.add_argument("--utmos", type=Path, help="weights of UTMOS, utmos22_strong_step7459_v1.pt: measures it, too")
    parser.add_argument("--language", help="language that a multilingual Whisper shall write, such as en")
    parser.add_argument(
        "--normaliser", choices=NORMALISERS, default="words", help="what transcript and recognised text go through"
    )
    parser.add_argument("--set", dest="set_name", help="name of the set in the results; by default --reference's")
    parser.add_argument("--experiment", help="name in the results; by default that of exp/<experiment>/synth_<set>")
    parser.add_argument("--model", default="s2a", help="kind of model: s2a, codec, chain, natural")
    parser.add_argument("--trained", type=Path, help="model folder, which says how many epochs it was trained for")
    parser.add_argument(
        "--baseline",
        type=Path,
        help="--out of the same measures of another experiment on the same utterances: word errors, similarity and "
        "DNSMOS are compared with it, utterance by utterance",
    )
    parser.add_argument("--device", default="cpu", help="torch device of encoder and recogniser, such as cuda")
    parser.add_argument("--out", type=Path, required=True, help="folder for score.json and measures.json")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Measure, unless the figures are up to date."""
    from tokenchain_toolkit.data.stage_folder import missing_input
    from tokenchain_toolkit.data.stamp import data_inputs, make_output
    from tokenchain_toolkit.errors import ConfigError, DataError
    from tokenchain_toolkit.files import read_json
    from tokenchain_toolkit.metrics.measure_changes import MEASURES_FILE
    from tokenchain_toolkit.metrics.speech_measures import MeasureRequest, measure_speech
    from tokenchain_toolkit.report.provenance import package_commit
    from tokenchain_toolkit.report.results import format_change, format_rate

    folder = arguments.wavs.resolve()
    if not (folder / "wav.scp").is_file():
        raise DataError(missing_input(folder / "wav.scp", arguments.out))
    if not arguments.experiment and not folder.name.startswith("synth_"):
        raise ConfigError(f"--wavs {arguments.wavs} is no exp/<experiment>/synth_<set>; name it by --experiment")
    if arguments.baseline and arguments.baseline.resolve() == arguments.out.resolve():
        raise ConfigError(f"--baseline {arguments.baseline} is --out itself; name the folder of another experiment")
    request = MeasureRequest(
        wavs=arguments.wavs,
        reference=arguments.reference,
        prompts=arguments.prompts,
        measures=tuple(arguments.measures),
        encoder=arguments.encoder,
        recogniser=arguments.recogniser,
        utmos=arguments.utmos,
        normaliser=arguments.normaliser,
        language=arguments.language,
        device=arguments.device,
        set_name=arguments.set_name or arguments.reference.resolve().name,
        experiment=arguments.experiment or folder.parent.name,
        model=arguments.model,
        epoch=read_json(arguments.trained / "model.json")["epoch"] if arguments.trained else None,
        baseline=arguments.baseline,
        command=shlex.join(["python", "-m", "tokenchain_toolkit.bin.measure_speech", *sys.argv[1:]]),
        commit=package_commit(),
        output=arguments.out,
    )
    inputs = data_inputs(arguments.wavs, "wav.scp") + data_inputs(arguments.reference, "wav.scp", "text", "utt2spk")
    inputs += [arguments.prompts] if arguments.prompts else []
    inputs += [arguments.utmos] if arguments.utmos else []
    inputs += [arguments.baseline / MEASURES_FILE] if arguments.baseline else []
    names = ("measures", "encoder", "recogniser", "normaliser", "language", "set_name", "experiment", "model", "epoch")

    def work() -> None:
        for row in measure_speech(request):
            figure = format_change(row) if row.baseline else format_rate(row)
            LOG.info("%s %s %s: %s, %d utterances", row.set, row.metric, row.experiment, figure, row.n)

    settings = {name: getattr(request, name) for name in names} | {"measures": list(request.measures)}
    make_output(arguments.out, work, inputs=inputs, config=settings, overwrite=arguments.overwrite)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
