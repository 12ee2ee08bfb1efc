"""Many texts, or many recordings, as speech in the voices of prompts, in shards: files in, files out."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tokenchain_toolkit.config.load import config_dict, merge_into
from tokenchain_toolkit.config.s2a import S2ADecodingConfig
from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.data.kaldi import write_data_dir, write_table
from tokenchain_toolkit.data.shards import Shard, Workers, run_shards, shard_size, threads_per_job
from tokenchain_toolkit.files import write_text
from tokenchain_toolkit.inference.generation import read_norms
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.inference.speech_synthesizer import SpeechSynthesizer
from tokenchain_toolkit.inference.spoken_inputs import Row, speaker_names
from tokenchain_toolkit.inference.text_to_speech import TextToSpeech
from tokenchain_toolkit.inference.vocoding import PROMPTS, join_tables, wav_name, write_wavs
from tokenchain_toolkit.metrics.speech_norms import SpeechNorms

LOG = logging.getLogger(__name__)
WAVS, BAD = "wav.{}.scp", "bad.{}.tsv"  # of each shard


@dataclass(frozen=True)
class SpeechParts:
    """Folders of what speech is made with.

    Attributes:
        tokenizer: ``exp/tokenizer_<tag>``.
        s2a: ``exp/s2a``.
        t2s: ``exp/t2s`` or ``exp/chain_<name>/t2s``; not needed to convert voices.
        units: ``exp/units_<tag>``, where T2S was trained on units.
        norms_dump: Natural tokens that say what T2S draws again; None for what the configuration gives alone.
        norms_data: Kaldi directory of the same utterances.
        listener: ``exp/asr`` or ``exp/chain_<name>/asr``, where the sampling of T2S asks for one.
    """

    tokenizer: Path
    s2a: Path
    t2s: Path | None = None
    units: Path | None = None
    norms_dump: Path | None = None
    norms_data: Path | None = None
    listener: Path | None = None


def speak_texts(
    parts: SpeechParts,
    rows: list[Row],
    out: Path,
    *,
    prompt_texts: Mapping[str, str],
    sampling: T2SSamplingConfig,
    decoding: S2ADecodingConfig,
    workers: Workers,
    device: str,
) -> None:
    """Write ``out/wav/*.wav`` and make ``out`` a Kaldi data directory of them, whose speakers have the prompts' names.

    ``out/prompts`` holds the prompt of each utterance, ``out/bad.tsv`` what T2S did not draw well even after its
    retries, and why.

    Args:
        parts: With T2S.
        rows: From `spoken_inputs.text_rows`.
        out: Output folder.
        prompt_texts: Audio file of a prompt -> what is said in it, where it is known.
        sampling: Of T2S.
        decoding: Of S2A.
        workers: Where the shards run.
        device: Torch device.

    Raises:
        DataError: A file of the parts is missing or damaged.
        TokenizerMismatchError: The parts were trained on tokens of different tokenizers.
    """
    assert parts.t2s is not None
    natural = SpeechNorms()
    if parts.norms_dump is not None and parts.norms_data is not None:
        saved = load_model(parts.t2s, kind="t2s")
        natural = read_norms(parts.norms_dump, parts.norms_data, saved, name=str(parts.t2s))
    settings: dict[str, Any] = {"t2s": str(parts.t2s), "units": str(parts.units) if parts.units else None}
    settings["listener"] = str(parts.listener) if parts.listener else None
    settings |= {"sampling": config_dict(sampling), "decoding": config_dict(decoding), "natural": asdict(natural)}
    settings["prompt_texts"] = dict(prompt_texts)
    wav_tables, bad_tables = _run(
        speak_shard, rows, parts, out, settings=settings, outputs=(WAVS, BAD), workers=workers, device=device
    )
    bad = "".join((out / name).read_text(encoding="utf-8") for name in bad_tables)
    write_text(out / "bad.tsv", bad)
    texts = {utt_id: text for utt_id, text, _ in rows}
    speakers = speaker_names({utt_id: prompt for utt_id, _, prompt in rows})
    write_data_dir(out, wavs=join_tables(out, wav_tables), texts=texts, speakers=speakers)
    LOG.info("%s: %d utterances, %d of them badly drawn (bad.tsv)", out, len(texts), bad.count("\n"))


def convert_voices(
    parts: SpeechParts,
    rows: list[Row],
    out: Path,
    *,
    decoding: S2ADecodingConfig,
    workers: Workers,
    device: str,
) -> None:
    """Say what recordings say in the voices of prompts: ``out/wav/*.wav``, ``out/wav.scp`` and ``out/prompts``.

    Args:
        parts: Tokenizer and S2A.
        rows: From `spoken_inputs.recording_rows`; with a recording as its own prompt it is resynthesised.
        out: Output folder.
        decoding: Of S2A.
        workers: Where the shards run.
        device: Torch device.

    Raises:
        DataError: A file of the parts is missing or damaged.
        TokenizerMismatchError: S2A was trained on tokens of another tokenizer.
    """
    settings = {"decoding": config_dict(decoding)}
    (wav_tables,) = _run(
        convert_shard, rows, parts, out, settings=settings, outputs=(WAVS,), workers=workers, device=device
    )
    write_table(out / "wav.scp", join_tables(out, wav_tables))
    LOG.info("%s: %d utterances", out, len(rows))


def speak_shard(  # noqa: PLR0913
    *,
    tokenizer: str,
    s2a: str,
    t2s: str,
    units: str | None,
    listener: str | None,
    rows: list[Row],
    prompt_texts: dict[str, str],
    sampling: dict[str, Any],
    decoding: dict[str, Any],
    natural: dict[str, Any],
    out: str,
    name: str,
    num_threads: int,
    device: str,
) -> None:
    """Speak some texts; runs in a job of its own."""
    torch.set_num_threads(num_threads)
    speech = TextToSpeech.load(
        t2s=Path(t2s),
        s2a=Path(s2a),
        tokenizer=Path(tokenizer),
        units=Path(units) if units else None,
        sampling=merge_into(T2SSamplingConfig, sampling),
        decoding=merge_into(S2ADecodingConfig, decoding),
        natural=SpeechNorms(**natural),
        listener=listener,
        device=device,
    )
    utt_ids, texts, prompts = zip(*rows, strict=True)
    said = [prompt_texts.get(prompt, "") for prompt in prompts]
    spoken = dict(zip(utt_ids, speech(texts, prompts, names=utt_ids, prompt_texts=said), strict=True))
    bad = [f"{utt_id}\t{' '.join(each.faults)}\n" for utt_id, each in spoken.items() if each.faults]
    write_text(Path(out) / BAD.format(name), "".join(bad))
    samples = {utt_id: each.samples_N for utt_id, each in spoken.items()}
    write_wavs(Path(out), WAVS.format(name), samples, sample_rate=speech.sample_rate)


def convert_shard(  # noqa: PLR0913
    *,
    tokenizer: str,
    s2a: str,
    rows: list[Row],
    decoding: dict[str, Any],
    out: str,
    name: str,
    num_threads: int,
    device: str,
) -> None:
    """Convert some recordings; runs in a job of its own."""
    torch.set_num_threads(num_threads)
    config = merge_into(S2ADecodingConfig, decoding)
    synthesizer = SpeechSynthesizer.load(Path(tokenizer), Path(s2a), config=config, device=device)
    tokens = {path: synthesizer.encode(path) for path in dict.fromkeys(path for row in rows for path in row[1:])}
    audio = synthesizer.convert([tokens[path] for _, path, _ in rows], [tokens[prompt] for *_, prompt in rows])
    samples = {utt_id: samples_N for (utt_id, _, _), samples_N in zip(rows, audio, strict=True)}
    write_wavs(Path(out), WAVS.format(name), samples, sample_rate=synthesizer.sample_rate)


def _run(  # noqa: PLR0913
    function: Callable[..., None],
    rows: list[Row],
    parts: SpeechParts,
    out: Path,
    *,
    settings: dict[str, Any],
    outputs: tuple[str, ...],
    workers: Workers,
    device: str,
) -> list[list[str]]:
    """Call a function for shards of rows and write the table of prompts; returns the names of each table's files."""
    size = shard_size(len(rows))
    shared = {"tokenizer": str(parts.tokenizer), "s2a": str(parts.s2a), "out": str(out), "device": device, **settings}
    shards = []
    for start in range(0, len(rows), size):
        name = f"{start // size:05d}"
        some = rows[start : start + size]
        own = {"rows": some, "name": name, "num_threads": threads_per_job(workers)}
        files = [*(output.format(name) for output in outputs), *(wav_name(utt_id) for utt_id, *_ in some)]
        shards.append(Shard(name, {**shared, **own}, tuple(files)))
    run_shards(function, shards, folder=out, workers=workers)
    write_table(out / PROMPTS, {utt_id: prompt for utt_id, _, prompt in rows})
    return [list(names) for names in zip(*(shard.outputs[: len(outputs)] for shard in shards), strict=True)]
