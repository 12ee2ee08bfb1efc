"""Recognising a whole token dump, in shards."""

from pathlib import Path
from typing import Any

import torch

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.config.load import config_dict, merge_into
from tokenchain_toolkit.data.kaldi import read_table, write_table
from tokenchain_toolkit.data.manifest import check_same_tokenizer, read_manifest
from tokenchain_toolkit.data.shards import Shard, Workers, run_shards, shard_size, threads_per_job
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.files import write_json
from tokenchain_toolkit.inference.asr_beam_search import BeamSearch
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.metrics.token_recogniser import RECOGNISER, describe_recogniser
from tokenchain_toolkit.models.asr import TokenASR


def recognise_dump(
    model: Path, dump: Path, out: Path, *, config: ASRDecodingConfig, workers: Workers, device: str
) -> None:
    """Write ``out/text``, one line for each utterance of the dump, and ``out/recogniser.json``, what read them.

    Args:
        model: ASR model folder.
        dump: Token dump.
        out: Where ``text`` and the shards go.
        config: Beam search.
        workers: Where the shards run.
        device: Torch device.

    Raises:
        TokenizerMismatchError: The tokens are not those the model was trained on.
    """
    check_same_tokenizer(
        read_manifest(model / "manifest.json"),
        read_manifest(dump / "manifest.json"),
        our_name=str(model),
        their_name=str(dump),
    )
    count = len(read_dump(dump))
    size = shard_size(count)
    shards = []
    for start in range(0, count, size):
        name = f"text.{start // size:05d}"
        arguments: dict[str, Any] = {"model": str(model), "dump": str(dump), "config": config_dict(config)}
        arguments |= {"start": start, "stop": min(start + size, count), "out": str(out / name)}
        arguments |= {"num_threads": threads_per_job(workers), "device": device}
        shards.append(Shard(name=name, arguments=arguments, outputs=(name,)))
    run_shards(recognise_shard, shards, folder=out, workers=workers)
    rows: dict[str, str] = {}
    for shard in shards:
        rows |= read_table(out / shard.outputs[0])
    write_json(out / RECOGNISER, describe_recogniser(model))
    write_table(out / "text", rows)


def recognise_shard(
    *, model: str, dump: str, config: dict[str, Any], start: int, stop: int, out: str, num_threads: int, device: str
) -> None:
    """Recognise utterances ``start`` to ``stop`` of a dump; runs in a job of its own."""
    torch.set_num_threads(num_threads)
    saved = load_model(Path(model), kind="asr")
    assert isinstance(saved.module, TokenASR) and saved.text_tokenizer is not None
    decoding = merge_into(ASRDecodingConfig, config)
    search = BeamSearch(saved.module.to(device), decoding)
    tokens = read_dump(Path(dump))
    texts = search.recognise([tokens.semantic_of(index) for index in range(start, stop)])
    write_table(Path(out), dict(zip(tokens.utt_ids[start:stop], map(saved.text_tokenizer.decode, texts), strict=True)))
