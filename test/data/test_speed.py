"""Speed perturbation: more voices from the same files."""

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin import perturb_speed as command
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.data.kaldi import read_data_dir, write_data_dir, write_table
from tokenchain_toolkit.data.speed import read_speeds
from tokenchain_toolkit.errors import DataError


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "train"
    time_N = np.arange(16000) / 16000
    soundfile.write(tmp_path / "tone.wav", 0.3 * np.sin(2 * np.pi * 400 * time_N), 16000)
    names = ("bob-1", "bob-2")
    wavs = dict.fromkeys(names, str(tmp_path / "tone.wav"))
    write_data_dir(folder, wavs=wavs, texts=dict.fromkeys(names, "a b"), speakers=dict.fromkeys(names, "bob"))
    return folder


def test_every_utterance_comes_at_every_speed_as_another_speaker(source, tmp_path):
    out = tmp_path / "train_sp"
    assert command.main(["--data", str(source), "--out", str(out), "--speeds", "0.9", "1", "1.1"]) == 0
    data = read_data_dir(out)
    assert list(data.wavs) == ["bob-1", "bob-2", "sp0.9-bob-1", "sp0.9-bob-2", "sp1.1-bob-1", "sp1.1-bob-2"]
    assert data.speakers["sp0.9-bob-2"] == "sp0.9-bob" and data.speakers["bob-2"] == "bob"
    assert read_speeds(out, list(data.wavs))["sp1.1-bob-1"] == 1.1 and read_speeds(source, ["bob-1"]) == {"bob-1": 1.0}


@pytest.mark.parametrize("speed", [0.9, 1.25])
def test_playing_faster_is_shorter_and_higher(source, speed):
    path = read_data_dir(source).wavs["bob-1"]
    samples_N = read_audio(path, sample_rate=16000, speed=speed)
    assert abs(len(samples_N) - 16000 / speed) <= 1
    spectrum_F = np.abs(np.fft.rfft(samples_N * np.hanning(len(samples_N))))
    assert abs(spectrum_F.argmax() * 16000 / len(samples_N) - 400 * speed) < 2


def test_what_cannot_be_is_named(source, tmp_path, caplog):
    argv = ["--data", str(source), "--out", str(tmp_path / "out"), "--speeds"]
    assert command.main([*argv, "0.9", "0.9"]) == 1 and "different factors" in caplog.text
    assert command.main([*argv, "3"]) == 1
    write_table(source / "utt2speed", {"bob-1": "1"})
    assert command.main([*argv, "0.9"]) == 1 and "perturbed already" in caplog.text
    with pytest.raises(DataError, match="no factor for bob-2"):
        read_speeds(source, ["bob-1", "bob-2"])
