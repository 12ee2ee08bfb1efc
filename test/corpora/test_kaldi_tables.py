"""Data directories that others wrote, as sets of a recipe."""

from pathlib import Path

import numpy as np
import pytest

from tokenchain_toolkit.bin.prepare_data import main
from tokenchain_toolkit.corpora.kaldi_tables import prepare_kaldi
from tokenchain_toolkit.data.audio import write_audio
from tokenchain_toolkit.data.kaldi import read_data_dir, write_data_dir
from tokenchain_toolkit.data.validate import validate_data_dir
from tokenchain_toolkit.errors import ConfigError, DataError

EXCERPT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "speechocean762_excerpt"
NAMES = {"train_set": "train", "valid_set": "dev", "test_sets": ["test"]}


def write_set(folder, *speakers, rate=16000):
    """Two utterances of half a second of each speaker, the ids of which do not all begin with the speaker."""
    ids = {f"{prefix}{speaker}-{number}": speaker for speaker in speakers for number, prefix in ((0, ""), (1, "x"))}
    for utt_id in ids:
        write_audio(folder.parent / "wav" / f"{utt_id}.wav", np.zeros(rate // 2, np.float32), sample_rate=rate)
    write_data_dir(
        folder, wavs={each: f"wav/{each}.wav" for each in ids}, texts=dict.fromkeys(ids, "A  CAB"), speakers=ids
    )


@pytest.fixture
def tables(tmp_path):
    """A folder of three sets."""
    for name, speakers in (("train", ("ann", "bob")), ("dev", ("cy",)), ("test", ("dee",))):
        write_set(tmp_path / "tables" / name, *speakers)
    return tmp_path / "tables"


def test_ids_get_their_speaker_and_the_sets_are_valid(tables, tmp_path):
    out = tmp_path / "data"
    assert prepare_kaldi(out, root=tables, **NAMES)
    train = read_data_dir(out / "train")
    assert list(train.texts) == ["ann-0", "ann-xann-1", "bob-0", "bob-xbob-1"] and train.texts["ann-0"] == "A CAB"
    assert train.wavs["ann-xann-1"] == str(tables / "wav" / "xann-1.wav")
    assert all(validate_data_dir(out / name).ok for name in ("train", "dev", "test"))
    assert not prepare_kaldi(out, root=tables, **NAMES)
    (tables / "test/text").write_text((tables / "test/text").read_text().replace("CAB", "CART"))
    assert prepare_kaldi(out, root=tables, **NAMES) and read_data_dir(out / "test").texts["dee-0"] == "A CART"


def test_speakers_are_held_out_where_there_is_no_validation(tables, tmp_path):
    prepare_kaldi(tmp_path / "data", root=tables, **{**NAMES, "valid_set": "held_out"})
    speakers = [set(read_data_dir(tmp_path / "data" / name).speakers.values()) for name in ("train", "held_out")]
    assert [len(each) for each in speakers] == [1, 1] and set.union(*speakers) == {"ann", "bob"}


def test_audio_of_another_rate_is_brought_to_16_khz(tables, tmp_path):
    write_set(tables / "test", "dee", rate=44100)
    prepare_kaldi(tmp_path / "data", root=tables, **NAMES)
    assert not validate_data_dir(tmp_path / "data" / "test").ok
    prepare_kaldi(tmp_path / "new", root=tables, **NAMES, resample=True)
    report = validate_data_dir(tmp_path / "new" / "test")
    assert report.ok and report.sample_rates == {"16000": 2}


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("segments", "dee-0 talk 0 1\n", "parts of recordings"),
        (
            "wav.scp",
            "dee-0 sph2pipe a.sph |\nxdee-1 wav/xdee-1.wav\n",
            "of 1 utterances, such as dee-0, is made by a command",
        ),
        ("utt2spk", "dee-0 dee\n", "differ in 1 utterances"),
        ("wav.scp", "dee-0 wav/gone.wav\nxdee-1 wav/xdee-1.wav\n", "gone.wav"),
    ],
)
def test_what_cannot_be_taken_is_named(tables, tmp_path, file, content, told):
    (tables / "test" / file).write_text(content)
    with pytest.raises(DataError, match=told):
        prepare_kaldi(tmp_path / "data", root=tables, **NAMES)


def test_a_set_that_is_not_there_is_told_which_are(tables, tmp_path, caplog):
    options = ["--train_set", "train_sp", "--valid_set", "dev", "--test_sets", "test"]
    assert main(["kaldi", "--root", str(tables), "--out", str(tmp_path / "data"), *options]) == 1
    assert "train_sp holds no wav.scp" in caplog.text and "has the sets dev, test, train:" in caplog.text


@pytest.mark.parametrize("change", [{"train_set": "held_out"}, {"test_sets": ["held_out"]}, {"out": "tables"}])
def test_what_makes_no_sense_is_refused(tables, tmp_path, change):
    out = tmp_path / change.pop("out", "data")
    with pytest.raises(ConfigError, match="held_out is for validation|written over"):
        prepare_kaldi(out, root=tables, **{**NAMES, **change})


@pytest.mark.skipif(not EXCERPT.is_dir(), reason=f"real speech is left out: {EXCERPT} is not there")
def test_the_tables_of_a_published_corpus_become_sets_that_pass_validation(tmp_path):
    prepare_kaldi(tmp_path, root=EXCERPT, train_set="train", valid_set="held_out", test_sets=["test"])
    reports = {name: validate_data_dir(tmp_path / name) for name in ("train", "held_out", "test")}
    assert all(report.ok for report in reports.values()), reports
    sizes = {name: report.num_utterances for name, report in reports.items()}
    assert sizes == {"train": 380, "held_out": 20, "test": 160}
    speakers = {name: set(read_data_dir(tmp_path / name).speakers.values()) for name in reports}
    assert [len(each) for each in speakers.values()] == [19, 1, 8] and len(set.union(*speakers.values())) == 28
