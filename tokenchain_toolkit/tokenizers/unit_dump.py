"""Dumps of units made from dumps of frames, and frames from units.

``exp/units_<tag>`` holds ``units.json`` and, with BPE, ``bpe.model``. A unit dump has units as its ``semantic.scp``,
and ``durations.scp`` beside it: frames of each run of equal tokens, that is, of each unit before BPE. Its manifest is
that of the frames with ``deduplicated``, ``num_clusters`` and the hash of the BPE changed, so models of units and dumps
of frames, or of other units, are not mixed up.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from tokenchain_toolkit.config.units import UnitsConfig
from tokenchain_toolkit.data.manifest import check_same_tokenizer, read_manifest
from tokenchain_toolkit.data.token_dump import (
    MANIFEST,
    TokenDump,
    read_array_table,
    read_dump,
    write_array_table,
    write_dump,
)
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import atomic_path, read_json, write_json
from tokenchain_toolkit.tokenizers.units import (
    UnitBpe,
    deduplicate,
    expand,
    learn_unit_bpe,
    mean_durations,
    typical_durations,
)

UNITS, BPE, DURATIONS = "units.json", "bpe.model", "durations"


class Units:
    """What ``learn_units`` wrote.

    Args:
        folder: ``exp/units_<tag>``.

    Raises:
        DataError: A file is missing or damaged.
    """

    def __init__(self, folder: Path):
        if not (folder / UNITS).is_file():
            raise DataError(f"{folder / UNITS} is missing; run learn_units")
        facts = read_json(folder / UNITS)
        self.folder = folder
        self.source: dict[str, Any] = facts["source"]
        self.mean_durations_K = np.array(facts["mean_durations"])
        self.bpe = UnitBpe.load(folder / BPE) if facts["bpe"] else None

    @property
    def manifest(self) -> dict[str, Any]:
        """Of the dumps that are made with these units."""
        semantic = {**self.source["semantic"], "deduplicated": True, "unit_bpe_sha256": None}
        if self.bpe is not None:
            semantic["num_clusters"] = self.bpe.vocab_size
            semantic["unit_bpe_sha256"] = hashlib.sha256(self.bpe.model).hexdigest()
        return {**self.source, "semantic": semantic, "acoustic": None}

    def encode(self, semantic_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Units of frames, or their pieces, int16 (P,), and the frames of each run of equal tokens, int16 (U,)."""
        units_U, durations_U = deduplicate(semantic_T)
        return units_U if self.bpe is None else self.bpe.encode(units_U), durations_U

    def expand(self, units_P: np.ndarray, durations_U: np.ndarray | None = None) -> np.ndarray:
        """Frames of units or pieces, int16 (T,); without durations, as of what T2S drew, by typical ones.

        Raises:
            DataError: The durations do not fit the units.
        """
        units_U = units_P if self.bpe is None else self.bpe.decode(units_P)
        if durations_U is None:
            durations_U = typical_durations(units_U, self.mean_durations_K)
        return expand(units_U, durations_U)


def learn_units(dump: Path, out: Path, *, config: UnitsConfig) -> None:
    """Learn mean durations and, if asked, BPE from the dump of a training set.

    Args:
        dump: Token dump of frames.
        out: ``exp/units_<tag>``.
        config: Size of the BPE.

    Raises:
        DataError: The dump holds units already.
        ConfigError: The size of the BPE does not fit.
    """
    tokens = _read_frames(dump)
    num_clusters = int(tokens.manifest["semantic"]["num_clusters"])
    runs = [deduplicate(tokens.semantic_of(index)) for index in range(len(tokens))]
    units, durations = [units_U for units_U, _ in runs], [durations_U for _, durations_U in runs]
    if config.bpe_vocab_size:
        bpe = learn_unit_bpe(units, num_clusters=num_clusters, vocab_size=config.bpe_vocab_size)
        with atomic_path(out / BPE) as temporary:
            temporary.write_bytes(bpe.model)
    means_K = mean_durations(units, durations, num_clusters=num_clusters)
    facts = {"bpe": bool(config.bpe_vocab_size), "source": tokens.manifest, "mean_durations": means_K.tolist()}
    write_json(out / UNITS, facts)


def make_units(units: Path, dump: Path, out: Path) -> float:
    """Make the unit dump of one set.

    Args:
        units: ``exp/units_<tag>``.
        dump: Token dump of frames.
        out: Where the unit dump goes.

    Returns:
        Frames per unit.

    Raises:
        DataError: The dump holds units already.
        TokenizerMismatchError: The units were learned on tokens of another tokenizer.
    """
    learned, tokens = Units(units), _read_frames(dump)
    check_same_tokenizer(learned.source, tokens.manifest, our_name=str(units), their_name=str(dump))
    encoded = [learned.encode(tokens.semantic_of(index)) for index in range(len(tokens))]
    rows = ((utt_id, units_P, None) for utt_id, (units_P, _) in zip(tokens.utt_ids, encoded, strict=True))
    durations = ((utt_id, durations_U) for utt_id, (_, durations_U) in zip(tokens.utt_ids, encoded, strict=True))
    write_array_table(out, DURATIONS, durations)
    write_dump(out, rows, manifest=learned.manifest)
    return len(tokens.semantic) / sum(len(units_P) for units_P, _ in encoded)


def expand_units(units: Path, dump: Path, out: Path) -> None:
    """Make frames of a unit dump: by its durations, or, where it has none because T2S drew it, by typical ones.

    Args:
        units: ``exp/units_<tag>``.
        dump: Unit dump.
        out: Where the dump of frames goes.

    Raises:
        TokenizerMismatchError: The dump is not of these units.
        DataError: Its durations do not fit its units.
    """
    learned, tokens = Units(units), read_dump(dump)
    check_same_tokenizer(learned.manifest, tokens.manifest, our_name=str(units), their_name=str(dump))
    durations: dict[str, np.ndarray] = {}
    if (dump / f"{DURATIONS}.scp").is_file():
        durations = read_array_table(dump / f"{DURATIONS}.scp")
    rows = (
        (utt_id, learned.expand(tokens.semantic_of(index), durations.get(utt_id)), None)
        for index, utt_id in enumerate(tokens.utt_ids)
    )
    write_dump(out, rows, manifest={**learned.source, "acoustic": None})


def _read_frames(dump: Path) -> TokenDump:
    """A dump that has not been made into units yet.

    Raises:
        DataError: It has been.
    """
    if read_manifest(dump / MANIFEST)["semantic"].get("deduplicated"):
        raise DataError(f"{dump} holds units, not frames; name the dump that extract_tokens wrote")
    return read_dump(dump)
