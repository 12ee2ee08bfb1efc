"""The error ladder: what each part of the way from text to sound costs, on the same utterances at every rung.

The difference to the rung above is what the codec, S2A or T2S costs; see `ladder_rungs`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenchain_toolkit.data.kaldi import DataDir, read_data_dir, read_table
from tokenchain_toolkit.errors import MissingDependencyError
from tokenchain_toolkit.files import write_json
from tokenchain_toolkit.metrics.error_rate import word_error_rate
from tokenchain_toolkit.metrics.ladder_rungs import CODEC, LADDER, NATURAL, S2A, WER, Rung, same_utterances, texts_of
from tokenchain_toolkit.metrics.measured_audio import Speech, check_audio
from tokenchain_toolkit.metrics.measurement import Measurement
from tokenchain_toolkit.metrics.naturalness import measure_naturalness
from tokenchain_toolkit.metrics.recognised_words import check_transcripts, measure_words
from tokenchain_toolkit.metrics.recognisers import load_recogniser
from tokenchain_toolkit.metrics.score_rows import FEWEST
from tokenchain_toolkit.metrics.speaker_similarity import VoicePrints, load_encoder, measure_similarity
from tokenchain_toolkit.metrics.speech_measures import how_to_install, missing_packages
from tokenchain_toolkit.metrics.token_recogniser import describe_recogniser
from tokenchain_toolkit.metrics.voices import Voices, choose_voices

LOG = logging.getLogger(__name__)
OF_AUDIO = ("similarity", "dnsmos")  # measures beside the word errors; the extra `metrics` brings what they need
SHOWN_OPINION = "dnsmos"  # of the four scores of DNSMOS the overall one
Measured = dict[str, list[Measurement]]  # metric -> a measurement of each rung, in their order


@dataclass(frozen=True)
class LadderRequest:
    """What to measure.

    Attributes:
        rungs: From top to bottom.
        reference: Kaldi directory of the natural utterances.
        prompts: Table utt_id -> utterance whose voice S2A was given.
        asr: Folder of the model that read the texts.
        measures: Of ``OF_AUDIO``; those whose packages are not installed are left out and named in the result.
        encoder: Speaker encoder, ``resemblyzer`` or a model of transformers.
        recogniser: Another recogniser, ``pocketsphinx`` or a model of transformers, for a second word error rate.
        normaliser: What transcripts and the other recogniser's text go through.
        language: What a multilingual recogniser shall write.
        device: Torch device of encoder and recogniser.
        num_worst: Utterances to list.
        output: Folder for ``ladder.json`` and what the other recogniser read.
    """

    rungs: tuple[Rung, ...]
    reference: Path
    prompts: Path
    asr: Path
    measures: tuple[str, ...]
    encoder: str
    recogniser: str | None
    normaliser: str
    language: str | None
    device: str
    num_worst: int
    output: Path


def can_measure(request: LadderRequest) -> dict[str, str]:
    """The measures of ``OF_AUDIO`` that cannot be taken here, with what to install."""
    missing = {name: missing_packages([name], encoder=request.encoder, recogniser="") for name in request.measures}
    return {name: how_to_install(packages) for name, packages in missing.items() if packages}


def build_ladder(request: LadderRequest) -> dict[str, Any]:
    """Measure every rung, compare it with the one above, and write ``ladder.json``.

    Raises:
        DataError: A rung lacks utterances that another has, a table is missing, or audio is not readable.
        MissingDependencyError: The other recogniser's package is not installed.
    """
    if request.recogniser:
        missing = missing_packages(["wer"], encoder="", recogniser=request.recogniser)
        if missing:
            raise MissingDependencyError(how_to_install(missing))
    not_measured = can_measure(request)
    for name, why in not_measured.items():
        LOG.warning("the ladder goes without %s: %s", name, why)
    natural = read_data_dir(request.reference)
    speech = same_utterances(request.rungs, natural)
    utt_ids = list(speech[0].wavs)
    if request.recogniser:
        check_transcripts(natural, utt_ids, normaliser=request.normaliser)
    texts = [texts_of(rung, utt_ids) for rung in request.rungs]
    wanted = [name for name in request.measures if name not in not_measured]
    measured: Measured = {WER: [_words(request.asr, natural, read) for read in texts]}
    if wanted or request.recogniser:
        check_audio(path for each in speech for path in each.wavs.values())
        _measure_audio(request, wanted, speech, measured)
    kept, left_out = _on_the_same_utterances(request.rungs, measured)
    ladder = {
        "set": request.reference.resolve().name,
        "num_utts": len(utt_ids),
        "metrics": list(kept),
        "settings": {metric: found[0].settings for metric, found in kept.items()},
        "not_measured": not_measured,
        "left_out": left_out,
        "rungs": [_figures(place, request.rungs, kept) for place in range(len(request.rungs))],
        "utterances": _utterances(request.rungs, natural, speech, texts, kept),
        "worst": _worst(request.rungs, measured[WER], request.num_worst),
    }
    write_json(request.output / LADDER, ladder)
    LOG.info("%s", format_ladder(ladder))
    return ladder


def format_ladder(ladder: Mapping[str, Any]) -> str:
    """The word error rates as a table for people."""
    rows = [f"{'rung':24}WER in percent, and its change from the rung above [95 % interval]"]
    for rung in ladder["rungs"]:
        figure = rung["figures"][WER]
        text = f"{100 * figure['value']:.1f}"
        if figure["change"]:
            value, low, high = (100 * figure["change"][part] for part in ("value", "ci_low", "ci_high"))
            interval = "" if figure["n"] < FEWEST else f" [{low:+.1f}, {high:+.1f}]"
            text = f"{text:8}{value:+.1f}{interval} from {rung['above']}"
        rows.append(f"{rung['name']:24}{text}")
    return "\n".join([f"{ladder['set']}: {ladder['num_utts']} utterances at every rung", *rows])


def _words(asr: Path, natural: DataDir, texts: Mapping[str, str]) -> Measurement:
    """Word errors of the recipe's ASR."""
    found = Measurement(WER, describe_recogniser(asr))
    references = {utt_id: natural.texts[utt_id] for utt_id in texts}
    for utt_id, counts in word_error_rate(references, texts, num_bootstrap=1).per_utterance.items():
        found.add(utt_id, counts.errors, counts.num_reference_units)
    return found


def _measure_audio(request: LadderRequest, wanted: list[str], speech: list[Speech], measured: Measured) -> None:
    """Add the measures of audio, each of all rungs."""
    found: list[list[Measurement]] = []
    if "similarity" in wanted:
        prints = VoicePrints(load_encoder(request.encoder, device=request.device))
        voices = _voices(request, speech[0])
        similarities = [measure_similarity(each, voices, prints, prompted=True) for each in speech]
        found += map(list, zip(*similarities, strict=True))
    if "dnsmos" in wanted:
        opinions = [measure_naturalness(each) for each in speech]
        found.append([each for several in opinions for each in several if each.metric == SHOWN_OPINION])
    if request.recogniser:
        recogniser = load_recogniser(request.recogniser, language=request.language, device=request.device)
        found.append(
            [
                measure_words(each, recogniser, normaliser=request.normaliser, output=request.output / rung.name)
                for rung, each in zip(request.rungs, speech, strict=True)
            ]
        )
    measured |= {each[0].metric: list(each) for each in found}


def _voices(request: LadderRequest, speech: Speech) -> dict[str, Voices | str]:
    """The prompt of every utterance, and somebody else."""
    voices = choose_voices(speech.wavs, speech.natural, prompts=read_table(request.prompts))
    check_audio(path for each in voices.values() if isinstance(each, Voices) for path in (each.own, each.other) if path)
    return voices


def _on_the_same_utterances(rungs: Sequence[Rung], measured: Measured) -> tuple[Measured, dict[str, dict[str, str]]]:
    """What one rung could not be judged by, no rung is; a metric of no utterance is gone."""
    kept: Measured = {}
    left_out: dict[str, dict[str, str]] = {}
    for metric, found in measured.items():
        shared = set.intersection(*(set(each.totals) for each in found))
        unjudged = set.union(*(set(each.left_out) for each in found)) - shared
        if unjudged:
            left_out[metric] = {utt_id: _reason(utt_id, rungs, found) for utt_id in sorted(unjudged)}
        if shared:
            kept[metric] = [each.of(shared) for each in found]
    return kept, left_out


def _reason(utt_id: str, rungs: Sequence[Rung], found: Sequence[Measurement]) -> str:
    """Why an utterance is left out: at the first rung that could not be judged, or in the same way at all of them."""
    reasons = {
        rung.name: each.left_out[utt_id] for rung, each in zip(rungs, found, strict=True) if utt_id in each.left_out
    }
    name, why = next(iter(reasons.items()))
    return why if len(reasons) == len(rungs) and len(set(reasons.values())) == 1 else f"{name}: {why}"


def _figures(place: int, rungs: Sequence[Rung], measured: Measured) -> dict[str, Any]:
    """Figures of one rung with their changes from the rung above."""
    rung = rungs[place]
    above = next((number for number, other in enumerate(rungs) if other.name == rung.above), None)
    figures = {}
    for metric, found in measured.items():
        change = None if above is None else asdict(found[place].change_from(found[above]))
        figures[metric] = {**asdict(found[place].interval()), "n": found[place].num_utts, "change": change}
    return {"name": rung.name, "above": rung.above, "wavs": str(rung.wavs), "figures": figures}


def _utterances(
    rungs: Sequence[Rung],
    natural: DataDir,
    speech: Sequence[Speech],
    texts: Sequence[Mapping[str, str]],
    measured: Measured,
) -> dict[str, Any]:
    """Every utterance at every rung: audio, what was read, and its figures."""
    return {
        utt_id: {
            "text": natural.texts[utt_id],
            "rungs": {
                rung.name: {
                    "wav": speech[place].wavs[utt_id],
                    "text": texts[place][utt_id],
                    "word_errors": int(measured[WER][place].totals[utt_id]),
                    "figures": {
                        metric: found[place].totals[utt_id] / found[place].weights[utt_id]
                        for metric, found in measured.items()
                        if utt_id in found[place].totals
                    },
                }
                for place, rung in enumerate(rungs)
            },
        }
        for utt_id in speech[0].wavs
    }


def _worst(rungs: Sequence[Rung], words: Sequence[Measurement], limit: int) -> list[str]:
    """Utterances with the most word errors at the last rungs, those of T2S; none without an error."""
    last = [found for rung, found in zip(rungs, words, strict=True) if rung.name not in (NATURAL, CODEC, S2A)]
    errors = {utt_id: sum(found.totals[utt_id] for found in last) for utt_id in words[0].totals}
    ranked = sorted(errors, key=lambda utt_id: (-errors[utt_id], utt_id))
    return [utt_id for utt_id in ranked if errors[utt_id]][:limit]
