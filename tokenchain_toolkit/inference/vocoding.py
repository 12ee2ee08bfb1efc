"""From a token dump to audio files: S2A and the codec's decoder, or the decoder alone on a dump's own codes."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tokenchain_toolkit.config.load import config_dict, merge_into
from tokenchain_toolkit.config.s2a import S2ADecodingConfig
from tokenchain_toolkit.config.training import DataConfig
from tokenchain_toolkit.data.audio import write_audio
from tokenchain_toolkit.data.corpus import load_corpus
from tokenchain_toolkit.data.dataset import Example, TokenCorpus, TokenDataset
from tokenchain_toolkit.data.frame_rates import FrameRates
from tokenchain_toolkit.data.kaldi import DataDir, read_data_dir, read_table, write_data_dir, write_table
from tokenchain_toolkit.data.manifest import check_same_tokenizer, read_manifest
from tokenchain_toolkit.data.shards import Shard, Workers, run_shards, shard_size, threads_per_job
from tokenchain_toolkit.data.token_dump import TokenDump, read_dump
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.files import read_json, write_json
from tokenchain_toolkit.inference.s2a_decoding import num_passes
from tokenchain_toolkit.inference.speech_synthesizer import SpeechSynthesizer, unknown_codes
from tokenchain_toolkit.tokenizers.tokenizer import load_tokenizer

LOG = logging.getLogger(__name__)
PROMPTS = "prompts"  # table in the output folder: whose voice each utterance was given
SPEED = "speed.json"  # in the output folder: how long the speech lasts and how long the jobs took to make it


def synthesize_dump(  # noqa: PLR0913
    tokenizer: Path,
    dump: Path,
    data: Path,
    out: Path,
    *,
    s2a: Path | None,
    prompt_dump: Path | None,
    max_utts: int | None,
    config: S2ADecodingConfig,
    workers: Workers,
    device: str,
) -> None:
    """Write ``out/wav/*.wav`` and make ``out`` a Kaldi data directory of them.

    With S2A, ``out/prompts`` names the utterance that each one's prompt was cut from. ``out/speed.json`` tells how long
    making the audio took.

    Args:
        tokenizer: Its codec decodes.
        dump: Semantic tokens; without ``s2a`` their own acoustic codes are decoded.
        data: Kaldi directory with the transcripts and speakers of the dump's utterances.
        out: Output folder.
        s2a: S2A model folder, or None for a codec round trip.
        prompt_dump: Natural tokens of the same utterances with acoustic codes, which prompts are taken from.
        max_utts: Only that many utterances, spread evenly over the sorted ids; None for all. Dumps of the same
            utterances give the same ones.
        config: S2A decoding.
        workers: Where the shards run.
        device: Torch device of S2A.

    Raises:
        ConfigError: ``max_utts`` is below 1.
        DataError: ``s2a`` is given and ``prompt_dump`` is not, or that lacks an utterance or has no other one to prompt
            with.
        TokenizerMismatchError: The tokens, the model and the tokenizer do not fit together.
    """
    if max_utts is not None and max_utts < 1:
        raise ConfigError(f"--max_utts {max_utts} must be at least 1; leave it out for all utterances")
    _check_tokenizers(tokenizer, dump, s2a, prompt_dump)
    utt_ids = read_dump(dump).utt_ids
    wanted = _spread_over(utt_ids, max_utts)
    if prompt_dump is not None:
        _check_prompts([utt_ids[index] for index in wanted], prompt_dump)
    common: dict[str, Any] = {"tokenizer": str(tokenizer), "dump": str(dump), "data": str(data), "out": str(out)}
    common |= {"s2a": str(s2a) if s2a else None, "prompt_dump": str(prompt_dump) if prompt_dump else None}
    common |= {"config": config_dict(config), "num_threads": threads_per_job(workers), "device": device}
    shards = _shards(utt_ids, wanted, common)
    run_shards(synthesize_shard, shards, folder=out, workers=workers)
    _write_data_dir(out, join_tables(out, [shard.outputs[0] for shard in shards]), read_data_dir(data))
    passes = None
    if s2a is not None:
        write_table(out / PROMPTS, join_tables(out, [shard.outputs[2] for shard in shards]))
        quantizers = read_manifest(s2a / "manifest.json")["acoustic"]["num_quantizers"]
        passes = num_passes(config, num_quantizers=quantizers)
    speeds = [read_json(out / shard.outputs[1]) for shard in shards]
    _write_speed(out, speeds, passes=passes, guided=passes is not None and config.guidance > 0)


def _write_data_dir(out: Path, wavs: dict[str, str], data: DataDir) -> None:
    """The tables of what was made, with the texts and speakers of the utterances."""
    texts, speakers = ({utt_id: table[utt_id] for utt_id in wavs} for table in (data.texts, data.speakers))
    write_data_dir(out, wavs=wavs, texts=texts, speakers=speakers)


def _write_speed(out: Path, shards: list[dict[str, Any]], *, passes: int | None, guided: bool) -> None:
    """The shards' times added up, with the passes of the network for a batch, None without S2A, and their guidance."""
    speed = {name: sum(shard[name] for shard in shards) for name in ("num_utts", "speech_seconds", "seconds")}
    speed |= {"num_threads": max((shard["num_threads"] for shard in shards), default=0), "network_passes": passes}
    speed["guided"] = guided
    write_json(out / SPEED, speed)
    LOG.info(
        "%s: %.0f s of speech in %.0f s of a job with %d threads%s",
        out,
        speed["speech_seconds"],
        speed["seconds"],
        speed["num_threads"],
        f", {passes} network passes per batch" if passes else "",
    )


def _shards(utt_ids: list[str], wanted: list[int], common: dict[str, Any]) -> list[Shard]:
    """The utterances in pieces for jobs, each with the arguments that all have in common."""
    size = shard_size(len(wanted))
    shards = []
    for start in range(0, len(wanted), size):
        name = f"{start // size:05d}"
        indices = wanted[start : start + size]
        outputs = (f"wav.{name}.scp", f"speed.{name}.json", *([f"{PROMPTS}.{name}"] if common["s2a"] else []))
        outputs += tuple(wav_name(utt_ids[index]) for index in indices)
        arguments = {**common, "indices": indices, "name": name}
        shards.append(Shard(name=name, arguments=arguments, outputs=outputs))
    return shards


def synthesize_shard(  # noqa: PLR0913
    *,
    tokenizer: str,
    dump: str,
    data: str,
    out: str,
    s2a: str | None,
    prompt_dump: str | None,
    indices: list[int],
    name: str,
    config: dict[str, Any],
    num_threads: int,
    device: str,
) -> None:
    """Synthesize some utterances of a dump; runs in a job of its own."""
    torch.set_num_threads(num_threads)
    tokens = read_dump(Path(dump), with_codes=s2a is None)
    utt_ids = [tokens.utt_ids[index] for index in indices]
    if s2a is None:
        codec = load_tokenizer(Path(tokenizer), device=device)
        semantic = [tokens.semantic_of(index) for index in indices]
        began = time.monotonic()
        samples, rate = codec.decode(semantic, [tokens.codes_of(index) for index in indices]), codec.output_rate
    else:
        settings = merge_into(S2ADecodingConfig, config)
        synthesizer = SpeechSynthesizer.load(Path(tokenizer), Path(s2a), config=settings, device=device)
        examples = _prompted(tokens, indices, Path(prompt_dump or ""), Path(data), settings)
        write_table(Path(out) / f"{PROMPTS}.{name}", {each.utt_id: each.prompt_id for each in examples})
        began = time.monotonic()
        samples, rate = synthesizer.speak_examples(examples), synthesizer.sample_rate
    seconds = time.monotonic() - began
    write_wavs(Path(out), f"wav.{name}.scp", dict(zip(utt_ids, samples, strict=True)), sample_rate=rate)
    speech_seconds = sum(map(len, samples)) / rate
    facts = {"num_utts": len(samples), "speech_seconds": speech_seconds, "seconds": seconds, "num_threads": num_threads}
    write_json(Path(out) / f"speed.{name}.json", facts)


def wav_name(utt_id: str) -> str:
    """Where the audio of an utterance lies in the output folder."""
    return f"wav/{utt_id}.wav"


def write_wavs(out: Path, name: str, samples: Mapping[str, np.ndarray], *, sample_rate: int) -> None:
    """Write ``out/wav/<utt_id>.wav`` and the table of them.

    Args:
        out: Folder.
        name: Of the table in it.
        samples: utt_id -> mono audio of shape (N,).
        sample_rate: Hz.
    """
    rows = {}
    for utt_id, samples_N in samples.items():
        path = (out / wav_name(utt_id)).absolute()
        write_audio(path, samples_N, sample_rate=sample_rate)
        rows[utt_id] = str(path)
    write_table(out / name, rows)


def join_tables(folder: Path, names: list[str]) -> dict[str, str]:
    """The tables of all shards as one."""
    joined: dict[str, str] = {}
    for name in names:
        joined |= read_table(folder / name)
    return joined


def _spread_over(utt_ids: list[str], max_utts: int | None) -> list[int]:
    """Indices of so many utterances, spread evenly over the sorted ids; of all if ``max_utts`` is None."""
    order = sorted(range(len(utt_ids)), key=utt_ids.__getitem__)
    if max_utts is None or max_utts >= len(order):
        return order
    return [order[int(place)] for place in np.linspace(0, len(order) - 1, max_utts)]


def _prompted(
    tokens: TokenDump, indices: list[int], prompt_dump: Path, data: Path, config: S2ADecodingConfig
) -> list[Example]:
    """The utterances to synthesize, each with a prompt from another utterance: of its speaker, if that has another."""
    corpus = load_corpus(prompt_dump, data, with_codes=True)
    lengths = DataConfig(min_prompt_frames=config.prompt_frames, max_prompt_frames=config.prompt_frames)
    prompts = TokenDataset(corpus, lengths, seed=config.seed, epoch=0)
    rates = FrameRates.of(corpus.dump.manifest)
    place = {corpus.dump.utt_ids[index]: position for position, index in enumerate(corpus.usable)}
    examples = []
    for index in indices:
        semantic_T = tokens.semantic_of(index)
        semantic_T = rates.align(semantic_T, rates.acoustic_frames(len(semantic_T)))
        example = prompts[place[tokens.utt_ids[index]]]
        if example.prompt_id == example.utt_id:  # alone of its speaker: its own frames would be the answer
            example = _prompted_by(corpus, (place[example.utt_id] + 1) % len(prompts), example, config.prompt_frames)
        codes_TQ = unknown_codes(len(semantic_T), corpus.dump.codes_of(0).shape[1])
        examples.append(replace(example, semantic_T=semantic_T, codes_TQ=codes_TQ))
    return examples


def _prompted_by(corpus: TokenCorpus, position: int, example: Example, num_frames: int) -> Example:
    """The example with the middle of another utterance as its prompt, that at a position among the usable ones."""
    index = int(corpus.usable[position])
    codes_PQ = corpus.dump.codes_of(index)
    start = max(len(codes_PQ) - num_frames, 0) // 2
    crop = slice(start, start + num_frames)
    return replace(
        example,
        prompt_P=corpus.dump.semantic_of(index)[crop],
        prompt_codes_PQ=codes_PQ[crop],
        prompt_id=corpus.dump.utt_ids[index],
    )


def _check_prompts(utt_ids: list[str], prompt_dump: Path) -> None:
    """Refuse a dump that has no other utterance to prompt with, or lacks one of these, whose speakers it tells."""
    there = read_dump(prompt_dump).utt_ids
    missing = sorted({*utt_ids} - {*there})
    if missing:
        raise DataError(f"{prompt_dump} lacks {missing[0]} ({len(missing)} in all); --prompt_dump takes the same set")
    if len(there) < 2:
        raise DataError(f"{prompt_dump} holds one utterance alone, so that there is no other one for its prompt")


def _check_tokenizers(tokenizer: Path, dump: Path, s2a: Path | None, prompt_dump: Path | None) -> None:
    """Refuse tokens, prompts or a model of another tokenizer, and S2A without prompts."""
    if s2a is not None and prompt_dump is None:
        raise DataError("S2A needs acoustic prompts: name a dump with acoustic codes by --prompt_dump")
    ours = read_manifest(tokenizer / "manifest.json")
    both = ("semantic", "acoustic")
    sources = [(dump, both if s2a is None else ("semantic",))]
    sources += [(path, both) for path in (s2a, prompt_dump) if path is not None]
    for path, parts in sources:
        theirs = read_manifest(path / "manifest.json")
        check_same_tokenizer(ours, theirs, our_name=str(tokenizer), their_name=str(path), parts=parts)
