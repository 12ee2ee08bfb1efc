"""Time and disk of the stages after training: recognition, drawing, synthesis, and recognition for the scores."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenchain_toolkit.errors import counted
from tokenchain_toolkit.planning.amount import Amounts
from tokenchain_toolkit.planning.decode_probe import DecodingMeasure
from tokenchain_toolkit.planning.estimates import StageEstimate, dump_bytes
from tokenchain_toolkit.planning.findings import about
from tokenchain_toolkit.planning.tokenizer_probe import ExtractionMeasure, VocodingMeasure
from tokenchain_toolkit.recipe.commands import StageCommand

SAMPLE_BYTES = 2
# Stage -> what its estimate leaves out; each takes seconds to minutes.
STAGES = {
    "decode_asr": "",
    "decode_t2s": "; bad draws are made again, which is not in it",
    "synthesize": "",
    "score": "; bootstraps and the error ladder are not in it",
}


@dataclass(frozen=True)
class GenerationMeasures:
    """What was measured of them.

    Attributes:
        extraction: Making tokens of audio; None where that could not be measured.
        vocoding: Making audio of codes; None where that could not be measured, or there is no codec.
        decodings: ``asr``, ``t2s`` and ``s2a`` -> what it came to.
    """

    extraction: ExtractionMeasure | None
    vocoding: VocodingMeasure | None
    decodings: dict[str, DecodingMeasure]


def generation_stages(
    commands: Sequence[StageCommand], amounts: Amounts, measures: GenerationMeasures
) -> list[StageEstimate]:
    """The stages that a recipe has of these, each in one process.

    Args:
        commands: Of all stages.
        amounts: What they work on.
        measures: What was measured.
    """
    times, disks, used = dict.fromkeys(STAGES, 0.0), dict.fromkeys(STAGES, 0), {stage: set[str]() for stage in STAGES}
    for command in commands:
        if command.stage in STAGES:
            seconds, disk, names = _cost(command, amounts, measures)
            times[command.stage] += seconds
            disks[command.stage] += disk
            used[command.stage] |= names
    return [
        StageEstimate(stage, times[stage], disks[stage], 0, _basis(used[stage], measures) + left_out)
        for stage, left_out in STAGES.items()
        if used[stage]
    ]


def _cost(command: StageCommand, amounts: Amounts, measures: GenerationMeasures) -> tuple[float, int, set[str]]:
    """Seconds and bytes of a command, and the names of the measures that they follow from; none if there are none."""
    decodings, vocoding, frame_rate = measures.decodings, measures.vocoding, amounts.frame_rate
    if command.name in ("decode_asr", "decode_t2s"):
        name, frames = command.name.removeprefix("decode_"), float(amounts.of(command.one("dump")).sum())
        if name in decodings:
            disk = dump_bytes(frames) if name == "t2s" else 0
            return frames * decodings[name].seconds_per_frame, disk, {name}
    frames = float(amounts.of(command.one("out")).sum())
    if command.name == "extract_tokens" and measures.extraction is not None:
        return frames / frame_rate / measures.extraction.speed, dump_bytes(frames), {"extraction"}
    if command.name == "synthesize" and vocoding is not None:
        by_s2a = {"s2a"} & command.options.keys() & decodings.keys()
        spoken = frames / frame_rate
        seconds = spoken / vocoding.speed
        seconds += sum(spoken * vocoding.frame_rate * decodings[name].seconds_per_frame for name in by_s2a)
        return seconds, round(spoken * vocoding.sample_rate * SAMPLE_BYTES), {"vocoding", *by_s2a}
    return 0.0, 0, set()


def _basis(names: set[str], measures: GenerationMeasures) -> str:
    """The speeds in words."""
    told = []
    for name, what in (("asr", "beam search"), ("t2s", "T2S"), ("s2a", "S2A")):
        if name in names:
            found = measures.decodings[name]
            utterances = counted(found.num_utts, "utterance")
            told.append(f"{what} {1e3 * found.seconds_per_frame:.2g} ms a frame with {utterances} at once")
    if "vocoding" in names and measures.vocoding is not None:
        told.append(f"codec {about(measures.vocoding.speed, 'seconds of audio a second')}")
    if "extraction" in names and measures.extraction is not None:
        told.append(f"tokens {about(measures.extraction.speed, 'seconds of audio a second')}")
    return ", ".join(told) + "; one process"
