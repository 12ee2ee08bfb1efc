"""Extracting the tokens of one data set in shards, and merging the shards into one dump."""

import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from tokenchain_toolkit.data.kaldi import read_rows
from tokenchain_toolkit.data.manifest import read_manifest, write_manifest
from tokenchain_toolkit.data.shards import Shard, Workers, run_shards, shard_size, threads_per_job
from tokenchain_toolkit.data.token_dump import CODES, MANIFEST, SEMANTIC, ArkWriter, Row
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import write_text
from tokenchain_toolkit.tokenizers.tokenizer import Tokenizer, load_tokenizer

LOG = logging.getLogger(__name__)
SKIPPED = "skipped"
AudioRow = tuple[str, str, float]  # utt_id, audio file, speed
EXAMPLES = 3  # Utterances that a message names.


def extract_tokens(
    tokenizer: Path,
    wavs: Mapping[str, str],
    out: Path,
    *,
    workers: Workers,
    speeds: Mapping[str, float] | None = None,
    device: str = "cpu",
    max_skipped: float = 0.01,
) -> int:
    """Write the dump of one set; unusable audio goes to ``skipped.tsv`` with its reason.

    Args:
        tokenizer: ``exp/tokenizer_<tag>``.
        wavs: Audio file of each utterance.
        out: ``dump/<tokenizer>/<set>``.
        workers: Where the shards run.
        speeds: Factor at which each utterance is played; None for 1.
        device: Torch device of an SSL model.
        max_skipped: Largest share of skipped utterances, in [0, 1].

    Returns:
        Number of skipped utterances.

    Raises:
        DataError: Too many utterances were skipped, or the shards do not hold every utterance exactly once.
    """
    if not wavs:
        raise DataError(f"{out}: wav.scp lists no utterances; run the data preparation stage")
    manifest = read_manifest(tokenizer / MANIFEST)
    kinds = [SEMANTIC, CODES] if manifest["acoustic"] else [SEMANTIC]
    rows = [(utt_id, path, speeds[utt_id] if speeds else 1.0) for utt_id, path in wavs.items()]
    shards = _make_shards(tokenizer, rows, out, kinds=kinds, workers=workers, device=device)
    run_shards(extract_shard, shards, folder=out, workers=workers)
    skipped = read_skipped(out, shards)
    _check_skipped(out, skipped, shards, total=len(wavs), max_skipped=max_skipped)
    for kind in kinds:
        merge_scps(out, kind, shards, expected=[utt_id for utt_id in wavs if utt_id not in skipped])
    write_text(out / f"{SKIPPED}.tsv", "".join(f"{utt_id}\t{reason}\n" for utt_id, reason in skipped.items()))
    write_manifest(out / MANIFEST, manifest)
    return len(skipped)


def extract_shard(*, tokenizer: str, rows: list[AudioRow], out: str, name: str, num_threads: int, device: str) -> None:
    """Write the arks of one shard and the list of what it skipped; after a kill, only the utterances that miss.

    Args:
        tokenizer: Folder of the tokenizer.
        rows: Utterance, audio file and speed.
        out: Folder of the dump.
        name: Of the shard.
        num_threads: Threads for torch.
        device: Torch device of an SSL model.
    """
    import torch

    torch.set_num_threads(num_threads)
    loaded = _load_once(tokenizer, device)
    skipped: list[tuple[str, str]] = []
    with ArkWriter(Path(out), rates=loaded.rates, suffix=f".{name}", resume=True) as writer:
        missing = [row for row in rows if row[0] not in writer]
        for utt_id, semantic_T, codes_TQ in _encode(loaded, missing, skipped):
            writer.add(utt_id, semantic_T, codes_TQ)
        writer.finish()
    lines = [f"{utt_id}\t{' '.join(reason.split())}\n" for utt_id, reason in skipped]
    write_text(Path(out) / f"{SKIPPED}.{name}.tsv", "".join(lines))


@lru_cache(maxsize=1)
def _load_once(folder: str, device: str) -> Tokenizer:
    """The tokenizer, once per process however many shards it works on."""
    return load_tokenizer(Path(folder), device=device)


def _encode(tokenizer: Tokenizer, rows: list[AudioRow], skipped: list[tuple[str, str]]) -> Iterator[Row]:
    """Tokens of every usable utterance; the others are added to ``skipped``."""
    for utt_id, path, speed in rows:
        try:
            semantic_T, codes_TQ = tokenizer.encode_file(path, name=utt_id, speed=speed)
        except DataError as error:
            skipped.append((utt_id, str(error)))
            continue
        yield utt_id, semantic_T, codes_TQ


def _make_shards(
    tokenizer: Path,
    rows: list[AudioRow],
    out: Path,
    *,
    kinds: list[str],
    workers: Workers,
    device: str,
) -> list[Shard]:
    """Cut the set into shards of neighbouring utterances."""
    size = shard_size(len(rows))
    shards = []
    for start in range(0, len(rows), size):
        name = f"{start // size:05d}"
        arguments = {
            "tokenizer": str(tokenizer),
            "rows": rows[start : start + size],
            "out": str(out),
            "name": name,
            "num_threads": threads_per_job(workers),
            "device": device,
        }
        outputs = [f"{kind}.{name}.{ending}" for kind in kinds for ending in ("ark", "scp")]
        shards.append(Shard(name=name, arguments=arguments, outputs=(*outputs, f"{SKIPPED}.{name}.tsv")))
    return shards


def read_skipped(out: Path, shards: list[Shard]) -> dict[str, str]:
    """Reason for each skipped utterance of all shards."""
    skipped = {}
    for shard in shards:
        for line in (out / f"{SKIPPED}.{shard.name}.tsv").read_text(encoding="utf-8").splitlines():
            utt_id, _, reason = line.partition("\t")
            skipped[utt_id] = reason
    return skipped


def _check_skipped(out: Path, skipped: dict[str, str], shards: list[Shard], *, total: int, max_skipped: float) -> None:
    """Log what was skipped, and stop if it is too much."""
    LOG.info("%s: %d of %d utterances skipped", out, len(skipped), total)
    if len(skipped) <= max_skipped * total:
        return
    for shard in shards:  # The audio may be mended before the next run, so these shards must be made again.
        path = out / f"{SKIPPED}.{shard.name}.tsv"
        if path.stat().st_size:
            path.unlink()
    examples = "; ".join(f"{utt_id}: {reason}" for utt_id, reason in list(skipped.items())[:EXAMPLES])
    raise DataError(
        f"{out}: {len(skipped)} of {total} utterances are unusable, more than --max_skipped {max_skipped:g} allows "
        f"({examples}); mend their audio, take them out of wav.scp, or raise --max_skipped"
    )


def merge_scps(out: Path, kind: str, shards: list[Shard], *, expected: list[str]) -> None:
    """Join the shards' lists into ``<kind>.scp``; the arks stay where they are.

    Raises:
        DataError: An utterance stands twice, is missing or does not belong to the set.
    """
    places: dict[str, str] = {}
    for shard in shards:
        path = out / f"{kind}.{shard.name}.scp"
        for number, utt_id, place in read_rows(path):
            if utt_id in places:
                raise DataError(f"{path}:{number}: {utt_id} stands in two shards; run the stage with --overwrite")
            places[utt_id] = place
    odd = sorted(places.keys() ^ set(expected))
    if odd:
        names = ", ".join(odd[:EXAMPLES])
        raise DataError(
            f"{out}: {len(odd)} utterances are missing from the {kind} shards or do not belong to the set ({names}); "
            "run the stage with --overwrite"
        )
    write_text(out / f"{kind}.scp", "".join(f"{utt_id} {places[utt_id]}\n" for utt_id in expected))
