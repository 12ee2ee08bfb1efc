"""From a token dump to audio files: S2A and the codec's decoder, or the decoder alone on a dump's own codes."""

import logging
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
from tokenchain_toolkit.data.dataset import Example, TokenDataset, collate
from tokenchain_toolkit.data.frame_rates import FrameRates
from tokenchain_toolkit.data.kaldi import read_data_dir, read_table, write_data_dir, write_table
from tokenchain_toolkit.data.manifest import check_same_tokenizer, read_manifest
from tokenchain_toolkit.data.shards import Shard, Workers, run_shards, shard_size, threads_per_job
from tokenchain_toolkit.data.token_dump import TokenDump, read_dump
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.inference.s2a_decoding import decode_codes, num_passes
from tokenchain_toolkit.models.batch import join_prompt
from tokenchain_toolkit.models.s2a import S2AModel
from tokenchain_toolkit.tokenizers.tokenizer import load_tokenizer

LOG = logging.getLogger(__name__)


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

    Args:
        tokenizer: Its codec decodes.
        dump: Semantic tokens; without ``s2a`` their own acoustic codes are decoded.
        data: Kaldi directory with the transcripts and speakers of the dump's utterances.
        out: Output folder.
        s2a: S2A model folder, or None for a codec round trip.
        prompt_dump: Natural tokens of the same utterances with acoustic codes, which prompts are taken from.
        max_utts: Only that many utterances, spread evenly over the dump; None for all.
        config: S2A decoding.
        workers: Where the shards run.
        device: Torch device of S2A.

    Raises:
        DataError: ``s2a`` is given and ``prompt_dump`` is not.
        TokenizerMismatchError: The tokens, the model and the tokenizer do not fit together.
    """
    if s2a is not None and prompt_dump is None:
        raise DataError("S2A needs acoustic prompts: name a dump with acoustic codes by --prompt_dump")
    _check_tokenizers(tokenizer, dump, s2a, prompt_dump)
    utt_ids = read_dump(dump).utt_ids
    wanted = np.unique(np.linspace(0, len(utt_ids) - 1, min(max_utts or len(utt_ids), len(utt_ids))).astype(int))
    size = shard_size(len(wanted))
    shards = []
    for start in range(0, len(wanted), size):
        name = f"wav.{start // size:05d}.scp"
        arguments: dict[str, Any] = {"tokenizer": str(tokenizer), "dump": str(dump), "data": str(data), "out": str(out)}
        arguments |= {"s2a": str(s2a) if s2a else None, "prompt_dump": str(prompt_dump) if prompt_dump else None}
        arguments |= {"indices": wanted[start : start + size].tolist(), "name": name, "config": config_dict(config)}
        arguments |= {"num_threads": threads_per_job(workers), "device": device}
        shards.append(Shard(name=name, arguments=arguments, outputs=(name,)))
    run_shards(synthesize_shard, shards, folder=out, workers=workers)
    wavs: dict[str, str] = {}
    for shard in shards:
        wavs |= read_table(out / shard.outputs[0])
    table = read_data_dir(data)
    write_data_dir(
        out,
        wavs=wavs,
        texts={utt_id: table.texts[utt_id] for utt_id in wavs},
        speakers={utt_id: table.speakers[utt_id] for utt_id in wavs},
    )
    if s2a is not None:
        quantizers = read_manifest(s2a / "manifest.json")["acoustic"]["num_quantizers"]
        LOG.info("%s: %d network passes per batch", out, num_passes(config, num_quantizers=quantizers))


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
    loaded = load_tokenizer(Path(tokenizer), device=device)
    tokens = read_dump(Path(dump), with_codes=s2a is None)
    if s2a is None:
        semantic = [tokens.semantic_of(index) for index in indices]
        codes = [tokens.codes_of(index) for index in indices]
    else:
        model = load_model(Path(s2a), kind="s2a").module
        assert isinstance(model, S2AModel)
        examples = _prompted(
            tokens, indices, Path(prompt_dump or ""), Path(data), merge_into(S2ADecodingConfig, config)
        )
        semantic = [example.semantic_T for example in examples]
        codes = predict_codes(model.to(device), examples, config=merge_into(S2ADecodingConfig, config))
    rows = {}
    for index, samples_N in zip(indices, loaded.decode(semantic, codes), strict=True):
        path = (Path(out) / "wav" / f"{tokens.utt_ids[index]}.wav").absolute()
        write_audio(path, samples_N, sample_rate=loaded.output_rate)
        rows[tokens.utt_ids[index]] = str(path)
    write_table(Path(out) / name, rows)


def predict_codes(s2a: S2AModel, examples: list[Example], *, config: S2ADecodingConfig) -> list[np.ndarray]:
    """Acoustic codes (T, Q) of each example by S2A, batched over examples of similar length.

    Args:
        s2a: In evaluation mode.
        examples: Semantic tokens with a prompt; their own codes are not looked at.
        config: Passes, temperature, batch size and seed.
    """
    device = s2a.heads.device
    generator = torch.Generator(device=device).manual_seed(config.seed)
    order = np.argsort([len(example.semantic_T) for example in examples], kind="stable")
    found: dict[int, np.ndarray] = {}
    for start in range(0, len(order), config.batch_size):
        chosen = order[start : start + config.batch_size]
        batch = collate([examples[index] for index in chosen]).to(device)
        semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
        codes_BNQ = decode_codes(
            s2a, semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B, config=config, generator=generator
        )
        bounds = zip(chosen, batch.prompt_lengths_B.tolist(), lengths_B.tolist(), codes_BNQ.cpu(), strict=True)
        for index, first, last, codes_NQ in bounds:
            found[int(index)] = codes_NQ[first:last].numpy().astype(np.int16)
    return [found[index] for index in range(len(examples))]


def _prompted(
    tokens: TokenDump, indices: list[int], prompt_dump: Path, data: Path, config: S2ADecodingConfig
) -> list[Example]:
    """The utterances to synthesize, each with a prompt from another utterance of its speaker."""
    corpus = load_corpus(prompt_dump, data, with_codes=True)
    lengths = DataConfig(min_prompt_frames=config.prompt_frames, max_prompt_frames=config.prompt_frames)
    prompts = TokenDataset(corpus, lengths, seed=config.seed, epoch=0)
    rates = FrameRates.of(corpus.dump.manifest)
    place = {utt_id: position for position, utt_id in enumerate(corpus.dump.utt_ids)}
    examples = []
    for index in indices:
        semantic_T = tokens.semantic_of(index)
        semantic_T = rates.align(semantic_T, rates.acoustic_frames(len(semantic_T)))
        example = prompts[place[tokens.utt_ids[index]]]
        unknown_TQ = np.zeros((len(semantic_T), corpus.dump.codes_of(0).shape[1]), np.int16)
        examples.append(replace(example, semantic_T=semantic_T, codes_TQ=unknown_TQ))
    return examples


def _check_tokenizers(tokenizer: Path, dump: Path, s2a: Path | None, prompt_dump: Path | None) -> None:
    """Refuse tokens, prompts or a model of another tokenizer."""
    ours = read_manifest(tokenizer / "manifest.json")
    both = ("semantic", "acoustic")
    sources = [(dump, both if s2a is None else ("semantic",))]
    sources += [(path, both) for path in (s2a, prompt_dump) if path is not None]
    for path, parts in sources:
        theirs = read_manifest(path / "manifest.json")
        check_same_tokenizer(ours, theirs, our_name=str(tokenizer), their_name=str(path), parts=parts)
