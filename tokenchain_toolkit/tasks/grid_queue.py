"""Working off the pieces of a study, several at once, each after those it needs; one that fails stops no other.

Every piece is a job of its own, on this machine or a SLURM cluster; with one local job at a time they run in this
process, one after the other.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tokenchain_toolkit.data.shards import LOCAL, Workers, make_executor, submit, threads_per_job
from tokenchain_toolkit.errors import TokenChainError
from tokenchain_toolkit.files import disk_faults_named
from tokenchain_toolkit.tasks.grid_work import Work

LOG = logging.getLogger(__name__)
POLL_SECONDS = 0.5


def to_do(plan: Sequence[Work], *, overwrite: bool = False) -> list[Work]:
    """The pieces that are not up to date, and those that need one of them; all with ``overwrite``.

    Args:
        plan: Every piece after those it needs.
        overwrite: Take what is up to date too.
    """
    if overwrite:
        return list(plan)
    pending: dict[str, Work] = {}
    for work in plan:
        if any(name in pending for name in work.needs) or not work.is_done():
            pending[work.name] = work
    return list(pending.values())


def work_off(pending: Sequence[Work], *, logs: Path, workers: Workers, overwrite: bool = False) -> dict[str, str]:
    """Carry out the pieces.

    Args:
        pending: Every piece after those it needs; what one needs and is not among them is up to date.
        logs: Folder of the jobs' logs.
        workers: How many at once, and where.
        overwrite: Redo them even if they are up to date.

    Returns:
        Name -> what went wrong, of the pieces that failed, and of those that needed them.
    """
    num_threads = threads_per_job(workers)
    in_process = workers.num_jobs == 1 and workers.executor == LOCAL
    executor = None if in_process or not pending else make_executor(logs, workers)
    progress = _Progress(pending, num_jobs=workers.num_jobs)
    waiting = list(pending)
    failed: dict[str, str] = {}
    running: dict[int, tuple[Work, Any]] = {}  # by their places among those that run at once
    try:
        while waiting or running:
            for place in [place for place, (_, job) in running.items() if job.done()]:
                work, job = running.pop(place)
                progress.ended(work, _failure_of(job), failed)
            for work in _lost(waiting, failed):
                waiting.remove(work)
                progress.left.remove(work)
            free = next((place for place in range(workers.num_jobs) if place not in running), None)
            ready = None if free is None else _next_ready(waiting, [work for work, _ in running.values()])
            if free is None or ready is None:
                time.sleep(POLL_SECONDS if running else 0)
                continue
            waiting.remove(ready)
            progress.began(ready)
            if executor is None:
                progress.ended(ready, carry_out(ready, num_threads, overwrite), failed)
            else:
                job = submit(executor, workers, free, carry_out_in_job, ready, num_threads, overwrite)
                running[free] = (ready, job)
    except BaseException:
        for _, job in running.values():
            job.cancel(check=False)
        raise
    return failed


def carry_out(work: Work, num_threads: int, overwrite: bool) -> str | None:
    """Carry out one piece; what went wrong comes back as text."""
    torch.set_num_threads(num_threads)
    LOG.info("%s begins", work.name)
    try:
        with disk_faults_named():
            work.carry_out(overwrite=overwrite)
    except TokenChainError as error:
        return str(error)
    except Exception as error:  # such as PyTorch's about a GPU without enough memory; the other pieces go on
        LOG.exception("%s failed", work.name)
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None


def carry_out_in_job(work: Work, num_threads: int, overwrite: bool) -> str | None:
    """``carry_out`` in a process of its own, whose log shows each epoch."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("tokenchain_toolkit").setLevel(logging.INFO)
    return carry_out(work, num_threads, overwrite)


def _failure_of(job: Any) -> str | None:
    """What stopped a job that has ended, if anything did."""
    if job.exception() is None:
        return job.result()
    return f"its job crashed, or was killed (out of memory?); the log is {job.paths.stderr}"


def _lost(waiting: Sequence[Work], failed: dict[str, str]) -> list[Work]:
    """The waiting pieces that need a failed one; they have failed too."""
    lost = []
    for work in waiting:
        missing = [name for name in work.needs if name in failed]
        if missing:
            lost.append(work)
            failed[work.name] = f"it needs {missing[0]}, which failed"
    return lost


def _next_ready(waiting: Sequence[Work], running: Sequence[Work]) -> Work | None:
    """The first piece that needs none that waits or runs."""
    unfinished = {work.name for work in (*waiting, *running)}
    return next((work for work in waiting if not unfinished & set(work.needs)), None)


class _Progress:
    """Says when a piece has ended, and how long the rest will take: as long as others of its kind took."""

    def __init__(self, pending: Sequence[Work], *, num_jobs: int):
        self.left, self.total, self.num_jobs = list(pending), len(pending), num_jobs
        self.started: dict[str, float] = {}
        self.seconds: dict[type[Work], list[float]] = defaultdict(list)

    def began(self, work: Work) -> None:
        """Start the clock."""
        self.started[work.name] = time.monotonic()

    def ended(self, work: Work, failure: str | None, failed: dict[str, str]) -> None:
        """Show one line."""
        self.left.remove(work)
        seconds = time.monotonic() - self.started[work.name]
        if failure is not None:
            failed[work.name] = failure
            LOG.error("%s failed after %s: %s", work.name, minutes(seconds), failure)
            return
        self.seconds[type(work)].append(seconds)
        done = self.total - len(self.left)
        LOG.info("%s done in %s; %d of %d, %s", work.name, minutes(seconds), done, self.total, self._time_left())

    def _time_left(self) -> str:
        kinds = [type(work) for work in self.left]
        if any(kind not in self.seconds for kind in kinds):
            return "time left not known yet"
        means = {kind: sum(found) / len(found) for kind, found in self.seconds.items()}
        now = time.monotonic()
        spent = sum(now - self.started[work.name] for work in self.left if work.name in self.started)
        left = max(sum(means[kind] for kind in kinds) - spent, 0.0) / self.num_jobs
        return f"about {minutes(left)} left"


def minutes(seconds: float) -> str:
    """A time span for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
