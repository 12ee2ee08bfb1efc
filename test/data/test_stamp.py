"""Stage stamps: the four states, and what each does to the folder."""

import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tokenchain_toolkit.data import stamp as stamp_module
from tokenchain_toolkit.data.stage_folder import put_back
from tokenchain_toolkit.data.stamp import StageStamp, changed_inputs, make_output
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
    stamp.finish() if finished else stamp.give_up()
    if what == "input":
        source.write_text("two")
    changed = stamp_of(tmp_path, source, lr=0.1 if what == "input" else 0.2)
    assert changed.state() == "stale" and changed.begin()
    assert not (stamp.folder / "result").exists()
    assert changed.state() == "partial"


@pytest.mark.parametrize("content", ["", "[]", "{half"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_a_damaged_stamp_is_left_alone(tmp_path, source, content, overwrite):
    stamp = stamp_of(tmp_path, source)
    stamp.begin()
    stamp.finish()
    (stamp.folder / ".done").write_text(content)
    (stamp.folder / "mine").touch()
    with pytest.raises(DataError, match=r"stamp in .* is damaged or another program's.*remove the folder"):
        stamp_of(tmp_path, source).begin(overwrite=overwrite)
    assert (stamp.folder / "mine").exists()


def test_a_killed_stage_keeps_its_output_and_overwrite_does_not(tmp_path, source):
    stamp = stamp_of(tmp_path, source)
    stamp.begin()
    (stamp.folder / "half").write_text("done")
    stamp.give_up()
    again = stamp_of(tmp_path, source)
    assert again.begin() and (stamp.folder / "half").exists()
    again.finish()
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
    with pytest.raises(DataError, match=r"holds what another command made \(.*, with optim, training settings\)"):
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


def finished(tmp_path, source, text, **config):
    """A stage that has run to its end."""
    stamp = stamp_of(tmp_path, source, **config)
    stamp.begin()
    (stamp.folder / "model").write_text(text)
    stamp.finish()
    return stamp


def test_what_is_complete_stays_until_its_successor_is(tmp_path, source, caplog):
    old = finished(tmp_path, source, "old", lr=0.1)
    new = stamp_of(tmp_path, source, lr=0.2)
    assert new.begin() and not (old.folder / "model").exists()
    (new.folder / "half").write_text("")
    new.give_up()
    kept = old.folder / ".before" / "model"
    assert kept.read_text() == "old" and f"{old.folder / '.before'} is what was there before" in caplog.text
    other = stamp_of(tmp_path, source, lr=0.3)
    assert other.begin() and kept.read_text() == "old", "a run that was ended is no reason to lose what was complete"
    assert not (new.folder / "half").exists()
    (other.folder / "model").write_text("new")
    other.finish()
    assert not kept.exists() and (old.folder / "model").read_text() == "new" and other.state() == "up_to_date"


def test_what_was_complete_is_taken_back_when_it_is_asked_for_again(tmp_path, source):
    old = finished(tmp_path, source, "old", lr=0.1)
    new = stamp_of(tmp_path, source, lr=0.2)
    new.begin()
    (new.folder / "half").write_text("")
    new.give_up()
    assert not stamp_of(tmp_path, source, lr=0.1).begin()
    assert old.state() == "up_to_date" and (old.folder / "model").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source.txt"]


@pytest.mark.parametrize("killed_before", ["mkdir", "second move"])
def test_a_kill_while_it_is_set_aside_loses_nothing(tmp_path, source, killed_before):
    old = finished(tmp_path, source, "old", lr=0.1)
    old.folder.rename(tmp_path / ".out.before")
    if killed_before == "second move":
        old.folder.mkdir()
    new = stamp_of(tmp_path, source, lr=0.2)
    assert new.begin() and (old.folder / ".before" / "model").read_text() == "old"
    new.give_up()
    assert old.state() == "up_to_date" and (old.folder / "model").read_text() == "old"
    old.folder.rename(tmp_path / ".out.before")
    assert not stamp_of(tmp_path, source, lr=0.1).begin() and (old.folder / "model").read_text() == "old"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_stage_that_fails_before_it_has_made_anything_leaves_what_was_there(tmp_path, source, overwrite):
    old = finished(tmp_path, source, "old", lr=0.1)

    def refuse():
        raise DataError("an utterance has no text")

    with pytest.raises(DataError, match="no text"):
        make_output(old.folder, refuse, inputs=[source], config={"lr": 0.1 if overwrite else 0.2}, overwrite=overwrite)
    assert old.state() == "up_to_date" and (old.folder / "model").read_text() == "old"
    with pytest.raises(DataError, match="no text"):
        make_output(tmp_path / "fresh", refuse, inputs=[source], config={})
    assert not (tmp_path / "fresh").exists()


def test_an_output_that_is_gone_is_made_anew_and_missed_by_what_needs_it(tmp_path, source, caplog):
    stamp = finished(tmp_path, source, "weights")
    (stamp.folder / "checkpoints").mkdir()
    (stamp.folder / "model").unlink()
    assert stamp.state() == "damaged"
    with pytest.raises(DataError, match=r"out/model is gone, and .*next is made from it; run the stage that made it"):
        StageStamp(tmp_path / "next", inputs=[stamp.folder / ".done"], config={})
    with caplog.at_level("INFO"):
        assert stamp_of(tmp_path, source).begin()
    assert "model is gone" in caplog.text


def test_weights_that_are_cut_short_are_made_anew_and_tables_are_not_looked_at(tmp_path, source, caplog):
    stamp = stamp_of(tmp_path, source)
    stamp.begin()
    weights, table = stamp.folder / "model.safetensors", stamp.folder / "text"
    weights.write_text("weights")
    table.write_text("a one\n")
    stamp.finish()
    table.write_text("a\n")
    assert stamp.state() == "up_to_date"
    weights.write_text("weigh")
    assert stamp.state() == "damaged"
    with pytest.raises(DataError, match=r"model\.safetensors is cut short, and .*next is made from it"):
        StageStamp(tmp_path / "next", inputs=[stamp.folder / ".done"], config={})
    with caplog.at_level("INFO"):
        assert stamp_of(tmp_path, source).begin()
    assert "model.safetensors is cut short" in caplog.text


def test_checkpoints_and_logs_may_go(tmp_path, source):
    stamp = stamp_of(tmp_path, source)
    stamp.begin()
    for name in ("model", "checkpoints/last.ckpt", "logs/shard.log", "events.out.tfevents.1"):
        (stamp.folder / name).parent.mkdir(exist_ok=True)
        (stamp.folder / name).write_text("")
    stamp.finish()
    shutil.rmtree(stamp.folder / "checkpoints")
    shutil.rmtree(stamp.folder / "logs")
    (stamp.folder / "events.out.tfevents.1").unlink()
    assert stamp.state() == "up_to_date"


def test_files_of_folders_made_together_are_missed_too(tmp_path, source):
    stamp, other = stamp_of(tmp_path, source), tmp_path / "train"
    stamp.begin()
    other.mkdir()
    (other / "wav.scp").write_text("")
    stamp.finish(also=[other])
    assert stamp.state() == "up_to_date"
    (other / "wav.scp").unlink()
    assert stamp.state() == "damaged"


@pytest.mark.parametrize(
    ("folder", "stage"),
    [
        ("dump/mfcc/train", "extract_tokens"),
        ("data/train", "data"),
        ("data/token_list/mfcc", "train_bpe"),
        ("exp/asr", "train_asr"),
        ("exp/chain_st_argmax/t2s", "train_chain"),
        ("exp/asr/decode_test", "decode_asr"),
        ("exp/tokenizer_mfcc", "learn_tokenizer"),
    ],
)
def test_a_missing_input_names_the_stage_that_makes_it(tmp_path, folder, stage):
    with pytest.raises(DataError, match=f"{folder}/file is missing, .* run the stage {stage} first"):
        StageStamp(tmp_path / "out", inputs=[tmp_path / folder / "file"], config={})


def test_a_file_or_the_folder_above_in_the_place_of_a_folder(tmp_path):
    weights = tmp_path / "exp/chain/asr/model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.touch()
    for given, told in (
        (tmp_path / "exp/chain", f"{tmp_path}/exp/chain/model.safetensors is missing; name {weights.parent} instead"),
        (weights, f"{weights} is a file; name its folder, {weights.parent}, instead"),
    ):
        with pytest.raises(DataError, match=re.escape(told)):
            StageStamp(tmp_path / "out", inputs=[given / "model.safetensors"], config={})


def test_two_runs_in_one_folder_are_refused(tmp_path, source, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-c"])  # as in the second process, so that both are one command
    stamp = stamp_of(tmp_path, source)
    stamp.begin()
    code = (
        "import sys; from pathlib import Path; from tokenchain_toolkit.data.stamp import StageStamp\n"
        "StageStamp(Path(sys.argv[1]) / 'out', inputs=[Path(sys.argv[1]) / 'source.txt'], config={}).begin()"
    )
    second = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert f"another run is at work in {stamp.folder} (process {os.getpid()} on " in second.stderr
    stamp.give_up()
    third = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert third.returncode == 0, third.stderr


@pytest.mark.parametrize("overwrite", [False, True])
def test_speech_of_other_texts_is_not_replaced_unless_asked(tmp_path, source, overwrite):
    old = finished(tmp_path, source, "speech", rows=[("a", "good morning")], top_k=5)
    new = stamp_of(tmp_path, source, rows=[("a", "good night")], top_k=5)
    if overwrite:
        assert new.begin(overwrite=True, subject="rows")
        return
    with pytest.raises(DataError, match="out holds what was made of other rows; name another folder, or add --over"):
        new.begin(subject="rows")
    assert (old.folder / "model").read_text() == "speech" and old.state() == "up_to_date"
    assert stamp_of(tmp_path, source, rows=[("a", "good morning")], top_k=9).begin(subject="rows"), "it is stale"


@pytest.mark.parametrize("config", [{}, {"model": 1, "optim": 2}])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_command_says_whose_output_it_is(tmp_path, source, monkeypatch, config, overwrite):
    monkeypatch.setattr(sys, "argv", ["/somewhere/tokenchain_toolkit/bin/train_t2s.py"])
    model = finished(tmp_path, source, "weights", **config)
    monkeypatch.setattr(sys, "argv", ["/elsewhere/tokenchain_toolkit/bin/extract_tokens.py"])
    source.write_text("changed")
    with pytest.raises(DataError, match=r"out holds what another command made \(train_t2s, with"):
        stamp_of(tmp_path, source, **config).begin(overwrite=overwrite)
    assert (model.folder / "model").read_text() == "weights"
    monkeypatch.setattr(sys, "argv", ["/elsewhere/tokenchain_toolkit/bin/train_t2s.py"])
    assert stamp_of(tmp_path, source, **config).begin()


def test_sets_that_are_there_already_are_not_written_over(tmp_path, source):
    theirs = tmp_path / "train"
    theirs.mkdir()
    (theirs / "text").write_text("mine")
    with pytest.raises(DataError, match="train holds files that no stage made"):
        stamp_of(tmp_path, source).begin(also=[theirs])
    stamp = stamp_of(tmp_path, source)
    assert stamp.begin()
    stamp.give_up()


def test_a_request_to_end_waits_until_what_was_there_is_back(tmp_path, source, monkeypatch):
    old = finished(tmp_path, source, "old", lr=0.1)
    new = stamp_of(tmp_path, source, lr=0.2)
    new.begin()

    def interrupted(folder):
        os.kill(os.getpid(), signal.SIGINT)
        put_back(folder)

    monkeypatch.setattr(stamp_module, "put_back", interrupted)
    with pytest.raises(KeyboardInterrupt):
        new.give_up()
    assert old.state() == "up_to_date" and (old.folder / "model").read_text() == "old"
