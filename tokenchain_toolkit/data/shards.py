"""Running the shards of a stage on this machine or on a SLURM cluster, by one code path.

A shard is a function call with plain arguments that writes some files atomically. It gets a done marker with the
checksums of its files; a rerun after a kill calls only the shards that have no marker, or whose files are lost or
damaged. submitit carries the call to the worker in job
files of its own under the stage's ``logs`` folder.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenchain_toolkit.errors import ConfigError, TokenChainError
from tokenchain_toolkit.files import disk_faults_named, read_json, sha256_of, write_json

LOG = logging.getLogger(__name__)
LOCAL, SLURM = "local", "slurm"
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Shard:
    """One call.

    Attributes:
        name: Unique within the stage; part of file names.
        arguments: Keyword arguments: paths, numbers, strings and lists of them.
        outputs: Names, within the stage's folder, of the files that the call writes.
    """

    name: str
    arguments: dict[str, Any]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Workers:
    """Where and how wide shards run.

    Attributes:
        num_jobs: Processes or SLURM jobs at once; one local job runs in this process.
        executor: ``local`` or ``slurm``.
        slurm_partition: Partition for SLURM, or None for the cluster's default.
        cpus_per_job: Cores of one SLURM job.
        gpus_per_job: GPUs of one job.
        timeout_minutes: A job still running then is ended.
    """

    num_jobs: int = 1
    executor: str = LOCAL
    slurm_partition: str | None = None
    cpus_per_job: int = 2
    gpus_per_job: int = 0
    timeout_minutes: int = 2880

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if self.executor not in (LOCAL, SLURM):
            raise ConfigError(f"executor {self.executor!r} must be {LOCAL} or {SLURM}")
        if self.num_jobs < 1:
            raise ConfigError(f"num_jobs={self.num_jobs} must be at least 1")


def shard_size(count: int) -> int:
    """Items of one shard; not by the number of jobs, because a rerun may use another number."""
    return min(500, max(20, count // 16))


def threads_per_job(workers: Workers) -> int:
    """Threads for torch in one job: more than its share of the cores would make jobs push each other off them."""
    import torch

    if workers.executor == SLURM:
        return workers.cpus_per_job
    return max(1, torch.get_num_threads() // workers.num_jobs)


def run_shards(function: Callable[..., None], shards: Sequence[Shard], *, folder: Path, workers: Workers) -> int:
    """Call ``function(**shard.arguments)`` for every shard that is not done yet.

    Args:
        function: Defined at the top of an importable module.
        shards: What to call it with.
        folder: The stage's output folder; markers go to it, job logs to its ``logs``.
        workers: Where to run.

    Returns:
        Number of shards that were called.

    Raises:
        TokenChainError: A job failed; the text is the job's own message, or names its log.
    """
    pending = [shard for shard in shards if not is_done(folder, shard)]
    if len(pending) < len(shards):
        LOG.info("%d of %d shards are done already", len(shards) - len(pending), len(shards))
    if pending and workers.num_jobs == 1 and workers.executor == LOCAL:
        began = time.monotonic()
        for number, shard in enumerate(pending, start=1):
            _run_one(function, shard, folder)
            _log_progress(folder, number, len(pending), began=began)
    elif pending:
        _run_jobs(function, pending, folder, workers)
    return len(pending)


def is_done(folder: Path, shard: Shard) -> bool:
    """Has the shard its marker, and all of its files as they were written?"""
    marker = folder / _marker(shard)
    if not all(path.is_file() for path in (marker, *(folder / name for name in shard.outputs))):
        return False
    written = read_json(marker)
    damaged = [name for name in shard.outputs if written.get(name) != sha256_of(folder / name)]
    if damaged:
        LOG.warning("%s: %s is not as it was written; its shard is made again", folder, ", ".join(damaged))
    return not damaged


def _marker(shard: Shard) -> str:
    """Name of the file that marks a shard as done."""
    return f".{shard.name}.done"


def _run_one(function: Callable[..., None], shard: Shard, folder: Path) -> None:
    """Call one shard and mark it with the checksums of its files."""
    function(**shard.arguments)
    write_json(folder / _marker(shard), {name: sha256_of(folder / name) for name in shard.outputs})


def _log_progress(folder: Path, done: int, total: int, *, began: float) -> None:
    """Say how many shards are done and how long the rest will take."""
    left = (time.monotonic() - began) / done * (total - done)
    LOG.info("%s: shard %d of %d done, about %.0f s left", folder, done, total, left)


def _run_group(function: Callable[..., None], shards: Sequence[Shard], folder: str) -> str | None:
    """What one job does; a user's error comes back as its text, since submitit would wrap it in a traceback."""
    try:
        with disk_faults_named():
            for shard in shards:
                _run_one(function, shard, Path(folder))
    except TokenChainError as error:
        return str(error)
    return None


def _run_jobs(function: Callable[..., None], pending: Sequence[Shard], folder: Path, workers: Workers) -> None:
    """Deal the shards out to jobs, wait for all, and cancel the rest when one fails."""
    executor = make_executor(folder / "logs", workers)
    groups = [pending[start :: workers.num_jobs] for start in range(min(workers.num_jobs, len(pending)))]
    jobs: list[Any] = []
    try:
        for place, group in enumerate(groups):
            jobs.append(submit(executor, workers, place, _run_group, function, group, str(folder)))
        LOG.info("%d shards in %d %s jobs, logs in %s", len(pending), len(jobs), workers.executor, folder / "logs")
        _wait(jobs, pending, folder)
    except BaseException:
        for job in jobs:
            job.cancel(check=False)
        raise


def make_executor(logs: Path, workers: Workers) -> Any:
    """A submitit executor."""
    import submitit

    cls = submitit.LocalExecutor if workers.executor == LOCAL else submitit.SlurmExecutor
    try:
        executor = cls(folder=logs)
    except RuntimeError as error:
        raise ConfigError(f"executor={workers.executor} is not usable here ({error}); use executor=local") from error
    if workers.executor == LOCAL:
        executor.update_parameters(timeout_min=workers.timeout_minutes, gpus_per_node=workers.gpus_per_job)
        return executor
    partition = {"partition": workers.slurm_partition} if workers.slurm_partition else {}
    executor.update_parameters(
        time=workers.timeout_minutes,
        cpus_per_task=workers.cpus_per_job,
        gpus_per_node=workers.gpus_per_job,
        job_name="tokenchain",
        **partition,
    )
    return executor


def submit(executor: Any, workers: Workers, place: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Hand a call to an executor and return the job.

    submitit gives every local job the machine's first GPUs; here each has its own of those that this process may use.

    Args:
        executor: From ``make_executor``.
        workers: What that was made for.
        place: Number of the job among those that run at once, from 0; jobs beyond the GPUs share them in turn.
        function: Defined at the top of an importable module.
        arguments: Its arguments.
    """
    if workers.executor == LOCAL and workers.gpus_per_job:
        function, arguments = _with_gpus, (_gpus_of(place, workers.gpus_per_job), function, *arguments)
    return executor.submit(function, *arguments)


def _gpus_of(place: int, count: int) -> str:
    """The GPUs of a job, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    allowed = given.split(",") if given else [str(number) for number in range(torch.cuda.device_count())]
    return ",".join(allowed[(place * count + number) % len(allowed)] for number in range(count))


def _with_gpus(gpus: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a job that sees these GPUs alone; CUDA looks at the variable when it is first used."""
    os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    return function(*arguments)


def _wait(jobs: Sequence[Any], pending: Sequence[Shard], folder: Path) -> None:
    """Log how many shards are done until all jobs have ended well."""
    waiting, reported, began = list(jobs), 0, time.monotonic()
    while waiting:
        time.sleep(POLL_SECONDS)
        done = sum((folder / _marker(shard)).is_file() for shard in pending)
        if done > reported:
            _log_progress(folder, done, len(pending), began=began)
            reported = done
        for job in [job for job in waiting if job.done()]:
            waiting.remove(job)
            _check_job(job)


def _check_job(job: Any) -> None:
    """Raise what stopped a job, if anything did."""
    failure = job.exception()
    message = job.result() if failure is None else None
    if failure is not None:
        raise TokenChainError(
            f"job {job.job_id} crashed, or was killed (out of memory?); its log is {job.paths.stderr}. "
            "Mend the cause and run the stage again: finished shards are kept"
        ) from failure
    if message is not None:
        raise TokenChainError(message)
