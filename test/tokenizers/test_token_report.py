"""The token report with audio: distortions and the codec's round trip of a learned tokenizer."""

import pytest

from tokenchain_toolkit.bin import report_tokens as command
from tokenchain_toolkit.config.units import UnitsConfig
from tokenchain_toolkit.data.kaldi import write_data_dir
from tokenchain_toolkit.data.shards import Workers
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.tokenizers.extraction import extract_tokens
from tokenchain_toolkit.tokenizers.unit_dump import learn_units, make_units


@pytest.fixture
def arguments(tokenizer_folder, wavs, tmp_path):
    """Options that name a dump, its data and the output folder."""
    extract_tokens(tokenizer_folder, wavs, tmp_path / "dump", workers=Workers())
    speakers = {utt_id: f"speaker{index % 2}" for index, utt_id in enumerate(wavs)}
    write_data_dir(tmp_path / "data", wavs=wavs, texts=dict.fromkeys(wavs, "a b"), speakers=speakers)
    return ["--dump", str(tmp_path / "dump"), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]


def test_audio_is_distorted_and_rebuilt(arguments, tokenizer_folder, tmp_path):
    pytest.importorskip("pesq", reason="left out: the extra 'metrics' is not installed")
    assert command.main([*arguments, "--tokenizer", str(tokenizer_folder), "--max_utts", "4"]) == 0
    [row] = read_json(tmp_path / "out" / "tokens.json")
    measures = row["measures"]
    distances = {name: value for name, value in measures.items() if name.startswith("unit edit distance")}
    assert len(distances) == 5 and all(value >= 0 for value in distances.values())
    assert distances["unit edit distance, noise 20 dB"] <= distances["unit edit distance, noise 10 dB"]
    assert 0 < measures["STOI"] < 1 and measures["mel distance (dB)"] > 0
    assert "speaker probe, accuracy" not in measures
    assert "| STOI ↑ |" in (tmp_path / "out" / "tokens.md").read_text(encoding="utf-8")


def test_options_that_do_not_fit_are_named(arguments, tokenizer_folder, tmp_path, caplog):
    assert command.main([*arguments, "--tokenizer", str(tokenizer_folder), str(tokenizer_folder)]) == 1
    assert "--tokenizer names 2 folders for 1 dumps" in caplog.text
    assert command.main([*arguments, "--asr", str(tmp_path)]) == 1 and "needs --tokenizer" in caplog.text
    assert command.main([*arguments[:2], *arguments[4:], "--probes"]) == 1 and "texts of --data" in caplog.text


def test_a_set_too_small_for_the_probes_is_reported_without_them(arguments, tmp_path, caplog):
    assert command.main([*arguments, "--probes"]) == 0
    assert "left out of the report: the content probe needs ten utterances" in caplog.text
    [row] = read_json(tmp_path / "out" / "tokens.json")
    assert "mean run (frames)" in row["measures"] and "content probe, CER" not in row["measures"]


def test_units_have_no_times_to_report(arguments, tmp_path, caplog):
    learn_units(tmp_path / "dump", tmp_path / "units", config=UnitsConfig())
    make_units(tmp_path / "units", tmp_path / "dump", tmp_path / "made")
    assert command.main(["--dump", str(tmp_path / "made"), "--out", str(tmp_path / "out")]) == 1
    assert "made holds units" in caplog.text
