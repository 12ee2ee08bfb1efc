"""Stage stamps: is a stage's output up to date, stale, half done, or not there yet.

A stage owns its output folder. ``.started`` and ``.done`` in it hold the fingerprint of what the stage was made from:
its configuration and the content of its input files. A stage lists the ``.done`` file of the stage before it among its
inputs, so a change travels down the recipe, and a rerun that changes nothing is skipped.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import read_json, sha256_of, write_json

LOG = logging.getLogger(__name__)
DONE, STARTED = ".done", ".started"
POLL_SECONDS = 0.5


class StageStamp:
    """The stamp of one stage in its output folder.

    Args:
        folder: The stage's own output folder.
        inputs: Files whose content the output depends on.
        config: Settings that the output depends on; plain JSON values.

    Raises:
        DataError: An input file is missing.
    """

    def __init__(self, folder: Path, *, inputs: Iterable[Path], config: dict[str, Any]):
        self.folder = Path(folder)
        paths = [Path(path) for path in inputs]
        for path in paths:
            if not path.is_file():
                raise DataError(f"{path} is missing, and {self.folder} is made from it; run the earlier stage first")
        self.record: dict[str, Any] = {"config": config, "inputs": {str(path): input_digest(path) for path in paths}}
        text = json.dumps(self.record, sort_keys=True, ensure_ascii=False)
        self._began = time.monotonic()
        self.record["fingerprint"] = hashlib.sha256(text.encode()).hexdigest()

    def state(self) -> str:
        """One of ``new``, ``partial`` (killed half-way, same inputs), ``stale`` or ``up_to_date``."""
        for name, matching in ((DONE, "up_to_date"), (STARTED, "partial")):
            path = self.folder / name
            if path.is_file():
                return matching if read_json(path).get("fingerprint") == self.record["fingerprint"] else "stale"
        return "new"

    def begin(self, *, overwrite: bool = False) -> bool:
        """Prepare the folder; return False if there is nothing to do.

        Stale output and, with ``overwrite``, any output of this stage is removed. A partial one is kept, so that the
        stage can go on from it.

        Raises:
            DataError: The folder holds files and no stamp, so it was not made by a stage, or it holds what a stage with
                other settings altogether made, such as a model where speech is to go.
        """
        state = self.state()
        if state == "up_to_date" and not overwrite:
            return False
        if state == "stale" or (overwrite and state != "new"):
            self._refuse_what_is_not_ours()
            LOG.info("%s is made anew: %s", self.folder, self._why_stale() if state == "stale" else "--overwrite")
            shutil.rmtree(self.folder)
        elif state == "new" and self.folder.is_dir() and any(self.folder.iterdir()):
            raise DataError(f"{self.folder} holds files that no stage made; move them away or name another folder")
        write_json(self.folder / STARTED, self.record)
        self._began = time.monotonic()
        return True

    def _before(self) -> dict[str, Any]:
        """What the output that is there was made from."""
        record: dict[str, Any] = read_json(self.folder / (DONE if (self.folder / DONE).is_file() else STARTED))
        return record

    def _refuse_what_is_not_ours(self) -> None:
        """Stop before the output of another stage is removed: the settings of the two have no name in common."""
        theirs, ours = self._before().get("config", {}), self.record["config"]
        if theirs and ours and not theirs.keys() & ours.keys():
            raise DataError(
                f"{self.folder} holds what another command made (its settings are {', '.join(sorted(theirs))}); "
                "name another folder, or remove this one yourself"
            )

    def _why_stale(self) -> str:
        """What is not as it was when the output was begun."""
        before = self._before()
        keys = changed_settings(before.get("config", {}), self.record["config"])
        keys += changed_settings(before.get("inputs", {}), self.record["inputs"])
        return f"{', '.join(keys)} changed" if keys else "it was made from other things"

    def begin_on_rank(self, rank: int, *, overwrite: bool = False) -> bool:
        """``begin`` for a stage that runs as several processes: rank 0 prepares the folder, the others wait for it."""
        if rank == 0:
            return self.begin(overwrite=overwrite)
        while self.state() != "partial":
            if self.state() == "up_to_date" and not overwrite:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def finish(self, *, also: Iterable[Path] = ()) -> None:
        """Mark the output as complete, with the seconds since ``begin`` for the report.

        Args:
            also: Folders that were made together with this one and get a stamp without the time.
        """
        for folder in also:
            write_json(folder / DONE, self.record)
        write_json(self.folder / DONE, {**self.record, "seconds": round(time.monotonic() - self._began, 1)})
        (self.folder / STARTED).unlink(missing_ok=True)


def make_output(
    folder: Path, work: Callable[[], object], *, inputs: Iterable[Path], config: dict[str, Any], overwrite: bool = False
) -> None:
    """Do a stage's work unless its output folder is up to date; the arguments are those of ``StageStamp``."""
    stamp = StageStamp(folder, inputs=inputs, config=config)
    if not stamp.begin(overwrite=overwrite):
        LOG.info("%s is up to date", folder)
        return
    work()
    stamp.finish()


def input_digest(path: Path) -> str:
    """What a stage remembers of an input: of the stamp of an earlier stage only what that stage's output was made from.

    Doing the same once more, which takes other seconds, then leaves what follows up to date.
    """
    fingerprint = read_json(path).get("fingerprint") if path.name == DONE else None
    return fingerprint or sha256_of(path)


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys that both have with different values."""
    keys: list[str] = []
    for key in before.keys() & now.keys():
        if isinstance(before[key], dict) and isinstance(now[key], dict):
            keys += changed_settings(before[key], now[key], f"{prefix}{key}.")
        elif before[key] != now[key]:
            keys.append(f"{prefix}{key}")
    return sorted(keys)


def changed_inputs(
    record: dict[str, Any], *, root: Path, digest: Callable[[Path], str] = input_digest
) -> dict[str, str]:
    """Inputs of a stage that are not as they were: path -> ``has changed`` or ``is gone``.

    Args:
        record: Content of its stamp.
        root: Folder that the paths in it are relative to.
        digest: ``input_digest``; a caller who looks at many stamps may remember what it said.
    """
    changed = {}
    for name, before in record["inputs"].items():
        path = root / name
        if not path.is_file():
            changed[name] = "is gone"
        elif digest(path) != before:
            changed[name] = "has changed"
    return changed


def data_inputs(folder: Path, *names: str) -> list[Path]:
    """Tables of a data directory, and its stamp where a stage made it, that a stage lists among its inputs."""
    stamp = folder / DONE
    return [*(folder / name for name in names), *([stamp] if stamp.is_file() else [])]
