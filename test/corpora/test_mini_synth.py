import hashlib
import importlib.util
import sys

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.corpora import mini_synth
from tokenchain_toolkit.corpora.mini_synth import SET_NAMES, coloured_noise, phone_intervals, prepare_mini_synth
from tokenchain_toolkit.data.kaldi import read_data_dir
from tokenchain_toolkit.errors import MissingDependencyError

SCALE = 0.001  # 6 + 4 + 4 utterances of read, 4 + 4 + 4 of talk
needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason='eSpeak NG is left out: espeakng-loader is not installed (pip install -e ".[demo]")',
)


def digests(folder, pattern):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob(pattern)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    out = tmp_path_factory.mktemp("one_job") / "data"
    assert prepare_mini_synth(out, seed=0, scale=SCALE, num_jobs=1)
    return out


@needs_espeak
def test_bytes_do_not_depend_on_the_number_of_jobs(corpus, tmp_path):
    prepare_mini_synth(tmp_path / "data", seed=0, scale=SCALE, num_jobs=3)
    audio = digests(corpus, "*.wav")
    assert len(audio) == 25
    assert audio == digests(tmp_path / "data", "*.wav")
    assert digests(corpus, "phones") == digests(tmp_path / "data", "phones")


@needs_espeak
def test_a_second_run_does_nothing_and_a_lost_set_is_made_again(corpus):
    phones = corpus / "talk_test" / "phones"
    before = phones.read_text()
    assert not prepare_mini_synth(corpus, seed=0, scale=SCALE)
    phones.unlink()
    assert prepare_mini_synth(corpus, seed=0, scale=SCALE)
    assert phones.read_text() == before


@needs_espeak
@pytest.mark.parametrize("name", SET_NAMES)
def test_phones_cover_each_utterance_and_audio_is_sane(corpus, name):
    data = read_data_dir(corpus / name)
    phones = {}
    for line in (corpus / name / "phones").read_text().splitlines():
        utt_id, start, end, phone = line.split()
        phones.setdefault(utt_id, []).append((float(start), float(end), phone))
    assert phones.keys() == data.wavs.keys()
    for utt_id, path in data.wavs.items():
        samples, rate = soundfile.read(path)
        assert rate == 16000 and soundfile.info(path).subtype == "PCM_16"
        assert 0.1 < np.abs(samples).max() < 0.995
        rows = phones[utt_id]
        assert rows[0][0] == 0 and rows[-1][1] == pytest.approx(len(samples) / rate, abs=1e-3)
        assert all(start < end for start, end, _ in rows)
        assert all(left[1] == right[0] for left, right in zip(rows, rows[1:], strict=False))
        assert rows[0][2] == rows[-1][2] == "sil" and len(rows) > len(data.texts[utt_id].split())
        assert utt_id.startswith(data.speakers[utt_id] + "-")


def test_pauses_in_a_row_become_one_interval():
    starts = [(-0.02, "sil"), (0.05, "a"), (0.2, "sil"), (0.25, "sil"), (0.4, "sil")]
    assert phone_intervals(starts, 0.3) == [(0.0, 0.05, "sil"), (0.05, 0.2, "a"), (0.2, 0.3, "sil")]


@pytest.mark.parametrize("snr_db", [10.0, 20.0])
def test_noise_has_the_asked_level(snr_db):
    samples = np.sin(np.arange(16001) / 7).astype(np.float32)
    noise = coloured_noise(samples, snr_db=snr_db, generator=np.random.default_rng(0))
    assert noise.shape == samples.shape
    assert 10 * np.log10(np.mean(samples**2) / np.mean(noise**2)) == pytest.approx(snr_db, abs=0.01)


def test_missing_espeak_names_the_install_command(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingDependencyError, match=r'pip install -e "\.\[demo\]"'):
        mini_synth.prepare_mini_synth(tmp_path / "data")
    assert not (tmp_path / "data").exists()
