"""Kaldi tables that others wrote: tabs between the columns, paths relative to the corpus."""

import pytest

from tokenchain_toolkit.data.kaldi import absolute_wavs, read_data_dir, rows_of
from tokenchain_toolkit.errors import DataError


def write_tables(folder, paths):
    folder.mkdir(parents=True)
    for name, values in (("wav.scp", paths), ("text", ["word"] * len(paths)), ("utt2spk", ["ann"] * len(paths))):
        lines = (f"ann-{number}\t{value}\n" for number, value in enumerate(values))
        (folder / name).write_text("".join(lines))
    return read_data_dir(folder)


@pytest.mark.parametrize("place", ["train", "."])
def test_a_relative_path_is_found_beside_the_tables_and_above_them(place, tmp_path, monkeypatch):
    data = write_tables(tmp_path / "train", ["wav/0 a.wav", str(tmp_path / "far.wav")])
    audio = tmp_path / place / "wav" / "0 a.wav"
    audio.parent.mkdir()
    for path in (audio, tmp_path / "far.wav"):
        path.touch()
    monkeypatch.chdir("/")
    assert absolute_wavs(data) == {"ann-0": str(audio), "ann-1": str(tmp_path / "far.wav")}


def test_a_line_ends_where_kaldi_ends_it():
    text = "a one\x0btwo\nb one\u2028two\u0085three\n\nc \n"
    assert rows_of(text) == [(1, "a", "one\x0btwo"), (2, "b", "one\u2028two\u0085three"), (3, "", ""), (4, "c", "")]
    assert rows_of("a 1") == [(1, "a", "1")] and rows_of("") == []


def test_audio_that_is_nowhere_is_named(tmp_path):
    data = write_tables(tmp_path / "train", ["wav/0.wav", "wav/1.wav"])
    with pytest.raises(
        DataError, match=r"train/wav\.scp: 2 files are neither in .*/train nor in .*: wav/0\.wav, wav/1"
    ):
        absolute_wavs(data)
