from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin.prepare_data import main
from tokenchain_toolkit.corpora.an4 import prepare_an4
from tokenchain_toolkit.data.kaldi import read_data_dir
from tokenchain_toolkit.errors import DataError

EXCERPT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "mini_an4" / "downloads" / "an4"


def add_recording(root, folder, name):
    path = root / "wav" / folder / name.split("-")[1] / f"{name}.sph"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(1600, 0.1), 16000, format="NIST", subtype="PCM_16")


@pytest.fixture
def root(tmp_path):
    """AN4's layout: 140 training and two test utterances."""
    root = tmp_path / "an4"
    (root / "etc").mkdir(parents=True)
    train = [f"an{number}-f{speaker}-b" for speaker in "abcdefg" for number in range(20)]
    for name in train:
        add_recording(root, "an4_clstk", name)
    for name in ("cen8-mmxg-b", "an1-mmxg-b"):
        add_recording(root, "an4test_clstk", name)
    lines = "".join(f"<s> P A T {name.split('-')[0].upper()} </s> ({name})\n" for name in train)
    (root / "etc" / "an4_train.transcription").write_text(lines)
    (root / "etc" / "an4_test.transcription").write_text("OCTOBER TWENTY FOUR (cen8-mmxg-b)\n\nGO (an1-mmxg-b)\n")
    return root


def test_ids_begin_with_the_speaker_and_texts_lose_their_marks(root, tmp_path):
    assert prepare_an4(tmp_path / "data", root=root)
    test = read_data_dir(tmp_path / "data" / "test")
    assert test.texts == {"mmxg-an1-b": "GO", "mmxg-cen8-b": "OCTOBER TWENTY FOUR"}
    assert set(test.speakers.values()) == {"mmxg"}
    assert test.wavs["mmxg-cen8-b"] == str(root / "wav" / "an4test_clstk" / "mmxg" / "cen8-mmxg-b.sph")
    assert read_data_dir(tmp_path / "data" / "train_dev").texts["fa-an0-b"] == "P A T AN0"


def test_validation_is_the_first_part_of_training(root, tmp_path):
    assert prepare_an4(tmp_path / "data", root=root)
    valid, train = (read_data_dir(tmp_path / "data" / name) for name in ("train_dev", "train_nodev"))
    assert len(valid.texts) == 21 and len(train.texts) == 119  # 15 % of so few
    assert max(valid.texts) < min(train.texts)
    assert not prepare_an4(tmp_path / "data", root=root)


def test_what_the_copy_lacks_is_said(root, tmp_path, caplog):
    prepare_an4(tmp_path / "data", root=root)
    assert f"AN4 train: 140 of the 948 published utterances are in {root}; figures" in caplog.text
    assert "AN4 test: 2 of the 130 published utterances" in caplog.text


def test_recordings_that_no_list_names_are_left_out_and_named(root, tmp_path, caplog):
    add_recording(root, "an4_clstk", "cen7-fa-b")
    prepare_an4(tmp_path / "data", root=root)
    assert "left out" in caplog.text and "cen7-fa-b.sph" in caplog.text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("YES", r"test\.transcription:1: 'YES' is not '<s> WORDS </s> \(name-speaker-b\)'"),
        ("YES (cen8-mmxg)", r"transcription:1: .*is not"),
        ("YES (cen9-mmxg-b)", r"transcription:1: cen9-mmxg-b has no recording"),
        ("<s> </s> (cen8-mmxg-b)", r"transcription:1: cen8-mmxg-b has no words"),
        ("GO (an1-mmxg-b)\nGO (an1-mmxg-b)", r"transcription:2: an1-mmxg-b stands twice, first in .*:1"),
    ],
)
def test_lines_that_cannot_be_used_are_refused(root, tmp_path, line, expected):
    (root / "etc" / "an4_test.transcription").write_text(f"{line}\n")
    with pytest.raises(DataError, match=f"{expected}.*unpack an4_sphere.tar.gz anew.*AN4="):
        prepare_an4(tmp_path / "data", root=root)


def test_a_missing_corpus_says_where_it_belongs(tmp_path, caplog):
    assert main(["an4", "--root", str(tmp_path / "nowhere"), "--out", str(tmp_path / "data")]) == 1
    assert "nowhere is no folder" in caplog.text and "AN4=" in caplog.text
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(not EXCERPT.is_dir(), reason=f"real speech is left out: {EXCERPT} is not there")
def test_on_the_real_excerpt(tmp_path):
    prepare_an4(tmp_path, root=EXCERPT)
    sets = {name: read_data_dir(tmp_path / name) for name in ("train_nodev", "train_dev", "test")}
    assert {name: len(data.texts) for name, data in sets.items()} == {"train_nodev": 4, "train_dev": 1, "test": 2}
    assert sets["test"].texts["fcaw-cen8-b"] == "ELEVEN TWENTY SEVEN FIFTY SEVEN"
    samples_T, rate = soundfile.read(sets["test"].wavs["fcaw-cen8-b"])
    assert rate == 16000 and len(samples_T) == 46400 and np.abs(samples_T).max() > 0.01
