"""Token dumps: ``dump/<tokenizer>/<set>/{semantic.scp,codes.scp,manifest.json}`` and the ark files beside them.

Semantic tokens are int16 of shape (T,), acoustic codes int16 of shape (T, Q), each one numpy record of a Kaldi ark. An
scp line is ``utt_id name.ark:offset``; the ark's name is relative to the scp's own folder, so a dump reads the same
from any working directory and after it has been moved. (Kaldi's own tools resolve it against the working directory.)

Shapes: N frames of all utterances one after another, T frames of one utterance, Q quantizers.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tokenchain_toolkit.data.arks import append_record, read_record, whole_records
from tokenchain_toolkit.data.frame_rates import FrameRates
from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.data.manifest import read_manifest, write_manifest
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import atomic_path, write_text

SEMANTIC, CODES, MANIFEST = "semantic", "codes", "manifest.json"
Row = tuple[str, np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class TokenDump:
    """All tokens of one set in memory, as two flat arrays and the offsets of the utterances in them.

    Attributes:
        utt_ids: Utterances in dump order.
        semantic: int16, shape (N,); read with codes of a much lower frame rate (N, k), see ``FrameRates.align``.
        codes: int16, shape (N, Q), or None where they were not asked for.
        offsets: int64, shape (num_utts + 1,); utterance i is rows ``offsets[i]`` to ``offsets[i + 1]``.
        manifest: What made the tokens.
    """

    utt_ids: list[str]
    semantic: np.ndarray
    codes: np.ndarray | None
    offsets: np.ndarray
    manifest: dict[str, Any]

    def __len__(self) -> int:
        """Number of utterances."""
        return len(self.utt_ids)

    @property
    def lengths(self) -> np.ndarray:
        """Frames per utterance, shape (num_utts,)."""
        return np.diff(self.offsets)

    def semantic_of(self, index: int) -> np.ndarray:
        """Semantic tokens of one utterance, shape (T,)."""
        return self.semantic[self.offsets[index] : self.offsets[index + 1]]

    def codes_of(self, index: int) -> np.ndarray:
        """Acoustic codes of one utterance, shape (T, Q).

        Raises:
            DataError: The dump was read without its codes.
        """
        if self.codes is None:
            raise DataError("this dump was read without acoustic codes; read it with with_codes=True")
        return self.codes[self.offsets[index] : self.offsets[index + 1]]


def join_dumps(dumps: list[TokenDump]) -> TokenDump:
    """Several sets of one tokenizer as one, in their order.

    Raises:
        DataError: An utterance is in two of them.
    """
    if len(dumps) == 1:
        return dumps[0]
    utt_ids = [utt_id for dump in dumps for utt_id in dump.utt_ids]
    if len(set(utt_ids)) < len(utt_ids):
        seen: set[str] = set()
        twice = next(utt_id for utt_id in utt_ids if utt_id in seen or seen.add(utt_id))  # type: ignore[func-returns-value]
        raise DataError(f"{twice} is in two of the sets that are joined; name each utterance once")
    codes = [dump.codes for dump in dumps if dump.codes is not None]
    return TokenDump(
        utt_ids=utt_ids,
        semantic=np.concatenate([dump.semantic for dump in dumps]),
        codes=np.concatenate(codes) if len(codes) == len(dumps) else None,
        offsets=np.cumsum(np.concatenate([[0], *(dump.lengths for dump in dumps)])),
        manifest=dumps[0].manifest,
    )


def read_dump(folder: Path, *, with_codes: bool = False) -> TokenDump:
    """Read one set's tokens.

    Args:
        folder: ``dump/<tokenizer>/<set>``.
        with_codes: Read the acoustic codes too; they take Q times the memory of the semantic tokens. The frames are
            then those of the codes, and the semantic tokens are aligned with them where the rates differ.

    Raises:
        DataError: A file is missing or damaged, an utterance is empty, or semantic tokens and codes do not match.
    """
    folder = Path(folder)
    manifest = read_manifest(folder / MANIFEST)
    utt_ids, semantic, lengths = _read_arrays(folder / f"{SEMANTIC}.scp", columns=None)
    codes = None
    if with_codes:
        if not manifest.get("acoustic"):
            raise DataError(f"{folder}: this dump has no acoustic codes; learn a tokenizer with a codec, extract again")
        columns = int(manifest["acoustic"]["num_quantizers"])
        code_ids, codes, code_lengths = _read_arrays(folder / f"{CODES}.scp", columns=columns)
        rates = FrameRates.of(manifest)
        _check_aligned(folder, (utt_ids, lengths), (code_ids, code_lengths), rates=rates)
        if rates.semantic != rates.acoustic:
            rows = np.split(semantic, np.cumsum(lengths)[:-1])
            semantic = np.concatenate([rates.align(*pair) for pair in zip(rows, code_lengths.tolist(), strict=True)])
            lengths = code_lengths
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    return TokenDump(utt_ids=utt_ids, semantic=semantic, codes=codes, offsets=offsets, manifest=manifest)


def write_dump(folder: Path, rows: Iterable[Row], *, manifest: dict[str, Any]) -> int:
    """Write one set's tokens as a single shard with its manifest.

    Args:
        folder: ``dump/<tokenizer>/<set>``.
        rows: (utt_id, semantic tokens of shape (T,), codes of shape (T, Q) or None).
        manifest: What made the tokens; has an ``acoustic`` part exactly if the rows have codes.

    Returns:
        Number of utterances.

    Raises:
        DataError: A row is empty, or its tokens and codes do not last equally long.
    """
    count = write_arks(Path(folder), rows, rates=FrameRates.of(manifest) if manifest.get("acoustic") else None)
    write_manifest(Path(folder) / MANIFEST, manifest)
    return count


def write_arks(folder: Path, rows: Iterable[Row], *, rates: FrameRates | None, suffix: str = "") -> int:
    """Write ``semantic<suffix>.{ark,scp}`` and, with codes, ``codes<suffix>.{ark,scp}``, each atomically.

    Args:
        folder: Of the dump.
        rows: As in ``write_dump``.
        rates: Of semantic tokens and codes; None where there are no codes.
        suffix: Of the files' names.

    Returns:
        Number of utterances.

    Raises:
        DataError: A row is empty, or its tokens and codes do not last equally long.
    """
    with ArkWriter(folder, rates=rates, suffix=suffix) as writer:
        for utt_id, semantic_T, codes_TQ in rows:
            writer.add(utt_id, semantic_T, codes_TQ)
        return writer.finish()


def write_array_table(folder: Path, kind: str, rows: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write ``<kind>.{ark,scp}`` of int16 arrays by utterance, atomically."""
    lines = []
    with atomic_path(folder / f"{kind}.ark") as temporary, temporary.open("wb") as ark:
        for utt_id, array in rows:
            lines.append(f"{utt_id} {kind}.ark:{append_record(ark, utt_id, array)}\n")
    write_text(folder / f"{kind}.scp", "".join(lines))


def read_array_table(scp: Path) -> dict[str, np.ndarray]:
    """The arrays of shape (T,) that an scp names, by utterance.

    Raises:
        DataError: A file is missing or damaged, or an array is empty.
    """
    utt_ids, flat, lengths = _read_arrays(scp, columns=None)
    return dict(zip(utt_ids, np.split(flat, np.cumsum(lengths)[:-1]), strict=True))


class ArkWriter:
    """Writes what ``write_arks`` writes, utterance by utterance, and can go on after a kill.

    Until ``finish`` the arks are called ``.<name>.ark.part``; they stay when the process is killed.

    Args:
        folder: Of the dump.
        rates: Of semantic tokens and codes; None where there are no codes.
        suffix: Of the files' names.
        resume: Go on behind the last utterance that is whole in the ``.part`` files of an earlier process.
    """

    def __init__(self, folder: Path, *, rates: FrameRates | None, suffix: str = "", resume: bool = False):
        self.folder, self.rates, self.resume = folder, rates, resume
        self.names = [f"{kind}{suffix}" for kind in ([SEMANTIC, CODES] if rates else [SEMANTIC])]
        self.offsets: list[dict[str, int]] = [{} for _ in self.names]
        self.parts = [folder / f".{name}.ark.part" for name in self.names]
        folder.mkdir(parents=True, exist_ok=True)
        ends = self._find_whole() if resume else [0] * len(self.parts)
        self.arks: list[BinaryIO] = []
        for part, end in zip(self.parts, ends, strict=True):
            self.arks.append(part.open("ab"))
            self.arks[-1].seek(end)
            self.arks[-1].truncate()

    def __enter__(self) -> "ArkWriter":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files; parts that nobody will go on from are removed."""
        for ark, part in zip(self.arks, self.parts, strict=True):
            ark.close()
            if not self.resume:
                part.unlink(missing_ok=True)

    def __contains__(self, utt_id: str) -> bool:
        """Has the utterance been written, by this process or an earlier one?"""
        return utt_id in self.offsets[0]

    def add(self, utt_id: str, semantic_T: np.ndarray, codes_TQ: np.ndarray | None) -> None:
        """Append one utterance.

        Raises:
            DataError: It is empty, or its tokens and codes do not last equally long.
        """
        if not len(semantic_T):
            raise DataError(f"{utt_id} has no tokens; remove the utterance")
        arrays = [semantic_T]
        if self.rates is not None:
            if codes_TQ is None:
                raise DataError(f"{utt_id} has no acoustic codes, and the others of its set have; extract it again")
            self.rates.check(len(semantic_T), len(codes_TQ), name=utt_id)
            arrays.append(codes_TQ)
        for ark, offsets, array in zip(self.arks, self.offsets, arrays, strict=True):
            offsets[utt_id] = append_record(ark, utt_id, array)
            ark.flush()

    def finish(self) -> int:
        """Give the files their names; returns the number of utterances."""
        for name, ark, part, offsets in zip(self.names, self.arks, self.parts, self.offsets, strict=True):
            os.fsync(ark.fileno())
            ark.close()
            part.replace(self.folder / f"{name}.ark")
            lines = (f"{utt_id} {name}.ark:{offset}\n" for utt_id, offset in offsets.items())
            write_text(self.folder / f"{name}.scp", "".join(lines))
        return len(self.offsets[0])

    def _find_whole(self) -> list[int]:
        """Take over the utterances that all part files hold; returns where each of them is cut."""
        found = [whole_records(part) for part in self.parts]
        ends = [0] * len(found)
        for records in zip(*found, strict=False):
            if len({utt_id for utt_id, _, _ in records}) > 1:
                break
            for offsets, (utt_id, offset, _) in zip(self.offsets, records, strict=True):
                offsets[utt_id] = offset
            ends = [end for _, _, end in records]
        return ends


def _read_arrays(scp: Path, *, columns: int | None) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read every array of an scp into one flat array, with the number of rows of each."""
    if not scp.is_file():
        raise DataError(f"{scp} is missing; run extract_tokens")
    table = read_table(scp)
    if not table:
        raise DataError(f"{scp} lists no utterances; run extract_tokens again")
    buffer = bytearray()  # One growing buffer: a list of arrays would need the memory twice when it is joined.
    lengths = np.empty(len(table), dtype=np.int64)
    opened: tuple[Path, BinaryIO] | None = None
    try:
        for index, (utt_id, place) in enumerate(table.items()):
            name, _, offset = place.rpartition(":")
            path = scp.parent / name
            if opened is None or opened[0] != path:
                if opened is not None:
                    opened[1].close()
                opened = (path, _open_ark(path, scp))
            array = read_record(opened[1], offset, where=f"{scp}: {utt_id} ({place})")
            _check_array(array, columns, where=f"{scp}: {utt_id}")
            lengths[index] = len(array)
            buffer += array.tobytes()
    finally:
        if opened is not None:
            opened[1].close()
    flat = np.frombuffer(buffer, dtype=np.int16)
    return list(table), flat if columns is None else flat.reshape(-1, columns), lengths


def _open_ark(path: Path, scp: Path) -> BinaryIO:
    """Open an ark or say which scp names it."""
    if not path.is_file():
        raise DataError(f"{path} is missing, and {scp} names it; move a dump's files together, or extract again")
    return path.open("rb")


def _check_array(array: np.ndarray, columns: int | None, *, where: str) -> None:
    """Refuse an empty array or one of another type or shape."""
    wanted = "(T,)" if columns is None else f"(T, {columns})"
    if array.dtype != np.int16 or array.shape[1:] != (() if columns is None else (columns,)) or array.ndim == 0:
        raise DataError(f"{where}: {array.dtype} of shape {array.shape}, not int16 of shape {wanted}; extract again")
    if not len(array):
        raise DataError(f"{where} is empty; remove the utterance and extract again")


def _check_aligned(
    folder: Path,
    semantic: tuple[list[str], np.ndarray],
    codes: tuple[list[str], np.ndarray],
    *,
    rates: FrameRates,
) -> None:
    """Semantic tokens and codes must list the same utterances, each as long in both."""
    if semantic[0] != codes[0]:
        odd = sorted(set(semantic[0]) ^ set(codes[0])) or ["the order of the lines"]
        raise DataError(f"{folder}: semantic.scp and codes.scp differ, first at {odd[0]}; extract the tokens again")
    for utt_id, semantic_frames, frames in zip(semantic[0], semantic[1].tolist(), codes[1].tolist(), strict=True):
        rates.check(semantic_frames, frames, name=f"{folder}: {utt_id}")
