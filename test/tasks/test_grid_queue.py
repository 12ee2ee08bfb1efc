"""Working off pieces: after what they need, whatever becomes of the others, in this process or in jobs."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tokenchain_toolkit.data.shards import Workers
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import write_text
from tokenchain_toolkit.tasks.grid_queue import minutes, to_do, work_off
from tokenchain_toolkit.tasks.grid_work import Work


@pytest.fixture
def make(tmp_path):
    """A function that makes a piece that copies what it needs behind its own name, or ends in some way."""

    # Inside a function, so that a job's process is given the class itself; it cannot import this file.
    @dataclass(frozen=True)
    class Piece(Work):
        end: str = "well"

        def given(self):
            return []

        def made(self):
            return [self.folder.parent / name / "text" for name in self.needs]

        def settings(self):
            return {"name": self.name}

        def perform(self):
            if self.end == "user":
                raise DataError("no such data; get some")
            if self.end == "bug":
                raise ValueError("two\nlines")
            if self.end == "killed":
                os._exit(9)
            write_text(self.folder / "text", "".join(path.read_text() for path in self.made()) + self.name)

    def build(name, *needs, end="well"):
        return Piece(name, tmp_path / name, needs, end)

    return build


def test_a_piece_comes_after_what_it_needs_and_one_that_failed_stops_only_what_needs_it(make, tmp_path, caplog):
    caplog.set_level("INFO", logger="tokenchain_toolkit")
    plan = [make("a"), make("bad", end="user"), make("odd", end="bug"), make("b", "a"), make("c", "b", "bad")]
    plan += [make("d", "c"), make("e", "a", "b")]
    failed = work_off(plan, logs=tmp_path / "logs", workers=Workers())
    assert failed == {
        "bad": "no such data; get some",
        "odd": "ValueError: two lines",
        "c": "it needs bad, which failed",
        "d": "it needs c, which failed",
    }
    assert (tmp_path / "e" / "text").read_text() == "aabe"
    assert not (tmp_path / "c").exists()
    assert "e done in 0 s; 7 of 7" in caplog.text


def test_a_job_that_is_killed_is_named_with_its_log_and_stops_no_other(make, tmp_path):
    plan = [make("a"), make("dead", end="killed"), make("c", "dead")]
    failed = work_off(plan, logs=tmp_path / "logs", workers=Workers(num_jobs=2))
    assert failed.keys() == {"dead", "c"} and (tmp_path / "a" / "text").read_text() == "a"
    log = failed["dead"].partition("the log is ")[2]
    assert "killed" in failed["dead"] and Path(log).is_file()


def test_only_what_is_missing_or_stale_and_what_needs_it_is_to_do(make, tmp_path):
    plan = [make("a"), make("b", "a"), make("c"), make("d", "b", "c")]
    assert to_do(plan) == plan
    work_off(plan, logs=tmp_path / "logs", workers=Workers())
    assert to_do(plan) == []
    assert to_do(plan, overwrite=True) == plan
    shutil.rmtree(tmp_path / "b")
    assert [work.name for work in to_do(plan)] == ["b", "d"]
    work_off(to_do(plan), logs=tmp_path / "logs", workers=Workers())
    (tmp_path / "c" / "text").write_text("changed")
    assert [work.name for work in to_do(plan)] == ["d"]


def test_what_is_up_to_date_is_redone_only_when_asked(make, tmp_path):
    work_off([make("a")], logs=tmp_path / "logs", workers=Workers())
    (tmp_path / "a" / "text").write_text("changed")
    work_off([make("a")], logs=tmp_path / "logs", workers=Workers())
    assert (tmp_path / "a" / "text").read_text() == "changed"
    work_off([make("a")], logs=tmp_path / "logs", workers=Workers(), overwrite=True)
    assert (tmp_path / "a" / "text").read_text() == "a"


def test_time_spans_are_readable():
    assert [minutes(seconds) for seconds in (3.2, 119, 600, 9000)] == ["3 s", "119 s", "10 min", "2.5 h"]
