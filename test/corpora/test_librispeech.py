import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin.prepare_data import main
from tokenchain_toolkit.corpora.librispeech import prepare_librispeech, read_subset, subsets_of
from tokenchain_toolkit.data.kaldi import read_data_dir
from tokenchain_toolkit.errors import ConfigError, DataError

EXCERPT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "librispeech_excerpt" / "LibriSpeech"


def add_chapter(root, subset, speaker, chapter, texts):
    folder = root / subset / speaker / chapter
    folder.mkdir(parents=True)
    lines = []
    for number, text in enumerate(texts):
        name = f"{speaker}-{chapter}-{number:04d}"
        soundfile.write(folder / f"{name}.flac", np.full(160, 0.1), 16000)
        lines.append(f"{name} {text}\n")
    (folder / f"{speaker}-{chapter}.trans.txt").write_text("".join(lines))
    return folder


@pytest.fixture
def root(tmp_path):
    """Three training speakers, one of them with two chapters, and a development and a test subset."""
    root = tmp_path / "LibriSpeech"
    add_chapter(root, "train-clean-100", "19", "198", ["NORTHANGER ABBEY", "THIS LITTLE WORK"])
    add_chapter(root, "train-clean-100", "19", "227", ["DON'T"])
    add_chapter(root, "train-clean-100", "103", "1240", ["CHAPTER ONE"])
    add_chapter(root, "train-clean-100", "7", "1", ["SEVEN"])
    add_chapter(root, "dev-clean", "84", "121123", ["GO"])
    add_chapter(root, "dev-other", "116", "288045", ["AS"])
    add_chapter(root, "test-other", "1688", "142285", ["THERE'S IRON"])
    return root


def prepare(root, out, *, train_set="train_clean_100", valid_set="dev", test_sets=("test_other",)):
    return prepare_librispeech(out, root=root, train_set=train_set, valid_set=valid_set, test_sets=test_sets)


def test_sets_hold_their_subsets_with_the_reader_as_speaker_and_the_audio_in_place(root, tmp_path):
    assert prepare(root, tmp_path / "data")
    train = read_data_dir(tmp_path / "data" / "train_clean_100")
    assert list(train.texts) == ["103-1240-0000", "19-198-0000", "19-198-0001", "19-227-0000", "7-1-0000"]
    assert train.texts["19-227-0000"] == "DON'T"
    assert train.speakers["19-198-0000"] == train.speakers["19-227-0000"] == "19"
    assert train.wavs["7-1-0000"] == str(root / "train-clean-100" / "7" / "1" / "7-1-0000.flac")
    assert set(read_data_dir(tmp_path / "data" / "dev").speakers.values()) == {"84", "116"}
    assert not (tmp_path / "data" / "wav").exists()


def test_a_second_run_does_nothing_until_the_corpus_changes(root, tmp_path):
    assert prepare(root, tmp_path / "data")
    assert not prepare(root, tmp_path / "data")
    soundfile.write(root / "test-other" / "1688" / "142285" / "1688-142285-0000.flac", np.full(320, 0.1), 16000)
    assert prepare(root, tmp_path / "data")


def test_no_other_speakers_take_the_place_of_a_development_set_that_is_not_there(root, tmp_path):
    for subset in ("dev-clean", "dev-other"):
        shutil.rmtree(root / subset)
    told = r"no dev-clean and no dev-other, which the set dev is made of.*--valid_set held_out takes some speakers"
    with pytest.raises(DataError, match=told):
        prepare(root, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    assert prepare(root, tmp_path / "data", valid_set="held_out")


def test_a_folder_that_is_one_level_too_high_is_told_which_to_name(root, tmp_path):
    told = rf"{re.escape(str(root.parent))} has no .*; {re.escape(str(root))} has: name that folder in db\.sh"
    with pytest.raises(DataError, match=told):
        prepare(root.parent, tmp_path / "data")


def test_speakers_can_be_held_out_on_purpose(root, tmp_path, caplog):
    caplog.set_level("INFO")
    prepare(root, tmp_path / "data", valid_set="held_out", test_sets=("held_out", "test_other"))
    assert "held_out is made of 1 speakers" in caplog.text
    train, held_out = (read_data_dir(tmp_path / "data" / name) for name in ("train_clean_100", "held_out"))
    assert len(train.texts) + len(held_out.texts) == 5
    assert not set(train.speakers.values()) & set(held_out.speakers.values())
    assert not (tmp_path / "data" / "dev").exists()


@pytest.mark.parametrize(
    "sets",
    [{"test_sets": ("held_out",)}, {"train_set": "held_out"}, {"train_set": "held_out", "valid_set": "held_out"}],
)
def test_speakers_are_held_out_for_validation_alone(root, tmp_path, sets):
    with pytest.raises(ConfigError, match="held_out is for validation"):
        prepare(root, tmp_path / "data", **sets)


def test_what_the_copy_lacks_of_the_chosen_subsets_is_said(root, tmp_path, caplog):
    add_chapter(root, "test-clean", "61", "70968", ["HE"])
    prepare(root, tmp_path / "data", valid_set="held_out")
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 2 and all("published utterances are in" in each for each in warned)
    assert warned[0].startswith("train-clean-100: 5 of the 28,539 ") and warned[1].startswith("test-other: 1 of the ")


def test_half_of_a_development_set_is_an_incomplete_copy(root, tmp_path):
    shutil.rmtree(root / "dev-other")
    with pytest.raises(DataError, match=r"no dev-other, which the set dev is made of.*dev_clean.*--valid_set"):
        prepare(root, tmp_path / "data")


def test_a_missing_subset_is_named_with_the_sets_there_are(root, tmp_path, caplog):
    arguments = ["--train_set", "train_960", "--valid_set", "dev", "--test_sets", "test_other"]
    assert main(["librispeech", "--root", str(root), "--out", str(tmp_path / "data"), *arguments]) == 1
    assert "no train-clean-360 and no train-other-500" in caplog.text
    assert "train_clean_100, dev_clean, dev_other, test_other, dev)" in caplog.text
    assert not (tmp_path / "data").exists()


def test_an_unknown_set_lists_the_known_ones():
    assert subsets_of(["train_960", "dev", "train_clean_100"])[:2] == ["train-clean-100", "train-clean-360"]
    with pytest.raises(ConfigError, match=r"no set test; choose among train_clean_100, .*train_960"):
        subsets_of(["test"])


def edit(root, what):
    """Damage the subset train-clean-100 and return what the message must say."""
    chapter = root / "train-clean-100" / "19" / "198"
    lines = chapter / "19-198.trans.txt"
    if what == "transcripts missing":
        lines.unlink()
        return r"2 faults: .*19-198-0000\.flac has no transcript; .*19-198-0001\.flac"
    if what == "audio missing":
        (chapter / "19-198-0001.flac").unlink()
        return r"19-198\.trans\.txt:2: 19-198-0001 has no recording"
    if what == "audio without a line":
        lines.write_text("19-198-0000 NORTHANGER ABBEY\n")
        return r"19-198-0001\.flac has no transcript"
    if what == "id twice":
        lines.write_text(lines.read_text() + "19-198-0000 AGAIN\n")
        return r"trans\.txt:3: 19-198-0000 stands twice, first in .*trans\.txt:1"
    if what == "no words":
        lines.write_text("19-198-0000\n19-198-0001 THIS LITTLE WORK\n")
        return r"trans\.txt:1: 19-198-0000 has no words"
    if what == "wrong folder":
        shutil.copy(chapter / "19-198-0000.flac", chapter.parent.parent / "103" / "1240" / "19-198-0000.flac")
        return r"103.1240.19-198-0000\.flac is no recording of speaker and chapter 103-1240"
    if what == "not UTF-8":
        lines.write_bytes(b"19-198-0000 CAF\xc9\n")
        return r"trans\.txt is not UTF-8 \(byte 15\)"
    shutil.rmtree(root / "train-clean-100")
    (root / "train-clean-100").mkdir()
    return r"train-clean-100 holds no <speaker>/<chapter>/\*\.flac"


@pytest.mark.parametrize(
    "what",
    [
        *("transcripts missing", "audio missing", "audio without a line", "id twice", "no words", "wrong folder"),
        *("not UTF-8", "nothing there"),
    ],
)
def test_a_subset_that_is_not_whole_is_refused(root, what):
    expected = edit(root, what)
    with pytest.raises(DataError, match=f"{expected}.*; unpack train-clean-100.tar.gz anew"):
        read_subset(root / "train-clean-100")


def test_an_utterance_in_two_subsets_is_named(root, tmp_path):
    add_chapter(root, "dev-other", "84", "121123", ["GO"])
    with pytest.raises(DataError, match=r"both give the utterance 84-121123-0000 of the set dev"):
        prepare(root, tmp_path / "data")


def test_one_speaker_cannot_be_held_out(root, tmp_path):
    with pytest.raises(DataError, match="too few to hold one out"):
        prepare(root, tmp_path / "data", train_set="dev_clean", valid_set="held_out")


def test_what_is_needed_is_downloaded_where_no_folder_is_given(root, tmp_path, monkeypatch):
    fetched = []

    def fetch(archive, folder, *, keep_archive):
        fetched.append((archive.url, keep_archive))
        shutil.copytree(root, folder / "LibriSpeech", dirs_exist_ok=True)

    monkeypatch.setattr("tokenchain_toolkit.corpora.archives.fetch", fetch)
    options = ["--out", str(tmp_path / "data"), "--downloads", str(tmp_path / "downloads"), "--keep_archives"]
    sets = ["--train_set", "train_clean_100", "--valid_set", "dev", "--test_sets", "test_other", "dev_clean"]
    assert main(["librispeech", "--root", "", "--openslr", "https://mirror.org/resources", *options, *sets]) == 0
    names = ("train-clean-100", "dev-clean", "dev-other", "test-other")
    assert fetched == [(f"https://mirror.org/resources/12/{name}.tar.gz", True) for name in names]
    assert (tmp_path / "data" / "dev_clean" / "wav.scp").is_file()


@pytest.mark.skipif(not EXCERPT.is_dir(), reason=f"real speech is left out: {EXCERPT} is not there")
def test_on_the_real_excerpt(tmp_path):
    prepare(EXCERPT, tmp_path, valid_set="held_out")
    sets = {name: read_data_dir(tmp_path / name) for name in ("train_clean_100", "held_out", "test_other")}
    assert {name: len(data.texts) for name, data in sets.items()} == {
        "train_clean_100": 261,
        "held_out": 14,
        "test_other": 80,
    }
    for data in sets.values():
        assert all(utt_id.startswith(f"{speaker}-") for utt_id, speaker in data.speakers.items())
        info = soundfile.info(next(iter(data.wavs.values())))
        assert (info.samplerate, info.format) == (16000, "FLAC")
    assert sets["test_other"].texts["1688-142285-0002"] == "YOU DON'T MEAN THAT YOU THOUGHT ME SO SILLY"
