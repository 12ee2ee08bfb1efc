from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin.prepare_data import main
from tokenchain_toolkit.corpora import utterances
from tokenchain_toolkit.corpora.ljspeech import prepare_ljspeech
from tokenchain_toolkit.data.kaldi import read_data_dir
from tokenchain_toolkit.errors import DataError

EXCERPT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ljspeech_excerpt" / "LJSpeech-1.1"


@pytest.fixture
def root(tmp_path):
    """LJSpeech's layout with 14 clips; clip n is a tone of 200 + 50 n Hz."""
    root = tmp_path / "LJSpeech-1.1"
    (root / "wavs").mkdir(parents=True)
    lines = []
    for number in range(14):
        tone_T = 0.3 * np.sin(2 * np.pi * (200 + 50 * number) * np.arange(4410) / 22050)
        soundfile.write(root / "wavs" / f"LJ001-{number:04d}.wav", tone_T, 22050)
        lines.append(f'LJ001-{number:04d}|Vol. 1|"Volume One," he said: it\'s No. {number}!\n')
    (root / "metadata.csv").write_text("".join(lines))
    return root


def test_the_last_utterances_are_held_out_and_texts_are_lower_case_words(root, tmp_path):
    assert prepare_ljspeech(tmp_path / "data", root=root)
    sets = {name: read_data_dir(tmp_path / "data" / name) for name in ("tr_no_dev", "dev", "eval1")}
    assert {name: list(data.texts)[0] for name, data in sets.items()} == {
        "tr_no_dev": "LJ001-0000",
        "dev": "LJ001-0010",
        "eval1": "LJ001-0012",
    }
    assert sets["eval1"].texts["LJ001-0013"] == "volume one he said it's no 13"
    assert {speaker for data in sets.values() for speaker in data.speakers.values()} == {"LJ"}


def test_what_the_copy_lacks_is_said(root, tmp_path, caplog):
    prepare_ljspeech(tmp_path / "data", root=root)
    assert f"LJSpeech: 14 of the 13,100 published utterances are in {root}; figures" in caplog.text


def test_audio_is_resampled_and_sounds_the_same(root, tmp_path):
    prepare_ljspeech(tmp_path / "data", root=root)
    for number, (utt_id, path) in enumerate(read_data_dir(tmp_path / "data" / "tr_no_dev").wavs.items()):
        assert Path(path) == (tmp_path / "data" / "wav" / "tr_no_dev" / f"{utt_id}.wav").resolve()
        samples_T, rate = soundfile.read(path)
        assert (rate, len(samples_T)) == (16000, 3200)
        assert np.abs(np.fft.rfft(samples_T)).argmax() * rate / len(samples_T) == 200 + 50 * number


def test_a_second_run_does_nothing_and_a_killed_one_keeps_what_it_made(root, tmp_path):
    assert prepare_ljspeech(tmp_path / "data", root=root)
    assert not prepare_ljspeech(tmp_path / "data", root=root)
    audio = tmp_path / "data" / "wav"
    (audio / ".done").rename(audio / ".started")
    (audio / "eval1" / "LJ001-0013.wav").unlink()
    kept = (audio / "eval1" / "LJ001-0012.wav").stat().st_mtime_ns
    assert prepare_ljspeech(tmp_path / "data", root=root)
    assert (audio / "eval1" / "LJ001-0013.wav").is_file()
    assert (audio / "eval1" / "LJ001-0012.wav").stat().st_mtime_ns == kept


def test_a_first_run_that_is_killed_is_gone_on_with(root, tmp_path, monkeypatch):
    resample_file, resampled = utterances._resample_file, []

    def resample_until(stop):
        def resample(source, target):
            if source.stem == stop:
                raise KeyboardInterrupt
            resample_file(source, target)
            resampled.append(source.stem)

        monkeypatch.setattr(utterances, "_resample_file", resample)

    resample_until("LJ001-0011")  # in dev: the training set is whole, and no table of dev and eval1 is there
    with pytest.raises(KeyboardInterrupt):
        prepare_ljspeech(tmp_path / "data", root=root, num_jobs=1)
    assert resampled == [f"LJ001-{number:04d}" for number in range(11)]
    resample_until(None)
    assert prepare_ljspeech(tmp_path / "data", root=root, num_jobs=1)
    assert resampled == [f"LJ001-{number:04d}" for number in range(14)]  # none of them twice
    assert not prepare_ljspeech(tmp_path / "data", root=root)


def test_a_lost_table_is_written_again(root, tmp_path):
    prepare_ljspeech(tmp_path / "data", root=root)
    (tmp_path / "data" / "dev" / "wav.scp").unlink()
    assert prepare_ljspeech(tmp_path / "data", root=root)
    assert len(read_data_dir(tmp_path / "data" / "dev").wavs) == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda lines: [lines[0], "LJ001-0001|only one text", *lines[2:]], r"metadata\.csv:2: 2 fields"),
        (lambda lines: lines[1:], r"LJ001-0000\.wav has no transcript"),
        (lambda lines: [*lines, "LJ002-0001|a|a"], r"metadata\.csv:15: LJ002-0001 has no recording"),
        (lambda lines: [*lines, lines[3]], r"metadata\.csv:15: LJ001-0003 stands twice, first in .*csv:4"),
        (lambda lines: ["LJ001-0000|...|...", *lines[1:]], r"metadata\.csv:1: LJ001-0000 has no words"),
    ],
)
def test_a_corpus_that_is_not_whole_is_refused(root, tmp_path, change, expected):
    table = root / "metadata.csv"
    table.write_text("\n".join(change(table.read_text().splitlines())))
    with pytest.raises(DataError, match=f"{expected}.*unpack LJSpeech-1.1.tar.bz2 anew.*LJSPEECH="):
        prepare_ljspeech(tmp_path / "data", root=root)
    assert not (tmp_path / "data").exists()


def test_audio_that_cannot_be_read_is_named(root, tmp_path):
    (root / "wavs" / "LJ001-0004.wav").write_bytes(b"no audio")
    with pytest.raises(DataError, match=r"LJ001-0004\.wav: not readable as audio"):
        prepare_ljspeech(tmp_path / "data", root=root)


def test_a_missing_corpus_says_where_it_belongs(tmp_path, caplog):
    assert main(["ljspeech", "--root", str(tmp_path / "nowhere"), "--out", str(tmp_path / "data")]) == 1
    assert "nowhere is no folder" in caplog.text and "LJSPEECH=" in caplog.text


@pytest.mark.skipif(not EXCERPT.is_dir(), reason=f"real speech is left out: {EXCERPT} is not there")
def test_on_the_real_excerpt(tmp_path):
    prepare_ljspeech(tmp_path, root=EXCERPT)
    sets = {name: read_data_dir(tmp_path / name) for name in ("tr_no_dev", "dev", "eval1")}
    assert {name: len(data.texts) for name, data in sets.items()} == {"tr_no_dev": 19, "dev": 4, "eval1": 4}
    assert sets["eval1"].texts["LJ001-0024"].endswith("in the year fourteen sixty two")
    for path in sets["dev"].wavs.values():
        original = soundfile.info(EXCERPT / "wavs" / Path(path).name)
        assert soundfile.info(path).duration == pytest.approx(original.duration, abs=1e-3)
