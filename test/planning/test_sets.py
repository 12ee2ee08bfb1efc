"""Facts of sets: utterances and hours, from tokens or from the headers of audio."""

from pathlib import Path

import numpy as np
import pytest

from tokenchain_toolkit.data.audio import write_audio
from tokenchain_toolkit.data.kaldi import read_table, write_data_dir
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.planning import sets
from tokenchain_toolkit.planning.findings import FAIL, OK
from tokenchain_toolkit.planning.sets import describe_set, read_sets


@pytest.fixture
def data(tmp_path):
    """``data/`` with one set of ten utterances of one second each."""
    wavs = {f"ann-{number}": str(tmp_path / f"{number}.wav") for number in range(10)}
    for path in wavs.values():
        write_audio(Path(path), np.zeros(16000, np.float32), sample_rate=16000)
    same = {"texts": dict.fromkeys(wavs, "abc"), "speakers": dict.fromkeys(wavs, "ann")}
    write_data_dir(tmp_path / "data/train", wavs=wavs, **same)
    return tmp_path / "data"


def test_hours_come_from_the_headers_of_audio(data):
    (facts,) = read_sets(data, None)
    assert facts.num_utts == 10 and facts.hours == pytest.approx(10 / 3600) and not facts.is_sampled
    found = describe_set(facts, data)
    assert found.status == OK and "10 utterances" in found.found
    assert describe_set(facts, data, role="test").found == f"{found.found}; test"


def test_large_sets_are_sampled(data, monkeypatch):
    monkeypatch.setattr(sets, "SAMPLED_FILES", 5)
    (facts,) = read_sets(data, None)
    assert facts.is_sampled and len(facts.seconds) == 5 and len(facts.all_seconds()) == 10
    assert facts.hours == pytest.approx(10 / 3600) and "by 5 of its files" in describe_set(facts, data).found


def test_audio_that_cannot_be_read_fails(data):
    (data.parent / "3.wav").write_bytes(b"no audio")
    (facts,) = read_sets(data, None)
    found = describe_set(facts, data)
    assert found.status == FAIL and "ann-3" in found.found


def test_tokens_tell_durations_where_they_are_extracted(recipe, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train").symlink_to(recipe.root / "data")
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump/train").symlink_to(recipe.root / "dump")
    (facts,) = read_sets(tmp_path / "data", tmp_path / "dump")
    characters = sum(map(len, read_table(recipe.root / "data/text").values()))
    assert sum(facts.seconds.values()) == pytest.approx(6 * characters / 50)


def test_data_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "data/train").mkdir(parents=True)
    (tmp_path / "data/train/wav.scp").write_text("a x\na y\n")
    with pytest.raises(DataError, match="stands twice"):
        read_sets(tmp_path / "data", None)
