"""Units: runs and pieces can be undone exactly, and what is made of them is named."""

import numpy as np
import pytest

from tokenchain_toolkit.bin import convert_units, learn_units
from tokenchain_toolkit.data.manifest import new_manifest, read_manifest
from tokenchain_toolkit.data.token_dump import read_array_table, read_dump, write_dump
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.tokenizers.units import (
    LONGEST,
    UnitBpe,
    deduplicate,
    expand,
    learn_unit_bpe,
    mean_durations,
    typical_durations,
)

CLUSTERS = 20


def sequences(count=30, seed=0):
    """Words of three clusters, each held for some frames: BPE has something to find."""
    random = np.random.default_rng(seed)
    words = random.integers(0, CLUSTERS - 1, (6, 3))
    return [
        np.repeat(words[random.integers(0, 6, 8)].ravel(), random.integers(1, 5, 24)).astype(np.int16)
        for _ in range(count)
    ]


@pytest.mark.parametrize("semantic", [[7], [7, 7, 7], [1, 2, 3], [1, 1, 2, 1, 1]])
def test_runs_are_undone_exactly(semantic):
    semantic_T = np.array(semantic, np.int16)
    units_U, durations_U = deduplicate(semantic_T)
    assert (units_U[1:] != units_U[:-1]).all() and durations_U.sum() == len(semantic_T)
    assert units_U.dtype == durations_U.dtype == np.int16
    assert np.array_equal(expand(units_U, durations_U), semantic_T)


def test_a_run_longer_than_int16_becomes_several_units():
    semantic_T = np.concatenate([np.zeros(2 * LONGEST + 5, np.int16), np.ones(3, np.int16)])
    units_U, durations_U = deduplicate(semantic_T)
    assert units_U.tolist() == [0, 0, 0, 1] and durations_U.tolist() == [LONGEST, LONGEST, 5, 3]
    assert np.array_equal(expand(units_U, durations_U), semantic_T)


@pytest.mark.parametrize("durations", [[1], [1, 0], [1, 1, 1]])
def test_durations_that_do_not_fit_are_refused(durations):
    with pytest.raises(DataError, match="2 units"):
        expand(np.array([3, 4]), np.array(durations))


def test_typical_durations_keep_the_mean_pace():
    units = [np.array([0, 1, 0, 1]), np.array([2, 0])]
    durations = [np.array([1, 3, 2, 3]), np.array([4, 1])]
    means_K = mean_durations(units, durations, num_clusters=4)
    assert means_K.tolist() == pytest.approx([4 / 3, 3, 4, 14 / 6])
    drawn_U = typical_durations(np.zeros(300, np.int64), means_K)
    assert drawn_U.sum() == 400 and set(drawn_U.tolist()) == {1, 2}
    assert typical_durations(np.array([0, 0]), np.array([0.2])).tolist() == [1, 1]


def test_pieces_are_undone_exactly_and_are_fewer():
    units = [deduplicate(semantic_T)[0] for semantic_T in sequences()]
    bpe = learn_unit_bpe(units, num_clusters=CLUSTERS, vocab_size=CLUSTERS + 12)
    assert bpe.vocab_size == CLUSTERS + 12
    for units_U in [*units, np.array([CLUSTERS - 1, 0, CLUSTERS - 1])]:  # the last cluster stands in no sequence
        pieces_P = bpe.encode(units_U)
        assert pieces_P.min() >= 0 and pieces_P.max() < bpe.vocab_size
        assert np.array_equal(bpe.decode(pieces_P), units_U)
    assert sum(len(bpe.encode(units_U)) for units_U in units) < 0.6 * sum(map(len, units))
    assert np.array_equal(UnitBpe(bpe.model).encode(units[0]), bpe.encode(units[0]))


@pytest.mark.parametrize(("size", "words"), [(CLUSTERS - 1, "at least the 20"), (5000, "cannot learn so many")])
def test_impossible_sizes_are_named(size, words):
    units = [deduplicate(semantic_T)[0] for semantic_T in sequences()]
    with pytest.raises(ConfigError, match=words):
        learn_unit_bpe(units, num_clusters=CLUSTERS, vocab_size=size)


@pytest.fixture
def frames(tmp_path):
    """A dump of frames, as a stage leaves it."""
    manifest = new_manifest(
        semantic={"kind": "mfcc", "num_clusters": CLUSTERS, "frame_rate": 50.0, "deduplicated": False}, acoustic=None
    )
    rows = [(f"utt{index:02d}", semantic_T, None) for index, semantic_T in enumerate(sequences())]
    write_dump(tmp_path / "frames", rows, manifest=manifest)
    (tmp_path / "frames" / ".done").write_text("{}")
    return tmp_path / "frames"


@pytest.mark.parametrize("size", [0, CLUSTERS + 10])
def test_a_dump_becomes_units_and_frames_again(frames, tmp_path, size):
    units, made, back = tmp_path / "units", tmp_path / "made", tmp_path / "back"
    assert learn_units.main(["--dump", str(frames), "--out", str(units), f"bpe_vocab_size={size}"]) == 0
    common = ["--units", str(units), "--dump"]
    assert convert_units.main([*common, str(frames), "--out", str(made)]) == 0
    assert convert_units.main([*common, str(made), "--out", str(back), "--expand"]) == 0
    before, after = read_dump(frames), read_dump(back)
    assert after.utt_ids == before.utt_ids and np.array_equal(after.semantic, before.semantic)
    assert after.manifest["semantic"] == before.manifest["semantic"]
    semantic = read_manifest(made / "manifest.json")["semantic"]
    assert semantic["deduplicated"] and semantic["num_clusters"] == (size or CLUSTERS)
    durations = read_array_table(made / "durations.scp")
    assert [len(semantic_T) for semantic_T in sequences()] == [durations_U.sum() for durations_U in durations.values()]


def test_units_without_durations_are_given_typical_ones(frames, tmp_path):
    units, made, back = tmp_path / "units", tmp_path / "made", tmp_path / "back"
    learn_units.main(["--dump", str(frames), "--out", str(units), "bpe_vocab_size=30"])
    convert_units.main(["--units", str(units), "--dump", str(frames), "--out", str(made)])
    for name in ("durations.scp", ".outputs"):  # as of units that T2S has drawn
        (made / name).unlink()
    convert_units.main(["--units", str(units), "--dump", str(made), "--out", str(back), "--expand"])
    before, after = read_dump(frames), read_dump(back)
    assert abs(len(after.semantic) / len(before.semantic) - 1) < 0.02
    for index in range(len(before)):
        units_U = deduplicate(before.semantic_of(index))[0]
        assert np.array_equal(deduplicate(after.semantic_of(index))[0], units_U)


def test_units_are_not_mixed_up_with_frames_or_other_units(frames, tmp_path, caplog):
    units, made = tmp_path / "units", tmp_path / "made"
    learn_units.main(["--dump", str(frames), "--out", str(units), "bpe_vocab_size=30"])
    convert_units.main(["--units", str(units), "--dump", str(frames), "--out", str(made)])
    assert learn_units.main(["--dump", str(made), "--out", str(tmp_path / "twice")]) == 1
    assert "holds units, not frames" in caplog.text
    argv = ["--units", str(units), "--dump", str(frames), "--out", str(tmp_path / "wrong"), "--expand"]
    assert convert_units.main(argv) == 1
    assert "semantic.deduplicated: True against False" in caplog.text
