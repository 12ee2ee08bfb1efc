"""Audio and folders that are not as one would wish: tokens all the same, or a message that helps."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin import extract_tokens as command
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.data.kaldi import write_table
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import read_json, write_json
from tokenchain_toolkit.tokenizers.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return load_tokenizer(tokenizer_folder)


def extract(tokenizer_folder, folder, *options):
    """Run the command on ``folder/wav.scp``."""
    argv = ["--tokenizer", str(tokenizer_folder), "--data", str(folder), "--out", str(folder / "dump")]
    return command.main([*argv, *options])


@pytest.mark.parametrize("loudness", [0.0, 50.0])
def test_silence_and_clipped_noise_have_tokens_and_sound(tokenizer, loudness):
    samples_N = np.clip(loudness * np.random.default_rng(0).standard_normal(8000), -1, 1).astype(np.float32)
    [(semantic_T, codes_TQ)] = tokenizer.encode([samples_N])
    assert len(semantic_T) == len(codes_TQ) == 25
    [decoded_N] = tokenizer.decode([semantic_T], [codes_TQ])
    assert np.isfinite(decoded_N).all()


def test_ten_milliseconds_are_refused_by_name(tokenizer):
    with pytest.raises(DataError, match="this_one: 160 samples are less than one frame"):
        tokenizer.encode([np.zeros(160, np.float32)], utt_ids=["this_one"])


def test_an_hour_has_all_its_tokens_and_those_of_its_beginning_alone(tokenizer):
    ten_seconds_N = (0.1 * np.random.default_rng(0).standard_normal(160000)).astype(np.float32)
    [(semantic_T, codes_TQ)] = tokenizer.encode([np.tile(ten_seconds_N, 360)])
    assert semantic_T.shape == (180000,) and codes_TQ.shape == (180000, 3)
    [(_, first_TQ)] = tokenizer.encode([ten_seconds_N])
    # Only the last frames of the beginning look beyond it.
    assert np.array_equal(codes_TQ[:495], first_TQ[:495])
    assert np.array_equal(codes_TQ[500:995], codes_TQ[179000:179495])


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_and_stereo_give_the_frames_of_their_duration(tokenizer, tmp_path, rate):
    time_N = np.arange(rate) / rate
    tone_N = 0.3 * np.sin(2 * np.pi * 440 * time_N)
    soundfile.write(tmp_path / "a.wav", np.stack([tone_N, tone_N], axis=1), rate)
    samples_N = read_audio(tmp_path / "a.wav", sample_rate=16000)
    [(semantic_T, _)] = tokenizer.encode([samples_N])
    assert len(samples_N) == 16000 and len(semantic_T) == 50


def test_a_corrupt_header_is_listed_and_the_rest_extracted(tokenizer_folder, wavs, tmp_path):
    table = {}
    for number in range(100):
        table[f"u{number:03d}"] = list(wavs.values())[number % len(wavs)]
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFX" + open(table["u007"], "rb").read()[4:])
    table["u007"] = str(bad)
    write_table(tmp_path / "wav.scp", table)
    assert extract(tokenizer_folder, tmp_path) == 0
    assert len(read_dump(tmp_path / "dump")) == 99
    assert (tmp_path / "dump" / "skipped.tsv").read_text().startswith("u007\t")


def test_a_full_disk_is_said_and_a_rerun_goes_on(tokenizer_folder, wavs, tmp_path, monkeypatch, caplog):
    write_table(tmp_path / "wav.scp", wavs)
    replace = os.replace

    def full(self, target):
        if self.name.startswith(".codes"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(self, target)

    with monkeypatch.context() as context:
        context.setattr(Path, "replace", full)
        assert extract(tokenizer_folder, tmp_path) == 1
    assert "the disk is full" in caplog.text
    assert extract(tokenizer_folder, tmp_path) == 0
    assert len(read_dump(tmp_path / "dump")) == len(wavs)


def test_a_manifest_edited_by_hand_is_refused(tokenizer_folder, tmp_path):
    shutil.copytree(tokenizer_folder, tmp_path / "copy")
    manifest = read_json(tmp_path / "copy" / "manifest.json")
    manifest["semantic"]["features"]["num_ceps"] = 12
    write_json(tmp_path / "copy" / "manifest.json", manifest)
    with pytest.raises(DataError, match=r"not what manifest\.json names"):
        load_tokenizer(tmp_path / "copy")
