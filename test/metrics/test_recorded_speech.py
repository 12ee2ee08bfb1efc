"""Measures of recordings whose truth is known; left out where the recordings or the packages are not there."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.data.kaldi import read_data_dir, write_data_dir
from tokenchain_toolkit.metrics import recognisers
from tokenchain_toolkit.metrics.measured_audio import Speech, read_speech
from tokenchain_toolkit.metrics.measurement import UnmeasurableError
from tokenchain_toolkit.metrics.natural_comparison import measure_against_natural
from tokenchain_toolkit.metrics.naturalness import measure_naturalness
from tokenchain_toolkit.metrics.speaker_similarity import VoicePrints, load_encoder, measure_similarity
from tokenchain_toolkit.metrics.voices import choose_voices

RATE = 16000
EXCERPT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "librispeech_excerpt" / "LibriSpeech"


def needs(*packages):
    for package in packages:
        pytest.importorskip(package, reason="left out: the extra 'metrics' is not installed")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two utterances each of three speakers of LibriSpeech, and the same with noise."""
    if not EXCERPT.is_dir():
        pytest.skip("left out: the LibriSpeech excerpt is not there")
    root = tmp_path_factory.mktemp("recordings")
    wavs, texts, speakers, noisy = {}, {}, {}, {}
    random = np.random.default_rng(0)
    for table in sorted((EXCERPT / "test-other").rglob("*.trans.txt"))[:3]:
        lines = [line.partition(" ") for line in table.read_text(encoding="utf-8").splitlines()]
        lines.sort(key=lambda line: soundfile.info(table.parent / f"{line[0]}.flac").frames)
        for utt_id, _, text in lines[:2]:
            wavs[utt_id], texts[utt_id] = str(table.parent / f"{utt_id}.flac"), text
            speakers[utt_id] = utt_id.partition("-")[0]
            samples_N = soundfile.read(wavs[utt_id])[0]
            noisy[utt_id] = str(root / f"{utt_id}.wav")
            soundfile.write(noisy[utt_id], samples_N + 0.02 * random.standard_normal(len(samples_N)), RATE)
    write_data_dir(root / "data", wavs=wavs, texts=texts, speakers=speakers)
    return Speech(wavs, read_data_dir(root / "data")), Speech(noisy, read_data_dir(root / "data"))


def test_recordings_are_nearer_to_their_own_speaker(recordings):
    needs("resemblyzer")

    speech = recordings[0]
    voices = choose_voices(speech.wavs, speech.natural, prompts=None)
    encoder = load_encoder("resemblyzer")
    own, other, nearer = measure_similarity(speech, voices, VoicePrints(encoder), prompted=False)
    assert nearer.interval().value == 1 and own.interval().value > other.interval().value + 0.15
    with pytest.raises(UnmeasurableError, match="no voice"):
        encoder.embed(np.random.default_rng(0).normal(0, 0.001, RATE).astype(np.float32))


def test_clean_recordings_sound_better_than_noisy_ones(recordings):
    needs("speechmos", "onnxruntime", "pesq", "pystoi", "pyworld")

    recordings = [Speech(dict(list(speech.wavs.items())[::2]), speech.natural) for speech in recordings]
    clean, noisy = ({each.metric: each for each in measure_naturalness(speech)} for speech in recordings)
    for metric in ("dnsmos", "dnsmos_background", "dnsmos_p808"):
        assert clean[metric].interval().value > noisy[metric].interval().value + 0.5
    assert all(1 <= value <= 5 for value in clean["dnsmos"].totals.values())
    same, worse = (measure_against_natural(speech, ("mcd", "pesq", "stoi")) for speech in recordings)
    assert [round(each.interval().value, 3) for each in same] == [0, pytest.approx(4.644, abs=0.01), 1]
    assert worse[0].interval().value > 3 and worse[1].interval().value < 2 and worse[2].interval().value < 0.95


def test_the_offline_recogniser_hears_words_and_forgets_what_it_heard(recordings):
    needs("pocketsphinx")

    speech = recordings[0]
    recogniser = recognisers.load_recogniser("pocketsphinx")
    first, second = (read_speech(speech.wavs[utt_id]) for utt_id in list(speech.wavs)[:2])
    heard = recogniser.transcribe([first, second])
    assert heard[::-1] == recogniser.transcribe([second, first])
    references = [speech.natural.texts[utt_id].lower().split() for utt_id in list(speech.wavs)[:2]]
    assert any(set(text.split()) & set(words) for text, words in zip(heard, references, strict=True))
