"""Measures of synthesised speech: known truths on made-up audio, tiny models and, where they are there, recordings."""

import json
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin import measure_speech as command
from tokenchain_toolkit.data.kaldi import read_data_dir, read_table, write_data_dir, write_table
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics import recognisers, speech_measures
from tokenchain_toolkit.metrics.measure_changes import MEASURES_FILE, MeasuredBaseline, changes_from
from tokenchain_toolkit.metrics.measured_audio import Speech
from tokenchain_toolkit.metrics.measurement import Measurement
from tokenchain_toolkit.metrics.mel_cepstral_distance import (
    VoiceFrames,
    analyse_voice,
    cepstral_distances,
    compare_voices,
    mel_cepstra,
    warping_path,
)
from tokenchain_toolkit.metrics.natural_comparison import measure_against_natural
from tokenchain_toolkit.metrics.recognised_words import measure_words
from tokenchain_toolkit.metrics.score_rows import read_score_rows
from tokenchain_toolkit.metrics.speaker_similarity import VoicePrints, measure_similarity
from tokenchain_toolkit.metrics.voices import Voices, choose_voices
from tokenchain_toolkit.report.results import collect_rows, comparisons

RATE = 16000
SILENT, EMPTY, SHORT = "b-2", "b-3", "c-1"


def needs(*packages):
    for package in packages:
        pytest.importorskip(package, reason="left out: the extra 'metrics' is not installed")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, voice):
    """Three speakers with a pitch each, and a copy of them in which three utterances are not to be judged."""
    root = tmp_path_factory.mktemp("measures")
    speakers = {f"{name}-{number}": name for name in "abc" for number in range(4)}
    texts = {utt_id: f"it is {utt_id[0]}" for utt_id in speakers}
    for folder, is_faulty in (("data/test", False), ("exp/s2a/synth_test", True)):
        wavs = {}
        for utt_id, name in speakers.items():
            sound_N = voice({"a": 100, "b": 150, "c": 220}[name], 1 + int(utt_id[-1]) / 10)
            if is_faulty:
                sound_N = {SILENT: 0 * sound_N, EMPTY: sound_N[:0], SHORT: sound_N[:800]}.get(utt_id, sound_N)
            path = root / folder / "wav" / f"{utt_id}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound_N, RATE)
            wavs[utt_id] = str(path)
        write_data_dir(root / folder, wavs=wavs, texts=texts, speakers=speakers)
    return root


def speech_of(root, folder="exp/s2a/synth_test"):
    return Speech(read_table(root / folder / "wav.scp"), read_data_dir(root / "data" / "test"))


class PitchEncoder:
    """Knows a voice by its pitch: the strongest of three frequencies."""

    family = "pitch"

    def describe(self):
        """As encoders do."""
        return {"model": "three frequencies", "sample_rate": RATE}

    def embed(self, samples_N):
        """Strengths of the three, of length 1."""
        time_N = np.arange(len(samples_N)) / RATE
        strength_E = np.array([abs(np.exp(-2j * np.pi * pitch * time_N) @ samples_N) for pitch in (100, 150, 220)])
        return strength_E / np.linalg.norm(strength_E)


class Parrot:
    """Recognises the same text in everything."""

    family = "parrot"

    def describe(self):
        """As recognisers do."""
        return {"model": "parrot 1", "sample_rate": RATE}

    def transcribe(self, samples):
        """The same for each."""
        return ["It is, A."] * len(samples)


def test_a_measurement_is_the_ratio_of_its_sums_with_an_interval_around_it():
    found = Measurement("errors", {})
    for number in range(40):
        found.add(f"u{number}", number % 2 * 3, 1 + number % 2 * 2)
    interval = found.interval()
    assert interval.value == pytest.approx(60 / 80)
    assert interval.ci_low < interval.value < interval.ci_high
    assert found.as_json()["per_utterance"]["u1"] == 1 and found.num_utts == 40


def cheapest(cost_XY):
    """Cost of the cheapest way by trying every step from everywhere."""
    total = {}
    for x, y in product(*map(range, cost_XY.shape)):
        before = [total[at] for at in ((x - 1, y - 1), (x - 1, y), (x, y - 1)) if at in total]
        total[x, y] = cost_XY[x, y] + min(before, default=0.0)
    return total[cost_XY.shape[0] - 1, cost_XY.shape[1] - 1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (6, 1), (7, 7), (5, 9), (12, 4)])
def test_the_warping_path_is_the_cheapest_that_leaves_no_frame_out(shape):
    cost_XY = np.random.default_rng(sum(shape)).random(shape)
    path_P2 = warping_path(cost_XY)
    assert tuple(path_P2[0]) == (0, 0) and tuple(path_P2[-1]) == (shape[0] - 1, shape[1] - 1)
    assert {tuple(step) for step in np.diff(path_P2, axis=0)} <= {(1, 1), (1, 0), (0, 1)}
    assert cost_XY[path_P2[:, 0], path_P2[:, 1]].sum() == pytest.approx(cheapest(cost_XY))


def test_the_mel_cepstral_distance_is_the_deviation_of_the_envelopes_in_decibels():
    random = np.random.default_rng(0)
    level_TF = np.full((4, 513), 1.0)
    assert np.allclose(cepstral_distances(mel_cepstra(level_TF), mel_cepstra(9 * level_TF)), 0)  # louder only
    mel_F = 2595 * np.log10(1 + np.linspace(0, 8000, 513) / 700)
    shape_F = np.cos(3 * np.pi * mel_F / mel_F[-1])  # a ripple over the mel axis, of 6 dB at its top
    rippled_TF = level_TF * 10 ** (6 * shape_F / 10)
    distance_XY = cepstral_distances(mel_cepstra(level_TF), mel_cepstra(rippled_TF))
    assert distance_XY == pytest.approx(np.full((4, 4), 6 / np.sqrt(2)), rel=1e-2)
    cepstra_TC, pitch_T = np.repeat(random.random((9, 24)), 3, axis=0), np.repeat(np.arange(9) + 100.0, 3)
    stretched = VoiceFrames(cepstra_TC, pitch_T, np.arange(27) / 100)
    plain = VoiceFrames(cepstra_TC[::3], pitch_T[::3], np.arange(9) / 100)
    result = compare_voices(plain, stretched)
    assert result.distance == 0 and result.pitch_errors == 0 and result.voiced == 27
    assert result.shift_P == pytest.approx((np.arange(27) - np.repeat(np.arange(9), 3)) / 100)


def test_a_copy_has_no_distance_and_another_voice_has_one(voice):
    needs("pyworld")
    left, right = analyse_voice(voice(120)), analyse_voice(voice(180, formant=1500))
    same, louder = compare_voices(left, left), compare_voices(left, analyse_voice(voice(120) / 3))
    other = compare_voices(left, right)
    assert same.distance == 0 and same.pitch_errors == 0 and same.voiced > 50
    assert louder.distance < 0.1 < 3 < other.distance
    assert other.pitch_errors > 0.9 * other.voiced > 0
    longer = compare_voices(left, analyse_voice(voice(120, seconds=2.0)))
    assert longer.distance < other.distance / 3 and longer.pitch_errors == 0


def test_voices_are_of_the_speaker_and_of_another_and_always_the_same(corpus, tmp_path):
    data = read_data_dir(corpus / "data" / "test")
    speaker_of = {path: data.speakers[utt_id] for utt_id, path in data.wavs.items()}
    chosen = choose_voices(data.wavs, data, prompts=None)
    for utt_id, voices in chosen.items():
        assert speaker_of[voices.own] == data.speakers[utt_id] != speaker_of[voices.other]
        assert voices.own != data.wavs[utt_id]
    assert choose_voices(["b-1"], data, prompts=None)["b-1"] == chosen["b-1"]
    prompted = choose_voices(["a-0", "a-1"], data, prompts={"a-0": "c-2", "a-1": "a-1"})
    assert prompted["a-0"].own == data.wavs["c-2"] and speaker_of[prompted["a-0"].other] != "c"
    assert prompted["a-1"] == "is its own prompt"
    of_b = choose_voices(data.wavs, data, prompts=dict.fromkeys(data.wavs, data.wavs["b-1"]))
    assert of_b.pop("b-1") == "is its own prompt"
    assert all(each.own == data.wavs["b-1"] and speaker_of[each.other] != "b" for each in of_b.values())
    elsewhere = tmp_path / "anybody.wav"
    elsewhere.write_bytes(Path(data.wavs["b-1"]).read_bytes())
    assert choose_voices(["a-1"], data, prompts={"a-1": str(elsewhere)})["a-1"] == Voices(str(elsewhere), None)
    with pytest.raises(DataError, match="a-1 has no prompt"):
        choose_voices(["a-1"], data, prompts={"a-0": "c-2"})
    with pytest.raises(DataError, match="nowhere is neither"):
        choose_voices(["a-1"], data, prompts={"a-1": "nowhere"})


def test_speech_is_nearer_to_its_own_speaker_and_what_is_silent_is_named(corpus):
    speech = speech_of(corpus)
    own, other, nearer = measure_similarity(
        speech, choose_voices(speech.wavs, speech.natural, prompts=None), VoicePrints(PitchEncoder()), prompted=False
    )
    assert nearer.interval().value == 1 and own.interval().value > 0.95 > 0.5 > other.interval().value
    assert nearer.metric == "pitch_nearer_to_own" and nearer.num_utts == 9
    for found in (own, other, nearer):
        assert set(found.left_out) == {SILENT, EMPTY, SHORT}
    assert "silent" in own.left_out[SILENT] and "no samples" in own.left_out[EMPTY]
    assert "shorter than 0.1 s" in own.left_out[SHORT]
    swapped = {utt_id: "a-0" if utt_id[0] == "b" else "b-0" for utt_id in speech.wavs}
    voices = choose_voices(speech.wavs, speech.natural, prompts=swapped)
    assert measure_similarity(speech, voices, VoicePrints(PitchEncoder()), prompted=True)[2].interval().value < 0.5


def test_a_lonely_speaker_has_nobody_to_be_told_from(corpus):
    speech = speech_of(corpus, "data/test")
    voices = {utt_id: Voices(speech.wavs["a-0"], None) for utt_id in speech.wavs} | {"c-3": "is alone"}
    own, other, nearer = measure_similarity(speech, voices, VoicePrints(PitchEncoder()), prompted=True)
    assert own.num_utts == 11 and other.num_utts == nearer.num_utts == 0
    assert "no other speaker" in nearer.left_out["a-1"] and own.left_out == {"c-3": "c-3 is alone"}


def test_words_of_silence_count_as_deleted(corpus, tmp_path):
    found = measure_words(speech_of(corpus), Parrot(), normaliser="words", output=tmp_path)
    per_utterance = found.as_json()["per_utterance"]
    assert found.metric == "parrot_wer" and found.num_utts == 12
    assert per_utterance["a-1"] == 0 and per_utterance["b-0"] == pytest.approx(1 / 3)
    assert per_utterance[SILENT] == per_utterance[EMPTY] == per_utterance[SHORT] == 1
    assert set(found.left_out) == {SILENT, EMPTY, SHORT}
    assert found.settings == {"model": "parrot 1", "sample_rate": RATE, "normaliser": "words"}
    recognised = read_table(tmp_path / "text")
    assert recognised["a-0"] == "It is, A." and recognised[SILENT] == ""


def test_whispers_normaliser_makes_numbers_equal():
    normalise = recognisers.text_normaliser("whisper_english")
    assert normalise("It's twenty-five, Sir.") == normalise("it is 25 sir")
    assert recognisers.text_normaliser("words")("It's, Sir!") == "it's sir"


def test_pesq_and_stoi_need_the_same_timing(corpus, tmp_path):
    needs("pesq", "pystoi", "pyworld")
    speech = speech_of(corpus)
    path = tmp_path / "late.wav"
    soundfile.write(path, np.pad(soundfile.read(speech.natural.wavs["a-0"])[0], (4000, 0)), RATE)
    found = measure_against_natural(Speech(speech.wavs | {"a-0": str(path)}, speech.natural), speech_measures.MEASURES)
    distance, pitch, pesq, stoi = found
    assert [each.metric for each in found] == ["mel_cepstral_distance", "gross_pitch_error", "pesq", "stoi"]
    assert set(distance.left_out) == set(pitch.left_out) == {SILENT, EMPTY, SHORT}
    assert set(pesq.left_out) == set(stoi.left_out) == {SILENT, EMPTY, SHORT, "a-0"}
    assert "differs by +0.25 s" in pesq.left_out["a-0"]
    assert distance.totals["a-1"] == pitch.totals["a-1"] == 0 and distance.totals["a-0"] < 1
    assert pesq.totals["a-1"] > 4.5 and stoi.totals["a-1"] == pytest.approx(1, abs=1e-4)


def test_pesq_and_stoi_leave_out_what_is_as_long_but_has_another_timing(corpus, tmp_path, voice):
    needs("pesq", "pystoi", "pyworld")
    speech, paths = speech_of(corpus, "data/test"), {}
    for name, formants in (("ab", (500, 1500, 1500)), ("ba", (500, 500, 1500))):
        paths[name] = str(tmp_path / f"{name}.wav")
        soundfile.write(paths[name], np.concatenate([voice(120, formant=each) for each in formants]), RATE)
    natural = replace(speech.natural, wavs={**speech.natural.wavs, "a-0": paths["ab"], "a-1": paths["ab"]})
    found = measure_against_natural(Speech({"a-0": paths["ab"], "a-1": paths["ba"]}, natural), ["mcd", "pesq", "stoi"])
    distance, pesq, stoi = found
    assert set(distance.totals) == {"a-0", "a-1"} and set(pesq.totals) == set(stoi.totals) == {"a-0"}
    assert "sounds are shifted" in pesq.left_out["a-1"]


def measure(corpus, out, *options, wavs="exp/s2a/synth_test"):
    arguments = ["--wavs", corpus / wavs, "--reference", corpus / "data" / "test", "--out", out, *options]
    return command.main([str(argument) for argument in arguments])


def test_the_command_writes_rows_for_the_report_and_every_utterance(corpus, models, tmp_path, caplog):
    needs("pyworld")
    prompts = tmp_path / "prompts"
    write_table(prompts, {utt_id: f"{utt_id[0]}-0" for utt_id in read_table(corpus / "data" / "test" / "text")})
    out = tmp_path / "exp" / "s2a" / "measures_test"
    options = ["--measures", "similarity", "wer", "mcd", "--encoder", models / "xvector", "--prompts", prompts]
    options += ["--recogniser", models / "whisper", "--language", "en"]
    assert measure(corpus, out, *options) == 0
    rows = {row.metric: row for row in collect_rows(tmp_path / "exp")}
    names = {"wavlm_similarity", "wavlm_similarity_to_other", "wavlm_nearer_to_own"}
    assert set(rows) == names | {"whisper_wer", "mel_cepstral_distance"}
    assert rows == {row.metric: row for row in read_score_rows(out / "score.json")}
    words = rows["whisper_wer"]
    assert (words.experiment, words.set, words.model, words.n) == ("s2a", "test", "s2a", 12)
    assert words.value >= 1 >= words.ci_low > 0 and rows["mel_cepstral_distance"].value == 0
    measures = json.loads((out / "measures.json").read_text())["measures"]
    assert measures["whisper_wer"]["settings"]["normaliser"] == "words"
    assert measures["wavlm_similarity"]["settings"]["own_speaker"] == "prompt"
    assert len(measures["wavlm_similarity"]["per_utterance"]) == 6  # of twelve, three cannot be heard
    assert {"a-0", "b-0", "c-0"} < set(measures["wavlm_similarity"]["left_out"])  # and three are their own prompts
    assert set(measures["mel_cepstral_distance"]["left_out"]) == {SILENT, EMPTY, SHORT}
    assert "3 of 12 utterances could not be judged" in caplog.text
    caplog.clear()
    assert measure(corpus, out, *options) == 0 and "is up to date" in caplog.text


def measurement(metric, values, *, settings=None, weights=None, left_out=()):
    found = Measurement(metric, settings or {"model": "m"}, left_out=dict.fromkeys(left_out, "is silent"))
    for number, value in enumerate(values):
        weight = weights[number] if weights else 1.0
        found.add(f"u{number:02d}", value * weight, weight)
    return found


def changes(ours, theirs):
    """Changes of one measurement from another one that was written and read."""
    read = Measurement.from_json(theirs.metric, json.loads(json.dumps(theirs.as_json())))
    return changes_from(MeasuredBaseline(Path("b.json"), "b", {theirs.metric: read}), [ours])


def test_a_change_is_relative_to_the_baseline_and_paired_by_utterance():
    random = np.random.default_rng(0)
    values, weights = random.random(40), [float(words) for words in random.integers(1, 9, 40)]
    before = measurement("whisper_wer", values, weights=weights)
    (same,) = changes(before, before)
    assert (same.interval.value, same.interval.ci_low, same.interval.ci_high) == (0, 0, 0) and same.num_utts == 40
    (lower,) = changes(measurement("whisper_wer", 0.75 * values, weights=weights), before)
    assert lower.interval.value == pytest.approx(-0.25) and lower.interval.ci_high < -0.15
    # What differs from utterance to utterance far more than the systems do is no doubt about their difference.
    assert lower.interval.ci_low > -0.35
    (shared,) = changes(measurement("dnsmos", [1.0, 2.0]), measurement("dnsmos", [1.0, 1.0, 9.0], left_out=["u03"]))
    assert shared.num_utts == 2 and shared.interval.value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (
            measurement("whisper_wer", [0.5], settings={"model": "n"}),
            "(model: n against m); measure both with the same",
        ),
        (measurement("whisper_wer", [0.5], weights=[3.0]), "other transcripts"),
        (measurement("whisper_wer", [0.0]), "a relative change has no meaning"),
        (measurement("whisper_wer", [], left_out=["u00"]), "no utterance could be judged in both"),
        (measurement("parrot_wer", [0.5]), "it was not measured there"),
    ],
)
def test_what_cannot_be_compared_has_no_change_and_is_named(theirs, said, caplog):
    assert changes(measurement("whisper_wer", [0.5]), theirs) == [] and said in caplog.text


def test_the_command_compares_with_a_baseline_of_the_same_utterances(corpus, models, tmp_path, caplog):
    options = ["--measures", "similarity", "wer", "--encoder", models / "xvector", "--recogniser", models / "whisper"]
    natural, ours = tmp_path / "exp" / "natural" / "measures_test", tmp_path / "exp" / "s2a" / "measures_test"
    assert measure(corpus, natural, *options, "--experiment", "natural", wavs="data/test") == 0
    assert measure(corpus, ours, *options, "--baseline", natural) == 0
    rows = collect_rows(tmp_path / "exp")
    rates = {(row.experiment, row.metric): row for row in rows}
    compared = {each.metric: each for each in comparisons(rows)}
    assert compared.keys() == {"whisper_wer", "wavlm_similarity"}
    words, voices = (compared[metric].change for metric in ("whisper_wer", "wavlm_similarity"))
    assert (words.experiment, words.baseline, words.n, voices.n) == ("s2a", "natural", 12, 9)
    ratio = rates["s2a", "whisper_wer"].value / rates["natural", "whisper_wer"].value
    assert words.value == pytest.approx(ratio - 1) and words.ci_low <= words.value <= words.ci_high
    # The nine that can be judged are the same recordings.
    assert (voices.value, voices.ci_low, voices.ci_high) == (0, 0, 0)
    assert measure(corpus, ours, *options, "--baseline", ours) == 1 and "is --out itself" in caplog.text
    found = json.loads((natural / MEASURES_FILE).read_text())
    for measured in found["measures"].values():
        measured["per_utterance"].pop("a-1", None)
    (natural / MEASURES_FILE).write_text(json.dumps(found))
    assert measure(corpus, ours, *options, "--baseline", natural) == 1
    assert "1 utterances are not in both, first a-1" in caplog.text
    (natural / MEASURES_FILE).write_text(json.dumps({"measures": found["measures"]}))
    assert measure(corpus, ours, *options, "--baseline", natural) == 1 and "lacks 'experiment'" in caplog.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing file", "a-0.wav is no file"),
        ("not audio", "a-0.wav is not readable as audio"),
        ("stranger", "1 utterances are not in"),
        ("no words", "leaves nothing of 1 transcripts, first a-0"),
        ("no name", "name it by --experiment"),
    ],
)
def test_faults_are_named_before_anything_is_measured(corpus, models, tmp_path, caplog, change, said):
    wavs, folder = read_table(corpus / "data" / "test" / "wav.scp"), tmp_path / "synth_test"
    data = read_data_dir(corpus / "data" / "test")
    texts = data.texts | ({"a-0": "?!"} if change == "no words" else {})
    write_data_dir(tmp_path / "data", wavs=data.wavs, texts=texts, speakers=data.speakers)
    if change in ("missing file", "not audio"):
        wavs["a-0"] = str(tmp_path / "a-0.wav")
    if change == "not audio":
        (tmp_path / "a-0.wav").write_text("no sound")
    if change == "stranger":
        wavs["z-0"] = wavs["a-0"]
    folder = tmp_path / ("wavs" if change == "no name" else "synth_test")
    write_table(folder / "wav.scp", wavs)
    options = ["--measures", "wer", "--recogniser", str(models / "whisper"), "--out", str(tmp_path / "out")]
    assert command.main(["--wavs", str(folder), "--reference", str(tmp_path / "data"), *options]) == 1
    assert said in caplog.text and not (tmp_path / "out" / "score.json").exists()


def test_all_missing_packages_are_named_at_once(corpus, tmp_path, monkeypatch, caplog):
    for package in ("resemblyzer", "speechmos", "pyworld", "pocketsphinx"):
        monkeypatch.setitem(sys.modules, package, None)
    assert measure(corpus, tmp_path / "out") == 1
    for word in ("resemblyzer", "speechmos", "pyworld", "pocketsphinx", "tools/install.sh .venv dev metrics"):
        assert word in caplog.text
    assert not (tmp_path / "out" / "score.json").exists()


def test_the_command_offers_what_the_library_has():
    assert command.MEASURES == speech_measures.MEASURES
    assert command.NORMALISERS == recognisers.TEXT_NORMALISERS
