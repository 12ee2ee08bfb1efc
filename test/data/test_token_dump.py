"""Token dumps: what is written is read back, and damage is named."""

import pickle
import shutil

import kaldiio
import numpy as np
import pytest

from tokenchain_toolkit.data.frame_rates import FrameRates
from tokenchain_toolkit.data.manifest import new_manifest
from tokenchain_toolkit.data.token_dump import read_dump, write_arks, write_dump
from tokenchain_toolkit.errors import DataError


def a_manifest(with_codes=True, acoustic_rate=50.0):
    acoustic = {"kind": "spectral_rvq", "num_quantizers": 3, "frame_rate": acoustic_rate} if with_codes else None
    return new_manifest(semantic={"kind": "mfcc", "num_clusters": 50, "frame_rate": 50.0}, acoustic=acoustic)


def some_rows(lengths=(4, 1, 300), seed=0):
    random = np.random.default_rng(seed)
    return [
        (
            f"utt{index}",
            random.integers(0, 50, length).astype(np.int16),
            random.integers(0, 256, (length, 3)).astype(np.int16),
        )
        for index, length in enumerate(lengths)
    ]


def test_round_trip_from_another_directory_and_after_a_move(tmp_path, monkeypatch):
    rows = some_rows()
    assert write_dump(tmp_path / "dump", rows, manifest=a_manifest()) == 3
    shutil.move(tmp_path / "dump", tmp_path / "elsewhere")
    monkeypatch.chdir("/")
    dump = read_dump(tmp_path / "elsewhere", with_codes=True)
    assert dump.utt_ids == ["utt0", "utt1", "utt2"]
    assert dump.lengths.tolist() == [4, 1, 300]
    assert dump.offsets.dtype == np.int64 and dump.semantic.dtype == dump.codes.dtype == np.int16
    for index, (_, semantic_T, codes_TQ) in enumerate(rows):
        assert np.array_equal(dump.semantic_of(index), semantic_T)
        assert np.array_equal(dump.codes_of(index), codes_TQ)


def test_kaldiio_reads_the_scp_from_its_own_folder(tmp_path, monkeypatch):
    rows = some_rows()
    write_dump(tmp_path, rows, manifest=a_manifest())
    monkeypatch.chdir(tmp_path)
    arrays = kaldiio.load_scp("codes.scp")
    assert all(np.array_equal(arrays[utt_id], codes_TQ) for utt_id, _, codes_TQ in rows)


def test_the_semantic_tokens_of_960_hours_take_a_third_of_a_gibibyte(tmp_path):
    # LibriSpeech: 281,241 training utterances in 960.9 hours, ids such as 1034-121119-0005.
    utterances, frames = 281_241, 960.9 * 3600 * 50
    row = ("1034-121119-0005", np.zeros(round(frames / utterances), np.int16), None)
    write_dump(tmp_path, [row], manifest=a_manifest(False))
    assert (tmp_path / "semantic.ark").stat().st_size * utterances <= 0.35 * 2**30


def test_a_dump_without_codes_says_so(tmp_path):
    write_dump(tmp_path, [(utt_id, tokens, None) for utt_id, tokens, _ in some_rows()], manifest=a_manifest(False))
    with pytest.raises(DataError, match="without acoustic codes"):
        read_dump(tmp_path).codes_of(0)
    with pytest.raises(DataError, match="no acoustic codes"):
        read_dump(tmp_path, with_codes=True)


@pytest.mark.parametrize("name", ["semantic.scp", "codes.scp", "manifest.json", "semantic.ark", "codes.ark"])
def test_a_missing_file_is_named(tmp_path, name):
    write_dump(tmp_path, some_rows(), manifest=a_manifest())
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=name):
        read_dump(tmp_path, with_codes=True)


def test_lengths_that_differ_name_the_utterance(tmp_path):
    rows = some_rows()
    write_dump(tmp_path, rows, manifest=a_manifest())
    write_arks(tmp_path / "short", [(u, s[:9], c[:9]) for u, s, c in rows], rates=FrameRates(50, 50))
    shutil.copy(tmp_path / "short" / "codes.ark", tmp_path)
    shutil.copy(tmp_path / "short" / "codes.scp", tmp_path)
    with pytest.raises(DataError, match="utt2 has 300 semantic tokens at 50 Hz .6.00 s. and 9 frames"):
        read_dump(tmp_path, with_codes=True)


@pytest.mark.parametrize(("acoustic_rate", "frames"), [(75.0, 450), (12.5, 75)])
def test_reading_codes_of_another_rate_aligns_the_tokens_with_them(tmp_path, acoustic_rate, frames):
    semantic_T = np.arange(300, dtype=np.int16)
    row = ("utt", semantic_T, np.zeros((frames, 3), np.int16))
    write_dump(tmp_path, [row], manifest=a_manifest(acoustic_rate=acoustic_rate))
    aligned = read_dump(tmp_path, with_codes=True).semantic_of(0)
    assert len(aligned) == frames and np.array_equal(np.unique(aligned), semantic_T)
    assert np.array_equal(read_dump(tmp_path).semantic_of(0), semantic_T)


def test_other_utterances_in_the_codes_are_named(tmp_path):
    write_dump(tmp_path, some_rows(), manifest=a_manifest())
    lines = (tmp_path / "codes.scp").read_text().splitlines(keepends=True)
    (tmp_path / "codes.scp").write_text("".join(lines[:-1]))
    with pytest.raises(DataError, match="utt2"):
        read_dump(tmp_path, with_codes=True)


@pytest.mark.parametrize("semantic_T", [np.zeros(0, np.int16), np.zeros(3, np.int16)])
def test_writing_refuses_empty_and_unequal_rows(tmp_path, semantic_T):
    with pytest.raises(DataError, match="bad has"):
        write_dump(tmp_path, [("bad", semantic_T, np.zeros((2, 3), np.int16))], manifest=a_manifest())
    assert not list(tmp_path.glob("*.ark"))


def test_reading_refuses_an_empty_utterance(tmp_path):
    write_dump(tmp_path, some_rows((2,)), manifest=a_manifest(False))
    kaldiio.save_ark(str(tmp_path / "semantic.ark"), {"utt0": np.zeros(0, np.int16)}, write_function="numpy")
    with pytest.raises(DataError, match="utt0 is empty"):
        read_dump(tmp_path)


def test_a_truncated_ark_is_named(tmp_path):
    write_dump(tmp_path, some_rows(), manifest=a_manifest())
    ark = tmp_path / "semantic.ark"
    ark.write_bytes(ark.read_bytes()[:-20])
    with pytest.raises(DataError, match="utt2.*damaged"):
        read_dump(tmp_path)


class Bomb:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        """Opening the file is what a hostile pickle stands for here."""
        return (open, (str(self.path), "w"))


def test_pickles_in_an_ark_are_never_loaded(tmp_path):
    folder, mark = tmp_path / "dump", tmp_path / "exploded"
    write_dump(folder, some_rows((2,)), manifest=a_manifest(False))
    objects = np.array([Bomb(mark)], dtype=object)
    kaldiio.save_ark(str(folder / "semantic.ark"), {"utt0": objects}, write_function="numpy")
    with pytest.raises(DataError, match="damaged"):
        read_dump(folder)
    (folder / "semantic.ark").write_bytes(b"utt0 PKL" + pickle.dumps(Bomb(mark)))
    with pytest.raises(DataError, match="damaged"):
        read_dump(folder)
    assert not mark.exists()
