"""Kaldi data directories: ``wav.scp``, ``text``, ``utt2spk``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import write_text

# References beside ``text`` that differ from it as the published scoring of a corpus does.
PUBLISHED = "text_published"


@dataclass(frozen=True)
class DataDir:
    """One data directory, read into memory; every table maps utt_id to its value, in file order."""

    folder: Path
    wavs: dict[str, str]
    texts: dict[str, str]
    speakers: dict[str, str]


def read_rows(path: Path) -> list[tuple[int, str, str]]:
    """Read a Kaldi table as (line number, key, rest of the line), keeping every row in its order.

    Raises:
        DataError: The file is missing or not UTF-8.
    """
    if not path.is_file():
        raise DataError(
            f"{path} is missing; run the stage that writes it (stage 1, for tables of data), or mend the path"
        )
    try:
        return rows_of(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line} is not UTF-8; convert the file, for example with iconv") from error


def rows_of(text: str) -> list[tuple[int, str, str]]:
    """The rows of a Kaldi table's text, as ``read_rows`` gives them; a line ends where Kaldi ends it."""
    rows = []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        key, _, value = line.replace("\t", " ").partition(" ")
        rows.append((number, key, value.strip()))
    return rows


def read_table(path: Path) -> dict[str, str]:
    """Read a Kaldi table as a dictionary in file order.

    Raises:
        DataError: A key stands twice.
    """
    table: dict[str, str] = {}
    for number, key, value in read_rows(path):
        if key in table:
            raise DataError(f"{path}:{number}: {key} stands twice; keep one of the two lines")
        table[key] = value
    return table


def write_table(path: Path, table: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
    """Write a Kaldi table sorted by key in the C locale, atomically."""
    rows = sorted(table.items() if isinstance(table, Mapping) else table)
    write_text(path, "".join(f"{key} {value}\n" for key, value in rows))


def read_data_dir(folder: Path) -> DataDir:
    """Read one data directory that ``bin/validate`` has passed.

    Raises:
        DataError: A table is missing, or the tables do not list the same utterances.
    """
    wavs, texts, speakers = (read_table(folder / name) for name in ("wav.scp", "text", "utt2spk"))
    for name, table in (("text", texts), ("utt2spk", speakers)):
        if table.keys() != wavs.keys():
            odd = sorted(table.keys() ^ wavs.keys())
            raise DataError(
                f"{folder}: wav.scp and {name} differ in {len(odd)} utterances, first {odd[0]}; run validate"
            )
    return DataDir(folder=folder, wavs=wavs, texts=texts, speakers=speakers)


def absolute_wavs(data: DataDir) -> dict[str, str]:
    """The audio of each utterance under a path that holds from anywhere.

    A published corpus gives paths relative to its own folder, which holds the tables or is the one above them.

    Raises:
        DataError: There is no such file; the first ones are named.
    """
    places = (data.folder.absolute(), data.folder.absolute().parent)
    found = {
        utt_id: next((place / value for place in places if (place / value).is_file()), None)
        for utt_id, value in data.wavs.items()
    }
    missing = [data.wavs[utt_id] for utt_id, path in found.items() if path is None]
    if missing:
        raise DataError(
            f"{data.folder / 'wav.scp'}: {len(missing)} files are neither in {places[0]} nor in {places[1]}: "
            f"{', '.join(missing[:5])}; fetch the corpus again, or mend the paths"
        )
    return {utt_id: str(path) for utt_id, path in found.items()}


def write_data_dir(
    folder: Path, *, wavs: Mapping[str, str], texts: Mapping[str, str], speakers: Mapping[str, str]
) -> None:
    """Write ``wav.scp``, ``text`` and ``utt2spk``, sorted."""
    for name, table in (("wav.scp", wavs), ("text", texts), ("utt2spk", speakers)):
        write_table(folder / name, table)
