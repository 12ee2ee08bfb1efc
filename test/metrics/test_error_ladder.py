"""The error ladder: the same utterances at every rung, what each part costs, and a missing extra that stops nothing."""

import json
import sys

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin import error_ladder as command
from tokenchain_toolkit.data.kaldi import read_table, write_data_dir, write_table
from tokenchain_toolkit.data.manifest import write_manifest
from tokenchain_toolkit.metrics import error_ladder
from tokenchain_toolkit.metrics.measurement import Measurement
from tokenchain_toolkit.metrics.recognisers import TEXT_NORMALISERS

RATE = 16000
TEXT = "one two three four"
# What is read of the four utterances that have been synthesised, rung by rung.
READ = {
    "asr": ["one two three four"] * 4,
    "codec": ["one two three", *["one two three four"] * 3],
    "s2a": ["one two", "one two three", *["one two three four"] * 2],
    "chain_a": ["one", "one two three", "one two three four", "five"],
    "chain_b": ["one two", "one two three", *["one two three four"] * 2],
}
SPOKEN = ("a-0", "a-2", "b-1", "b-3")


@pytest.fixture
def exp(tmp_path, voice, manifest):
    """Eight natural utterances of two speakers, which the codec has passed on; four of them by S2A and two chains."""
    natural, speakers = {}, {}
    for index in range(8):
        utt_id = f"{'ab'[index // 4]}-{index % 4}"
        natural[utt_id], speakers[utt_id] = str(tmp_path / "wav" / f"{utt_id}.wav"), utt_id[0]
        (tmp_path / "wav").mkdir(exist_ok=True)
        soundfile.write(natural[utt_id], voice({"a": 100, "b": 220}[utt_id[0]], 0.5), RATE)
    texts = dict.fromkeys(natural, TEXT)
    write_data_dir(tmp_path / "data" / "test", wavs=natural, texts=texts, speakers=speakers)
    for name, read in READ.items():
        folder = tmp_path / "exp" / name
        spoken = natural if name in ("asr", "codec") else {utt_id: natural[utt_id] for utt_id in SPOKEN}
        table = dict.fromkeys(natural, "nothing of it") | dict(zip(SPOKEN, read, strict=True))
        decoded = folder / ("decode_test" if name == "asr" else "synth_decode_test") / "text"
        write_table(decoded, {utt_id: table[utt_id] for utt_id in spoken})
        if name != "asr":
            write_table(folder / "synth_test" / "wav.scp", spoken)
    (tmp_path / "exp" / "asr" / "model.safetensors").write_bytes(b"weights")
    write_manifest(tmp_path / "exp" / "asr" / "manifest.json", manifest)
    prompts = {"a-0": "a-1", "a-2": "a-2", "b-1": "b-0", "b-3": "b-0"}
    write_table(tmp_path / "exp" / "s2a" / "synth_test" / "prompts", prompts)
    return tmp_path / "exp"


def build(exp, *more, experiments=("chain_a", "chain_b")):
    arguments = ["--exp", exp, "--data", exp.parent / "data" / "test", "--experiments", *experiments]
    status = command.main([str(word) for word in [*arguments, "--out", exp / "ladder_test", *more]])
    path = exp / "ladder_test" / "ladder.json"
    return status, json.loads(path.read_text()) if path.is_file() else None


def figures(ladder, metric):
    return {rung["name"]: rung["figures"][metric] for rung in ladder["rungs"]}


def test_every_rung_has_the_same_utterances_and_costs_what_it_adds(exp, caplog):
    status, ladder = build(exp, "--measures")
    assert status == 0 and ladder["num_utts"] == 4 and sorted(ladder["utterances"]) == list(SPOKEN)
    words = figures(ladder, "wer")
    assert list(words) == ["natural", "codec", "s2a", "chain_a", "chain_b"]
    assert {rung["n"] for rung in words.values()} == {4}
    assert [16 * rung["value"] for rung in words.values()] == [0, 1, 3, 8, 3]
    assert words["natural"]["change"] is None
    assert [16 * words[name]["change"]["value"] for name in ("codec", "s2a", "chain_a", "chain_b")] == [1, 2, 5, 0]
    assert [rung["above"] for rung in ladder["rungs"]] == [None, "natural", "codec", "s2a", "s2a"]
    assert words["chain_b"]["change"] == {"value": 0, "ci_low": 0, "ci_high": 0}, "its errors are those of S2A"
    assert words["chain_a"]["change"]["ci_high"] > words["chain_a"]["change"]["value"]
    assert "+31.2 from" in caplog.text and "[" not in caplog.text.partition("+31.2")[2].partition("\n")[0]
    assert "4 utterances at every rung" in caplog.text
    assert build(exp, "--measures")[0] == 0 and "is up to date" in caplog.text


def test_the_worst_are_those_that_t2s_spoils_most(exp):
    ladder = build(exp, "--measures", "--worst", "3")[1]
    assert ladder["worst"] == ["a-0", "b-3", "a-2"]
    worst = ladder["utterances"]["b-3"]["rungs"]
    assert [worst[rung["name"]]["word_errors"] for rung in ladder["rungs"]] == [0, 0, 0, 4, 0]
    assert worst["chain_a"]["text"] == "five" and worst["chain_a"]["figures"]["wer"] == 1


class PitchEncoder:
    """Knows a voice by its pitch."""

    family = "pitch"

    def describe(self):
        """As encoders do."""
        return {"model": "two frequencies", "sample_rate": RATE}

    def embed(self, samples_N):
        """Strengths of two frequencies, of length 1."""
        time_N = np.arange(len(samples_N)) / RATE
        strength_E = np.array([abs(np.exp(-2j * np.pi * pitch * time_N) @ samples_N) for pitch in (100, 220)])
        return strength_E / np.linalg.norm(strength_E)


def opinions(speech):
    """An opinion of every utterance but one that only the codec's rung holds in a file of its own."""
    found = Measurement("dnsmos", {"model": "a friend", "sample_rate": RATE})
    for place, (utt_id, path) in enumerate(speech.wavs.items()):
        if "silent" in path:
            found.left_out[utt_id] = f"{path} is silent"
        else:
            found.add(utt_id, 2 + place)
    return [found, Measurement("dnsmos_signal", {"model": "another"})]


def test_what_one_rung_cannot_be_judged_by_no_rung_is(exp, monkeypatch):
    monkeypatch.setattr(error_ladder, "missing_packages", lambda names, **_: [])
    monkeypatch.setattr(error_ladder, "load_encoder", lambda *_, **__: PitchEncoder())
    monkeypatch.setattr(error_ladder, "measure_naturalness", opinions)
    scp = exp / "codec" / "synth_test" / "wav.scp"
    silent = exp / "silent.wav"
    soundfile.write(silent, np.zeros(RATE), RATE)
    write_table(scp, read_table(scp) | {"b-3": str(silent)})
    ladder = build(exp)[1]
    voices = ["pitch_similarity", "pitch_similarity_to_other", "pitch_nearer_to_own"]
    assert ladder["metrics"] == ["wer", *voices, "dnsmos"]
    for metric, count in (("wer", 4), ("dnsmos", 3), ("pitch_similarity", 2)):
        assert {rung["n"] for rung in figures(ladder, metric).values()} == {count}, metric
    assert set(ladder["left_out"]["dnsmos"]) == {"b-3"} and ladder["left_out"]["dnsmos"]["b-3"].startswith("codec: ")
    assert set(ladder["left_out"]["pitch_similarity"]) == {"a-2", "b-3"}
    assert "is its own prompt" in ladder["left_out"]["pitch_similarity"]["a-2"]
    assert figures(ladder, "pitch_nearer_to_own")["chain_a"]["value"] == 1
    assert figures(ladder, "dnsmos")["s2a"]["change"]["value"] == 0
    assert ladder["settings"]["pitch_similarity"]["own_speaker"] == "prompt"


def test_without_the_extra_there_are_word_errors_and_the_way_to_the_rest(exp, monkeypatch, caplog):
    for package in ("resemblyzer", "speechmos"):
        monkeypatch.setitem(sys.modules, package, None)
    status, ladder = build(exp)
    assert status == 0 and set(ladder["settings"]) == {"wer"} and ladder["num_utts"] == 4
    assert ladder["not_measured"].keys() == {"similarity", "dnsmos"}
    assert all("tools/install.sh .venv dev metrics" in why for why in ladder["not_measured"].values())
    assert "the ladder goes without dnsmos" in caplog.text


def test_a_second_recogniser_whose_package_is_missing_is_refused(exp, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    status, ladder = build(exp, "--measures", "--recogniser", "pocketsphinx")
    assert status == 1 and ladder is None and "pocketsphinx is not installed" in caplog.text


@pytest.mark.parametrize(
    ("folder", "said"), [("synth_test", "lacks 1 utterances of"), ("synth_decode_test", "text lacks 1 utterances")]
)
def test_a_rung_that_lacks_utterances_is_named(exp, caplog, folder, said):
    table = exp / "codec" / folder / ("wav.scp" if folder == "synth_test" else "text")
    write_table(table, {utt_id: value for utt_id, value in read_table(table).items() if utt_id != "b-1"})
    status, ladder = build(exp, "--measures")
    assert status == 1 and ladder is None and said in caplog.text and "first b-1" in caplog.text


def test_the_command_offers_what_the_library_has():
    assert command.MEASURES == error_ladder.OF_AUDIO and command.NORMALISERS == TEXT_NORMALISERS
