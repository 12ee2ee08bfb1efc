"""Stage stamps: the four states, and what each does to the folder."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tokenchain_toolkit.data.stamp import StageStamp, changed_inputs
from tokenchain_toolkit.errors import DataError


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.txt"
    path.write_text("one")
    return path


def stamp_of(tmp_path, source, **config):
    return StageStamp(tmp_path / "out", inputs=[source], config=config)


def test_a_stage_goes_from_new_over_partial_to_up_to_date(tmp_path, source):
    stamp = stamp_of(tmp_path, source, lr=0.1)
    assert stamp.state() == "new" and stamp.begin()
    assert stamp_of(tmp_path, source, lr=0.1).state() == "partial"
    stamp.finish()
    again = stamp_of(tmp_path, source, lr=0.1)
    assert again.state() == "up_to_date" and not again.begin()


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("what", ["input", "config"])
def test_another_input_or_config_makes_it_stale(tmp_path, source, finished, what):
    stamp = stamp_of(tmp_path, source, lr=0.1)
    stamp.begin()
    (stamp.folder / "result").write_text("old")
    if finished:
        stamp.finish()
    if what == "input":
        source.write_text("two")
    changed = stamp_of(tmp_path, source, lr=0.1 if what == "input" else 0.2)
    assert changed.state() == "stale" and changed.begin()
    assert not (stamp.folder / "result").exists()
    assert changed.state() == "partial"


def test_a_killed_stage_keeps_its_output_and_overwrite_does_not(tmp_path, source):
    stamp = stamp_of(tmp_path, source)
    stamp.begin()
    (stamp.folder / "half").write_text("done")
    assert stamp_of(tmp_path, source).begin() and (stamp.folder / "half").exists()
    stamp.finish()
    assert stamp_of(tmp_path, source).begin(overwrite=True) and not (stamp.folder / "half").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_no_stage_made_is_left_alone(tmp_path, source, overwrite):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(DataError, match="out holds files that no stage made"):
        stamp_of(tmp_path, source).begin(overwrite=overwrite)
    assert (tmp_path / "out" / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_output_of_another_command_is_left_alone(tmp_path, source, overwrite):
    model = stamp_of(tmp_path, source, optim={"lr": 0.1}, training={"max_epochs": 2})
    model.begin()
    (model.folder / "model.safetensors").write_text("weights")
    model.finish()
    speech = stamp_of(tmp_path, source, rows=["abc"])
    with pytest.raises(DataError, match=r"holds what another command made \(its settings are optim, training\)"):
        speech.begin(overwrite=overwrite)
    assert (model.folder / "model.safetensors").read_text() == "weights" and model.state() == "up_to_date"
    assert stamp_of(tmp_path, source, optim={"lr": 0.2}, unpaired={}).begin(), "a setting more is the same stage"


def test_a_missing_input_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere.txt is missing"):
        stamp_of(tmp_path, tmp_path / "nowhere.txt")


def test_a_change_travels_down(tmp_path, source):
    first = stamp_of(tmp_path, source)
    first.begin()
    first.finish()

    def second():
        return StageStamp(tmp_path / "second", inputs=[first.folder / ".done"], config={})

    second().begin()
    second().finish()
    assert second().state() == "up_to_date"
    source.write_text("two")
    redone = stamp_of(tmp_path, source)
    redone.begin()
    redone.finish()
    assert second().state() == "stale"


def test_the_same_done_once_more_leaves_what_follows_up_to_date(tmp_path, source, monkeypatch):
    first = stamp_of(tmp_path, source)
    first.begin()
    first.finish()
    second = StageStamp(tmp_path / "second", inputs=[first.folder / ".done"], config={})
    second.begin()
    second.finish()
    written = (first.folder / ".done").read_bytes()
    first.begin(overwrite=True)
    monkeypatch.setattr(first, "_began", first._began - 100)
    first.finish()
    assert (first.folder / ".done").read_bytes() != written
    assert StageStamp(tmp_path / "second", inputs=[first.folder / ".done"], config={}).state() == "up_to_date"
    assert changed_inputs(second.record, root=tmp_path) == {}


def test_what_is_made_anew_says_why(tmp_path, source, caplog):
    stamp_of(tmp_path, source, optim={"lr": 0.1, "name": "adam"}).begin()
    source.write_text("two")
    with caplog.at_level("INFO"):
        stamp_of(tmp_path, source, optim={"lr": 0.2, "name": "adam"}).begin()
    assert f"out is made anew: optim.lr, {source} changed" in caplog.text


def test_other_ranks_wait_for_rank_0_and_see_what_it_saw(tmp_path):
    config, folder = {"a": 1}, tmp_path / "out"
    first, second = (StageStamp(folder, inputs=[], config=config) for _ in range(2))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.begin_on_rank, 1)
        assert first.begin_on_rank(0)
        assert waiting.result(timeout=30)
    first.finish()
    assert not second.begin_on_rank(1)
