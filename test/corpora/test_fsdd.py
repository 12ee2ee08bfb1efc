import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin.prepare_data import main
from tokenchain_toolkit.corpora.fsdd import ALL_TAKES, STRINGS, WORDS, draw_strings, join_digits, prepare_fsdd
from tokenchain_toolkit.data.kaldi import read_data_dir
from tokenchain_toolkit.errors import DataError

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SCALE = 0.01


@pytest.fixture(scope="module")
def fsdd(tmp_path_factory):
    """FSDD's layout with three speakers; every digit is a tone of its own."""
    folder = tmp_path_factory.mktemp("fsdd")
    (folder / "recordings").mkdir()
    time_T = np.arange(800) / 8000
    for digit in range(10):
        tone_T = 0.3 * np.sin(2 * np.pi * (200 + 100 * digit) * time_T)
        for speaker in ("ann", "bob", "theo"):
            for take in ALL_TAKES:
                soundfile.write(folder / "recordings" / f"{digit}_{speaker}_{take}.wav", tone_T, 8000)
    return folder


@pytest.fixture(scope="module")
def speechocean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speechocean")
    (folder / "WAVE").mkdir()
    (folder / "train").mkdir()
    soundfile.write(folder / "WAVE" / "7.flac", np.full(16000, 0.1), 16000)
    ids = range(70, 90)
    (folder / "train" / "wav.scp").write_text("".join(f"{number}\tWAVE/7.flac\n" for number in ids))
    (folder / "train" / "text").write_text("".join(f"{number}\tZERO NINE\n" for number in ids))
    (folder / "train" / "utt2spk").write_text("".join(f"{number}\t{number // 2:04d}\n" for number in ids))
    return folder


def test_speakers_and_texts_of_every_set(fsdd, speechocean, tmp_path):
    out = tmp_path / "data"
    assert prepare_fsdd(out, fsdd=fsdd, speechocean=speechocean, scale=SCALE)
    for name in STRINGS:
        data = read_data_dir(out / name)
        assert set(data.speakers.values()) == ({"theo"} if name == "unseen_test" else {"ann", "bob"})
        for utt_id, path in data.wavs.items():
            words = data.texts[utt_id].split()
            assert set(words) <= set(WORDS) and 1 <= len(words) <= 6
            info = soundfile.info(path)
            assert info.samplerate == 16000
            shortest = 0.12 + 0.1 * len(words) + 0.05 * (len(words) - 1)
            assert shortest - 0.01 <= info.duration <= shortest + 0.15 * (len(words) - 1) + 0.01
    second = read_data_dir(out / "speechocean_test")
    assert len(second.texts) == 20 and second.texts["so0035-70"] == "zero nine"
    assert Path(second.wavs["so0035-70"]).is_absolute()


def test_the_second_domain_is_divided_by_speaker(fsdd, speechocean, tmp_path):
    prepare_fsdd(tmp_path, fsdd=fsdd, speechocean=speechocean, scale=SCALE)
    whole = read_data_dir(tmp_path / "speechocean_test")
    parts = [read_data_dir(tmp_path / f"speechocean_{name}") for name in ("adapt", "valid", "heldout")]
    speakers = [set(part.speakers.values()) for part in parts]
    assert [len(own) for own in speakers] == [4, 1, 5]
    assert set.union(*speakers) == set(whole.speakers.values())
    assert {utt_id: path for part in parts for utt_id, path in part.wavs.items()} == whole.wavs


def test_the_audio_says_its_text(fsdd, tmp_path):
    prepare_fsdd(tmp_path, fsdd=fsdd, scale=SCALE)
    data = read_data_dir(tmp_path / "train")
    for utt_id, path in data.wavs.items():
        words = data.texts[utt_id].split()
        if len(words) > 1:
            continue
        samples, rate = soundfile.read(path)
        peak_hz = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
        assert peak_hz == pytest.approx(200 + 100 * WORDS.index(words[0]), abs=12)


def test_same_seed_same_bytes_and_a_second_run_does_nothing(fsdd, tmp_path):
    for name in ("a", "b"):
        assert prepare_fsdd(tmp_path / name, fsdd=fsdd, scale=SCALE, seed=5)
    left, right = ({p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.wav")} for name in ("a", "b"))
    assert left == right and len(left) > 20
    assert not prepare_fsdd(tmp_path / "a", fsdd=fsdd, scale=SCALE, seed=5)
    assert prepare_fsdd(tmp_path / "a", fsdd=fsdd, scale=SCALE, seed=6)


def test_second_domain_left_out_later_leaves_no_set_behind(fsdd, speechocean, tmp_path, caplog):
    caplog.set_level("INFO")
    prepare_fsdd(tmp_path, fsdd=fsdd, speechocean=speechocean, scale=SCALE)
    prepare_fsdd(tmp_path, fsdd=fsdd, scale=SCALE)
    assert "left out" in caplog.text
    assert not list(tmp_path.glob("speechocean_*"))


def test_every_recording_is_used_before_one_comes_back():
    strings = draw_strings(["ann"], range(2), 40, random.Random(0))
    used = [one for _, string in strings for one in string]
    assert len(set(used[:20])) == 20
    assert len({tuple(string) for _, string in strings}) == 40


def test_pauses_are_not_digital_silence():
    joined = join_digits([np.ones(100, dtype=np.float32)] * 2, np.random.default_rng(0))
    quiet = joined[np.abs(joined) < 0.1]
    assert 1760 < len(quiet) and quiet.std() == pytest.approx(1e-3, rel=0.1)


def test_missing_dataset_says_where_it_is(tmp_path, capsys, caplog):
    assert main(["fsdd", "--out", str(tmp_path / "data"), "--fsdd", str(tmp_path / "nowhere")]) == 1
    assert "github.com/Jakobovski/free-spoken-digit-dataset" in caplog.text and "FSDD=" in caplog.text
    assert not (tmp_path / "data").exists()


def test_missing_take_is_named(fsdd, tmp_path):
    copy = tmp_path / "fsdd" / "recordings"
    copy.mkdir(parents=True)
    for path in (fsdd / "recordings").iterdir():
        if path.name != "3_bob_17.wav":
            (copy / path.name).hardlink_to(path)
    with pytest.raises(DataError, match="3_bob_17.wav"):
        prepare_fsdd(tmp_path / "data", fsdd=copy.parent)


def test_unknown_unseen_speaker_lists_those_there_are(fsdd, tmp_path):
    with pytest.raises(DataError, match="ann, bob, theo"):
        prepare_fsdd(tmp_path / "data", fsdd=fsdd, unseen_speaker="zoe")


def test_words_that_are_no_digits_are_named(fsdd, speechocean, tmp_path):
    folder = tmp_path / "speech"
    folder.mkdir()
    soundfile.write(folder / "7.flac", np.full(16000, 0.1), 16000)
    for name, value in (("wav.scp", "7.flac"), ("text", "ZERO OH"), ("utt2spk", "1")):
        (folder / name).write_text(f"7 {value}\n")
    with pytest.raises(DataError, match="7 holds .*oh"):
        prepare_fsdd(tmp_path / "data", fsdd=fsdd, speechocean=folder, scale=SCALE)


@pytest.mark.skipif(
    not (SHARED / "fsdd_excerpt").is_dir(), reason=f"real speech is left out: {SHARED / 'fsdd_excerpt'} is not there"
)
def test_on_real_recordings(tmp_path):
    prepare_fsdd(tmp_path, fsdd=SHARED / "fsdd_excerpt", scale=SCALE)
    for name in STRINGS:
        data = read_data_dir(tmp_path / name)
        for path in data.wavs.values():
            samples, _ = soundfile.read(path)
            assert 0.5 < np.abs(samples).max() < 0.7
    assert set(read_data_dir(tmp_path / "train").speakers.values()) == {"george", "jackson", "lucas", "nicolas"}
