"""Audio players: synthesised utterances beside the natural recording, embedded in the page as WAV."""

import base64
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.report.settings import ReportConfig, ReportInputs


@dataclass(frozen=True)
class PlayedUtterance:
    """One utterance; players are (what it is, data URI), in the order of the columns."""

    utt_id: str
    transcript: str
    players: list[tuple[str, str]]


@dataclass(frozen=True)
class PlayedSet:
    """Players of one set, and how many utterances they were chosen from."""

    name: str
    num_synthesized: int
    utterances: list[PlayedUtterance]


def read_players(inputs: ReportInputs, config: ReportConfig) -> list[PlayedSet]:
    """Players of every set that an experiment synthesised, ``exp/<experiment>/synth_<set>/wav.scp``.

    The utterances are spread evenly over the sorted ids of those that every system has spoken, or, if there are none,
    any of them. Each set gets an equal part of the size limit; utterances that no longer fit are left out.

    Raises:
        DataError: A table names an audio file that is missing or not readable.
    """
    tables: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for path in sorted(inputs.exp.glob("*/synth_*/wav.scp")):
        tables[path.parent.name.removeprefix("synth_")][path.parent.parent.name] = read_table(path)
    budget = int(config.audio_megabytes * 1e6 / max(len(tables), 1))
    return [_played_set(name, systems, inputs, config, budget) for name, systems in sorted(tables.items())]


def _played_set(
    name: str, systems: dict[str, dict[str, str]], inputs: ReportInputs, config: ReportConfig, budget: int
) -> PlayedSet:
    natural, texts = (
        read_table(path) if path.is_file() else {}
        for path in (inputs.data / name / "wav.scp", inputs.data / name / "text")
    )
    spoken = [set(table) for table in systems.values()]
    utt_ids = sorted(set.intersection(*spoken) or set.union(*spoken))
    sources = {"natural": natural} | systems
    utterances = []
    for utt_id in spread(utt_ids, config.utterances_per_set):
        players = [
            (source, data_uri(table[utt_id], sample_rate=config.audio_sample_rate))
            for source, table in sources.items()
            if utt_id in table
        ]
        budget -= sum(len(uri) for _, uri in players)
        if budget < 0:
            break
        utterances.append(PlayedUtterance(utt_id, texts.get(utt_id, ""), players))
    return PlayedSet(name, len(utt_ids), utterances)


def spread(items: list[str], limit: int) -> list[str]:
    """At most ``limit`` items, evenly spaced from the first on."""
    if len(items) <= limit:
        return items
    return [items[index * len(items) // limit] for index in range(limit)]


def data_uri(path: str, *, sample_rate: int) -> str:
    """An audio file as a data URI of mono 16-bit WAV."""
    import soundfile

    buffer = io.BytesIO()
    samples_T = read_audio(path, sample_rate=sample_rate)
    soundfile.write(buffer, samples_T, sample_rate, subtype="PCM_16", format="WAV")
    return "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def wav_folders(exp: Path) -> list[Path]:
    """Folders with synthesised speech."""
    return sorted(path.parent for path in exp.glob("*/synth_*/wav.scp"))
