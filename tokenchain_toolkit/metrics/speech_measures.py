"""All measures of synthesised audio in one go: what is asked for is checked first, then measured, then written."""

import importlib.util
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.data.kaldi import read_data_dir, read_table
from tokenchain_toolkit.errors import ConfigError, DataError, MissingDependencyError
from tokenchain_toolkit.files import write_json
from tokenchain_toolkit.metrics.measure_changes import MEASURES_FILE, changes_from, read_baseline
from tokenchain_toolkit.metrics.measured_audio import Speech, check_audio
from tokenchain_toolkit.metrics.measurement import Measurement
from tokenchain_toolkit.metrics.natural_comparison import TIMED, WARPED, measure_against_natural
from tokenchain_toolkit.metrics.naturalness import measure_naturalness
from tokenchain_toolkit.metrics.recognised_words import check_transcripts, measure_words
from tokenchain_toolkit.metrics.recognisers import POCKETSPHINX, load_recogniser
from tokenchain_toolkit.metrics.score_rows import CHANGE_SUFFIX, ScoreRow, write_score_rows
from tokenchain_toolkit.metrics.seed_bootstrap import Interval
from tokenchain_toolkit.metrics.speaker_similarity import RESEMBLYZER, VoicePrints, load_encoder, measure_similarity
from tokenchain_toolkit.metrics.utmos import measure_utmos
from tokenchain_toolkit.metrics.voices import Voices, choose_voices

LOG = logging.getLogger(__name__)
PACKAGES = {
    "similarity": ("resemblyzer", "webrtcvad", "librosa"),
    "dnsmos": ("speechmos", "onnxruntime", "librosa", "requests"),
    "wer": ("pocketsphinx",),
    "mcd": ("pyworld",),
    "pitch": ("pyworld",),
    "pesq": ("pesq", "pystoi", "pyworld"),
    "stoi": ("pesq", "pystoi", "pyworld"),
}
MEASURES = tuple(PACKAGES)


@dataclass(frozen=True)
class MeasureRequest:
    """What to measure and how to name it.

    Args:
        wavs: Folder whose ``wav.scp`` lists the audio to measure.
        reference: Kaldi directory with natural recordings, transcripts and speakers of at least these utterances.
        prompts: Table utt_id -> utterance of ``reference`` or audio file whose voice is wanted.
        measures: Names of `MEASURES`.
        encoder: Speaker encoder, ``resemblyzer`` or a model of transformers.
        recogniser: ``pocketsphinx`` or a model of transformers.
        utmos: Weights of UTMOS, which is then measured, too.
        normaliser: What transcripts and recognised text go through.
        language: What a multilingual recogniser shall write.
        baseline: Folder in which the same measures of another experiment are, to compare with.
        output: Folder for ``score.json``, ``measures.json`` and the recognised text.
    """

    wavs: Path
    reference: Path
    prompts: Path | None
    measures: tuple[str, ...]
    encoder: str
    recogniser: str
    utmos: Path | None
    normaliser: str
    language: str | None
    device: str
    set_name: str
    experiment: str
    model: str
    epoch: int | None
    baseline: Path | None
    command: str
    commit: str
    output: Path


def measure_speech(request: MeasureRequest) -> list[ScoreRow]:
    """Measure, write ``score.json`` and ``measures.json``, and return the rows.

    What a measure cannot judge, such as silence or a fraction of a second, is left out of it, named in
    ``measures.json`` and counted in the log; in the word error rate its words count as deleted. With a baseline, its
    utterances are the same, and rows with the changes from it follow.

    Raises:
        MissingDependencyError: Packages of the wanted measures are not installed.
        DataError: Tables do not fit together, audio is not readable, or the baseline is of other utterances; found
            before anything is measured.
        ConfigError: A model cannot be loaded, or a measure is unknown.
    """
    require_packages(request)
    speech = _read_speech_tables(request)
    baseline = read_baseline(request.baseline, utt_ids=speech.wavs.keys()) if request.baseline else None
    voices = _choose_voices(request, speech) if "similarity" in request.measures else {}
    _check_files(request, speech, voices)
    found: list[Measurement] = []
    if "similarity" in request.measures:
        prints = VoicePrints(load_encoder(request.encoder, device=request.device))
        found += measure_similarity(speech, voices, prints, prompted=request.prompts is not None)
    if "dnsmos" in request.measures:
        found += measure_naturalness(speech)
    if request.utmos:
        found.append(measure_utmos(speech, request.utmos, device=request.device))
    if "wer" in request.measures:
        recogniser = load_recogniser(request.recogniser, language=request.language, device=request.device)
        found.append(measure_words(speech, recogniser, normaliser=request.normaliser, output=request.output))
    found += measure_against_natural(speech, request.measures) if _needs_natural(request) else []
    _write_details(request, found, num_utts=len(speech.wavs))
    rows = [_row(request, each.metric, each.interval(), num_utts=each.num_utts) for each in found if each.num_utts]
    if baseline:
        rows += [
            _row(
                request,
                each.metric + CHANGE_SUFFIX,
                each.interval,
                num_utts=each.num_utts,
                baseline=baseline.experiment,
            )
            for each in changes_from(baseline, found)
        ]
    write_score_rows(request.output / "score.json", rows)
    return rows


def require_packages(request: MeasureRequest) -> None:
    """Refuse unknown measures, and those whose packages are missing, all of them named in one error.

    Raises:
        ConfigError: A measure is unknown, or there is none.
        MissingDependencyError: Packages are missing.
    """
    if not request.measures and not request.utmos:
        raise ConfigError("nothing is to be measured; name some --measures, or the weights of --utmos")
    unknown = sorted(set(request.measures) - set(MEASURES))
    if unknown:
        raise ConfigError(f"--measures {' '.join(unknown)}: unknown; choose among {', '.join(MEASURES)}")
    missing = missing_packages(request.measures, encoder=request.encoder, recogniser=request.recogniser)
    if missing:
        raise MissingDependencyError(how_to_install(missing))


def missing_packages(measures: Iterable[str], *, encoder: str, recogniser: str) -> list[str]:
    """Packages that these measures need and that are not installed, sorted.

    Args:
        measures: Names of `MEASURES`.
        encoder: Speaker encoder; only resemblyzer is a package.
        recogniser: Only pocketsphinx is a package.
    """
    not_from_package = {"similarity": encoder != RESEMBLYZER, "wer": recogniser != POCKETSPHINX}
    packages = {each for name in measures if not not_from_package.get(name) for each in PACKAGES[name]}
    return sorted(each for each in packages if importlib.util.find_spec(each) is None)


def how_to_install(missing: Sequence[str]) -> str:
    """What to do about missing packages."""
    return (
        f"measuring speech needs the packages of the extra 'metrics', of which {', '.join(missing)} "
        f"{'are' if len(missing) > 1 else 'is'} not installed; install them by 'tools/install.sh .venv dev metrics'"
    )


def _read_speech_tables(request: MeasureRequest) -> Speech:
    """The tables, once they fit together and every transcript has words left to compare."""
    scp = request.wavs / "wav.scp"
    wavs, natural = read_table(scp), read_data_dir(request.reference)
    if not wavs:
        raise DataError(f"{scp} lists no audio; synthesise the set again")
    strangers = sorted(wavs.keys() - natural.wavs.keys())
    if strangers:
        raise DataError(
            f"{scp}: {len(strangers)} utterances are not in {request.reference}, first {strangers[0]}; "
            "name the directory that they were synthesised from by --reference"
        )
    if "wer" in request.measures:
        check_transcripts(natural, wavs, normaliser=request.normaliser)
    return Speech(dict(sorted(wavs.items())), natural)


def _choose_voices(request: MeasureRequest, speech: Speech) -> dict[str, Voices | str]:
    prompts = read_table(request.prompts) if request.prompts else None
    return choose_voices(speech.wavs, speech.natural, prompts=prompts)


def _check_files(request: MeasureRequest, speech: Speech, voices: dict[str, Voices | str]) -> None:
    """Look at every file that will be read."""
    paths = list(speech.wavs.values())
    for chosen in voices.values():
        if isinstance(chosen, Voices):
            paths += [path for path in (chosen.own, chosen.other) if path is not None]
    if _needs_natural(request):
        paths += [speech.natural.wavs[utt_id] for utt_id in speech.wavs]
    check_audio(paths)


def _needs_natural(request: MeasureRequest) -> bool:
    return not {*WARPED, *TIMED}.isdisjoint(request.measures)


def _write_details(request: MeasureRequest, found: list[Measurement], *, num_utts: int) -> None:
    """Write every utterance's values, and say what was left out."""
    details = request.output / MEASURES_FILE
    metrics_by_faults: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for each in found:
        if each.left_out:
            metrics_by_faults.setdefault(tuple(sorted(each.left_out.items())), []).append(each.metric)
    for faults, metrics in metrics_by_faults.items():
        LOG.warning(
            "%s, %s: %d of %d utterances could not be judged, first %s: %s; all are named in %s",
            *(request.set_name, ", ".join(metrics), len(faults), num_utts, *faults[0], details),
        )
    write_json(
        details,
        {
            "experiment": request.experiment,
            "wavs": str(request.wavs),
            "reference": str(request.reference),
            "prompts": str(request.prompts) if request.prompts else None,
            "measures": {each.metric: each.as_json() for each in found},
        },
    )


def _row(
    request: MeasureRequest, metric: str, interval: Interval, *, num_utts: int, baseline: str | None = None
) -> ScoreRow:
    return ScoreRow(
        experiment=request.experiment,
        model=request.model,
        epoch=request.epoch,
        set=request.set_name,
        metric=metric,
        value=interval.value,
        ci_low=interval.ci_low,
        ci_high=interval.ci_high,
        n=num_utts,
        command=request.command,
        commit=request.commit,
        baseline=baseline,
    )
