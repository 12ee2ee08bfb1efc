"""Shards: only what is missing runs, in this process or in jobs, and a job's own message comes back."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.data.shards import Shard, Workers, make_executor, run_shards, submit
from tokenchain_toolkit.errors import ConfigError, TokenChainError
from tokenchain_toolkit.files import write_text


def writing_shards(folder, count=3):
    return [
        Shard(name=f"s{index}", arguments={"path": folder / f"{index}.txt", "text": "x"}, outputs=(f"{index}.txt",))
        for index in range(count)
    ]


@pytest.mark.parametrize("num_jobs", [1, 2])
def test_all_shards_run_once(tmp_path, num_jobs):
    workers = Workers(num_jobs=num_jobs)
    assert run_shards(write_text, writing_shards(tmp_path), folder=tmp_path, workers=workers) == 3
    assert len(list(tmp_path.glob("*.txt"))) == 3
    assert run_shards(write_text, writing_shards(tmp_path), folder=tmp_path, workers=workers) == 0


@pytest.mark.parametrize("lost", ["1.txt", ".s1.done"])
def test_a_shard_without_its_file_or_marker_runs_again(tmp_path, lost):
    run_shards(write_text, writing_shards(tmp_path), folder=tmp_path, workers=Workers())
    written = (tmp_path / "0.txt").stat().st_mtime_ns
    (tmp_path / lost).unlink()
    assert run_shards(write_text, writing_shards(tmp_path), folder=tmp_path, workers=Workers()) == 1
    assert (tmp_path / "0.txt").stat().st_mtime_ns == written and (tmp_path / "1.txt").read_text() == "x"


def test_a_damaged_shard_runs_again(tmp_path, caplog):
    run_shards(write_text, writing_shards(tmp_path), folder=tmp_path, workers=Workers())
    (tmp_path / "1.txt").write_text("y")
    assert run_shards(write_text, writing_shards(tmp_path), folder=tmp_path, workers=Workers()) == 1
    assert "1.txt is not as it was written" in caplog.text and (tmp_path / "1.txt").read_text() == "x"


@pytest.mark.parametrize("num_jobs", [1, 2])
def test_a_users_error_comes_back_as_its_own_message(tmp_path, num_jobs):
    shards = [Shard(name="bad", arguments={"path": tmp_path / "no_table"}, outputs=())]
    with pytest.raises(TokenChainError, match="no_table is missing") as caught:
        run_shards(read_table, shards, folder=tmp_path, workers=Workers(num_jobs=num_jobs))
    assert "Traceback" not in str(caught.value)


def test_a_full_disk_comes_back_from_a_job_in_plain_words(tmp_path):
    shards = [Shard(name="bad", arguments={"self": Path("/dev/full"), "data": "x"}, outputs=())]
    with pytest.raises(TokenChainError, match="the disk is full"):
        run_shards(Path.write_text, shards, folder=tmp_path, workers=Workers(num_jobs=2))


def test_a_command_that_is_ended_ends_its_jobs(tmp_path):
    code = f"""
import argparse, time
from pathlib import Path
from tokenchain_toolkit.bin._cli import run_command
from tokenchain_toolkit.data.shards import Shard, Workers, run_shards
shards = [Shard(name=f"s{{i}}", arguments={{"secs": 60}}, outputs=()) for i in range(2)]
def work(arguments):
    run_shards(lambda secs: time.sleep(secs), shards, folder=Path({str(tmp_path)!r}), workers=Workers(num_jobs=2))
run_command(work, argparse.ArgumentParser(), [])
"""
    command = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while len(jobs := _jobs_of(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(jobs) == 2
    time.sleep(1)  # who starts a job does not know of it yet while it is being started
    command.terminate()
    assert command.wait(timeout=60) == 128 + signal.SIGTERM
    while _jobs_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _jobs_of(tmp_path)


def _jobs_of(folder):
    """Processes that submitit runs for a stage's folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # ended meanwhile
        if "submitit.core._submit" in line and "submitit.local" not in line and str(folder) in line:
            found.append(path.parent.name)
    return found


def test_a_crash_in_a_job_names_the_log(tmp_path):
    shards = [Shard(name="bad", arguments={"wrong_keyword": 1}, outputs=())]
    with pytest.raises(TokenChainError, match="its log is .*logs") as caught:
        run_shards(read_table, shards, folder=tmp_path, workers=Workers(num_jobs=2))
    log = str(caught.value).partition("its log is ")[2].partition(". Mend")[0]
    assert "wrong_keyword" in Path(log).read_text()


@pytest.mark.parametrize(
    ("given", "gpus_per_job", "expected"),
    [("3,5", 1, ["3", "5", "3"]), ("GPU-a,GPU-b,GPU-c", 2, ["GPU-a,GPU-b", "GPU-c,GPU-a", "GPU-b,GPU-c"])],
)
def test_local_jobs_share_out_the_gpus_that_this_process_may_use(tmp_path, monkeypatch, given, gpus_per_job, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    workers = Workers(num_jobs=3, gpus_per_job=gpus_per_job)
    executor = make_executor(tmp_path / "logs", workers)
    jobs = [submit(executor, workers, place, os.getenv, "CUDA_VISIBLE_DEVICES") for place in range(3)]
    assert [job.result() for job in jobs] == expected


def test_impossible_workers_are_refused():
    with pytest.raises(ConfigError, match="local or slurm"):
        Workers(executor="cloud")
    with pytest.raises(ConfigError, match="num_jobs"):
        Workers(num_jobs=0)
