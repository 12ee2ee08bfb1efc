"""Kaldi arks of int16 arrays, one numpy record for each utterance, as kaldiio writes and reads them.

A record is ``utt_id``, a space, ``NPY``, the number of bytes of the size that follows, that size (little-endian), and
an array in numpy's own format. Its header is not padded to 128 bytes: over the 281,000 utterances of LibriSpeech the
padding would add a tenth to the tokens.
"""

import struct
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tokenchain_toolkit.errors import DataError

MARK = b"NPY"
MAGIC = np.lib.format.magic(1, 0)


def append_record(ark: BinaryIO, utt_id: str, array: np.ndarray) -> int:
    """Append one array; returns the offset that an scp line names."""
    header = f"{{'descr':'<i2','fortran_order':False,'shape':{array.shape}}}\n".encode()
    content = MAGIC + struct.pack("<H", len(header)) + header + np.ascontiguousarray(array, dtype="<i2").tobytes()
    size_bytes = (len(content).bit_length() + 7) // 8
    name = utt_id.encode() + b" "
    offset = ark.tell() + len(name)
    ark.write(name + MARK + bytes([size_bytes]) + len(content).to_bytes(size_bytes, "little") + content)
    return offset


def read_record(ark: BinaryIO, offset: str, *, where: str) -> np.ndarray:
    """Read one array. Not by kaldiio, which also runs pickles and commands that a file may name.

    Args:
        ark: Open for reading.
        offset: From an scp.
        where: What an error message calls it.

    Raises:
        DataError: There is no whole numpy record at this place.
    """
    try:
        ark.seek(int(offset))
        if ark.read(len(MARK)) != MARK:
            raise ValueError("no numpy record at this offset")
        size = int.from_bytes(ark.read(ark.read(1)[0]), "little")
        return np.lib.format.read_array(BytesIO(ark.read(size)), allow_pickle=False)
    except (ValueError, EOFError, IndexError) as error:
        raise DataError(f"{where}: damaged ark ({error}); extract the tokens again with --overwrite") from error


def whole_records(path: Path) -> list[tuple[str, int, int]]:
    """(utt_id, offset, end) of the records of an ark up to the first that is not whole, as after a kill."""
    records: list[tuple[str, int, int]] = []
    if not path.is_file():
        return records
    content = path.read_bytes()
    start = 0
    while (space := content.find(b" ", start)) > 0:
        offset = space + 1
        size_at = offset + len(MARK) + 1
        if content[offset : offset + len(MARK)] != MARK or size_at > len(content):
            break
        size_end = size_at + content[size_at - 1]
        end = size_end + int.from_bytes(content[size_at:size_end], "little")
        if end > len(content) or not content.startswith(MAGIC, size_end):
            break
        records.append((content[start:space].decode(), offset, end))
        start = end
    return records
