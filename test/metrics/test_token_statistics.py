"""Statistics of tokens against what can be counted by hand."""

import numpy as np
import pytest

from tokenchain_toolkit.bin import report_tokens
from tokenchain_toolkit.data.manifest import write_manifest
from tokenchain_toolkit.data.token_dump import read_dump, write_dump
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.metrics.phones import agreement_of, phone_agreement, read_phones
from tokenchain_toolkit.metrics.token_statistics import codebook_statistics, run_lengths


def test_a_codebook_used_evenly_has_the_entropy_of_its_used_entries():
    found = codebook_statistics(np.array([0, 1, 2, 3] * 5), size=6, frame_rate=50.0)
    assert found.entropy_bits == pytest.approx(2) and found.perplexity == pytest.approx(4)
    assert found.dead == 2 and found.bits_per_second == pytest.approx(100)


def test_a_constant_stream_carries_nothing():
    found = codebook_statistics(np.zeros(9, np.int16), size=3, frame_rate=50.0)
    assert found.entropy_bits == 0 and found.perplexity == 1 and found.dead == 2


def test_runs_end_with_their_utterance():
    tokens_N = np.array([1, 1, 2, 2, 2, 2, 3])
    assert run_lengths(tokens_N, np.array([0, 4, 4, 7])).tolist() == [2, 2, 2, 1]
    assert run_lengths(tokens_N[:0], np.array([0])).tolist() == []


def test_tokens_that_name_the_phone_agree_fully_and_independent_ones_not_at_all():
    named = agreement_of(np.array([[5, 5, 0], [0, 0, 10]]))
    assert named.phone_purity == 1 and named.cluster_purity == pytest.approx(15 / 20)
    assert named.pnmi == pytest.approx(1) and named.frames == 20
    independent = agreement_of(np.array([[6, 6], [3, 3]]))
    assert independent.pnmi == pytest.approx(0, abs=1e-9) and independent.phone_purity == pytest.approx(12 / 18)


def test_a_broken_line_of_phones_is_named(tmp_path):
    (tmp_path / "phones").write_text("a 0.0 0.1 x\na 0.1\n")
    with pytest.raises(DataError, match="phones:2"):
        read_phones(tmp_path / "phones")


@pytest.fixture
def dump(tmp_path):
    rows = [("a", np.array([0, 0, 1, 1], np.int16), np.zeros((4, 2), np.int16))]
    rows.append(("b", np.array([1, 1], np.int16), np.ones((2, 2), np.int16)))
    semantic = {"num_clusters": 3, "frame_rate": 50.0}
    acoustic = {"num_quantizers": 2, "codebook_size": 4, "frame_rate": 50.0}
    manifest = {"format": 1, "semantic": semantic, "acoustic": acoustic}
    write_dump(tmp_path / "dump", rows, manifest=manifest)
    write_manifest(tmp_path / "dump" / "manifest.json", manifest)
    return tmp_path / "dump"


def test_the_command_writes_table_values_and_plot(dump, tmp_path):
    (tmp_path / "phones").write_text("a 0.0 0.04 x\na 0.04 0.08 y\nb 0.0 0.04 y\n")
    out = tmp_path / "out"
    assert report_tokens.main(["--dump", str(dump), "--data", str(tmp_path), "--out", str(out)]) == 0
    [row] = read_json(out / "tokens.json")
    measures = row["measures"]
    assert measures["phone purity"] == measures["cluster purity"] == 1 and measures["PNMI"] == pytest.approx(1)
    assert measures["mean run (frames)"] == 2 and "PESQ" not in measures
    assert set(row["codebooks"]) == {"semantic", "quantizer 0", "quantizer 1"}
    assert row["codebooks"]["semantic"]["dead"] == 1
    assert "| quantizer 1 | 4 | 2 |" in (out / "tokens.md").read_text()
    assert (out / "tokens.png").read_bytes().startswith(b"\x89PNG")


def test_frames_outside_all_phones_are_left_out(dump):
    intervals = {"a": [(0.06, 0.08, "y"), (0.02, 0.04, "x")], "b": []}
    assert phone_agreement(read_dump(dump), intervals, frame_rate=50.0).frames == 2


def test_phones_of_another_set_are_noticed(dump, tmp_path, caplog):
    (tmp_path / "phones").write_text("z 0.0 0.04 x\n")
    assert report_tokens.main(["--dump", str(dump), "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "no utterance of the dump has phones" in caplog.text
