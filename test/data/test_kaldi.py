"""Kaldi tables that others wrote: tabs between the columns, paths relative to the corpus."""

from pathlib import Path

import pytest

from tokenchain_toolkit.corpora.utterances import Utterance, write_sets
from tokenchain_toolkit.data.kaldi import absolute_wavs, read_data_dir
from tokenchain_toolkit.data.validate import validate_data_dir
from tokenchain_toolkit.errors import DataError

EXCERPT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "speechocean762_excerpt"


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


def test_audio_that_is_nowhere_is_named(tmp_path):
    data = write_tables(tmp_path / "train", ["wav/0.wav", "wav/1.wav"])
    with pytest.raises(
        DataError, match=r"train/wav\.scp: 2 files are neither in .*/train nor in .*: wav/0\.wav, wav/1"
    ):
        absolute_wavs(data)


@pytest.mark.skipif(not EXCERPT.is_dir(), reason=f"real speech is left out: {EXCERPT} is not there")
def test_the_tables_of_a_published_corpus_become_sets_that_pass_validation(tmp_path):
    speakers = {}
    for name, size in (("train", 400), ("test", 160)):
        data = read_data_dir(EXCERPT / name)
        owners, wavs = data.speakers, absolute_wavs(data)
        utterances = [Utterance(f"{owners[key]}-{key}", owners[key], data.texts[key], Path(wavs[key])) for key in wavs]
        write_sets(tmp_path, {name: utterances}, corpus="speechocean762")
        report = validate_data_dir(tmp_path / name)
        assert report.ok, report.problems
        assert report.num_utterances == size and report.sample_rates == {"16000": size}
        speakers[name] = set(read_data_dir(tmp_path / name).speakers.values())
    assert len(speakers["train"]) == 20 and len(speakers["test"]) == 8
    assert not speakers["train"] & speakers["test"]
