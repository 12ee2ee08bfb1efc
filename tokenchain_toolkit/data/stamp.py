"""Stage stamps: is a stage's output up to date, stale, half done, or not there yet.

A stage owns its output folder. ``.started`` and ``.done`` in it hold the fingerprint of what the stage was made from:
its configuration and the content of its input files. A stage lists the ``.done`` file of the stage before it among its
inputs, so a change travels down the recipe, and a rerun that changes nothing is skipped. ``.outputs`` lists the files
that were there at the end: what has lost one since, or a part of one, is made anew. What is complete stays, in
``.before``, until what replaces it is complete, too.
"""

import hashlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from tokenchain_toolkit.data.stage_folder import (
    BEFORE,
    DONE,
    LOCK,
    STARTED,
    drop_before,
    is_empty,
    list_outputs,
    lock_folder,
    loss_of,
    lost_input,
    lost_outputs,
    missing_input,
    put_back,
    recover,
    set_aside,
)
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import read_json, sha256_of, uninterrupted, write_json

LOG = logging.getLogger(__name__)
POLL_SECONDS = 0.5
CHANGED = "has changed"
COMMANDS = ("tokenchain_toolkit", "bin")  # where the toolkit's commands lie


class StageStamp:
    """The stamp of one stage in its output folder.

    Args:
        folder: The stage's own output folder.
        inputs: Files whose content the output depends on.
        config: Settings that the output depends on; plain JSON values.

    Raises:
        DataError: An input is missing, or the output of an earlier stage that an input stands for lacks a file.
    """

    def __init__(self, folder: Path, *, inputs: Iterable[Path], config: dict[str, Any]):
        self.folder = Path(folder)
        paths = [Path(path) for path in inputs]
        for path in paths:
            if not path.is_file():
                raise DataError(missing_input(path, self.folder))
            if path.name == DONE and (lost := lost_outputs(path.parent)):
                raise DataError(lost_input(lost[0], self.folder))
        digests = {str(path): input_digest(path) for path in paths}
        text = json.dumps({"config": config, "inputs": digests}, sort_keys=True, ensure_ascii=False)
        self.record: dict[str, Any] = json.loads(text)  # as it is read back, with lists for tuples
        self._began = time.monotonic()
        self._lock: IO[str] | None = None  # held while the stage is at work
        self.record["fingerprint"] = hashlib.sha256(text.encode()).hexdigest()
        program = Path(sys.argv[0])  # of the toolkit's commands, which say whose output this is
        self.record["command"] = program.stem if program.parts[-3:-1] == COMMANDS else ""

    def state(self) -> str:
        """``new``, ``partial`` (killed half-way), ``stale``, ``damaged`` (see ``lost_outputs``) or ``up_to_date``."""
        for name in (DONE, STARTED):
            if (self.folder / name).is_file():
                if not self._made(self.folder / name):
                    return "stale"
                if name == STARTED:
                    return "partial"
                return "damaged" if lost_outputs(self.folder) else "up_to_date"
        return "new"

    def begin(self, *, overwrite: bool = False, subject: str | None = None, also: Iterable[Path] = ()) -> bool:
        """Prepare the folder; return False if there is nothing to do.

        The folder is emptied of a stale or damaged output and, with ``overwrite``, of any of this stage; what is
        complete of it is kept until ``finish``. A partial one stays, so that the stage can go on from it.

        Args:
            overwrite: Do again what is up to date.
            subject: Setting that says what the output is of. What is complete and of something else is no stale output
                but another one, and replaced by ``overwrite`` alone.
            also: Folders that are made together with this one.

        Raises:
            DataError: The folder holds files and no readable stamp, so it was not made by a stage, or it holds what a
                stage with other settings altogether made, such as a model where speech is to go; or another run is at
                work in it.
        """
        recover(self.folder)
        state = self.state()
        if state == "up_to_date" and not overwrite:
            return False
        self._refuse_what_is_not_ours(state, overwrite=overwrite, subject=subject)
        if state == "new":
            for folder in also:
                _refuse_files_of_others(folder)
        self._lock = lock_folder(self.folder)
        if state in ("new", "stale") and not overwrite and self._take_back():
            return False
        if state in ("stale", "damaged") or (overwrite and state != "new"):
            LOG.info("%s is made anew: %s", self.folder, self._why(state))
            set_aside(self.folder)
            if not (self.folder / LOCK).exists():  # it went with what was there
                self._lock = lock_folder(self.folder)
        write_json(self.folder / STARTED, self.record)
        self._began = time.monotonic()
        return True

    def _take_back(self) -> bool:
        """Is what was complete before the last run just what is asked for? Then it is put back."""
        before = self.folder / BEFORE
        if not self._made(before / DONE) or lost_outputs(before):
            return False
        LOG.info("%s: what was there before is what is asked for, and is taken back", self.folder)
        put_back(self.folder)
        self._release()
        return True

    def _made(self, stamp: Path) -> bool:
        """Is this the stamp of what these inputs and settings make?"""
        return stamp.is_file() and read_stamp(stamp).get("fingerprint") == self.record["fingerprint"]

    def _before(self) -> dict[str, Any]:
        """What the output that is there was made from."""
        return read_stamp(self.folder / (DONE if (self.folder / DONE).is_file() else STARTED))

    def _refuse_what_is_not_ours(self, state: str, *, overwrite: bool, subject: str | None) -> None:
        """Stop before anything is removed that is no older output of this stage."""
        if state == "new":
            _refuse_files_of_others(self.folder)
            return
        before = self._before()
        if not before:
            raise DataError(
                f"the stamp in {self.folder} (.done or .started) is damaged or another program's, so it cannot be said "
                "whose files these are; remove the folder if they can go, or name another one"
            )
        theirs, ours = before.get("config", {}), self.record["config"]
        maker = before.get("command", "")
        is_other = maker and self.record["command"] and maker != self.record["command"]
        if is_other or (theirs and ours and not theirs.keys() & ours.keys()):
            settings = ", ".join(sorted(theirs)) or "no"
            raise DataError(
                f"{self.folder} holds what another command made ({maker or 'unnamed'}, with {settings} settings); name "
                "another folder, or remove this one yourself"
            )
        is_complete = (self.folder / DONE).is_file()
        if subject and not overwrite and is_complete and theirs.get(subject) != ours[subject]:
            raise DataError(
                f"{self.folder} holds what was made of other {subject}; name another folder, or add --overwrite to "
                "replace it"
            )

    def _why(self, state: str) -> str:
        """Why the output that is there does not do."""
        if state == "damaged":
            lost = lost_outputs(self.folder)
            return f"{lost[0]} {loss_of(lost[0])}" + (f", and {len(lost) - 1} files more" if len(lost) > 1 else "")
        if state != "stale":
            return "--overwrite"
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
        also = list(also)
        for folder in also:
            list_outputs(folder)
            write_json(folder / DONE, self.record)
        list_outputs(self.folder, also=also)
        write_json(self.folder / DONE, {**self.record, "seconds": round(time.monotonic() - self._began, 1)})
        (self.folder / STARTED).unlink(missing_ok=True)
        drop_before(self.folder)
        self._release()

    def give_up(self) -> None:
        """Leave the folder as it was before ``begin`` if the stage has made nothing, and else say what is kept."""
        with uninterrupted():
            self._leave()

    def _leave(self) -> None:
        if is_empty(self.folder):
            put_back(self.folder)
        elif (self.folder / BEFORE).is_dir():
            LOG.warning(
                "%s is not complete; running this again goes on, and %s is what was there before",
                self.folder,
                self.folder / BEFORE,
            )
        self._release()

    def _release(self) -> None:
        if self._lock:
            self._lock.close()
            self._lock = None


def _refuse_files_of_others(folder: Path) -> None:
    """Stop before what a user has put into a folder is mixed with a stage's output."""
    if folder.is_dir() and not (folder / DONE).is_file() and not is_empty(folder):
        raise DataError(f"{folder} holds files that no stage made; move them away or name another folder")


def make_output(
    folder: Path,
    work: Callable[[], object],
    *,
    inputs: Iterable[Path],
    config: dict[str, Any],
    overwrite: bool = False,
    subject: str | None = None,
) -> None:
    """Do a stage's work unless its output folder is up to date; the arguments are those of ``StageStamp``."""
    stamp = StageStamp(folder, inputs=inputs, config=config)
    if not stamp.begin(overwrite=overwrite, subject=subject):
        LOG.info("%s is up to date", folder)
        return
    try:
        work()
    except BaseException:
        stamp.give_up()
        raise
    stamp.finish()


def input_digest(path: Path) -> str:
    """What a stage remembers of an input: of the stamp of an earlier stage only what that stage's output was made from.

    Doing the same once more, which takes other seconds, then leaves what follows up to date.
    """
    if path.name != DONE:
        return sha256_of(path)
    try:
        return read_json(path).get("fingerprint") or sha256_of(path)
    except (DataError, AttributeError) as error:  # no JSON, or none of a stamp
        what = f"{path} is damaged; remove {path.parent} and run the stage that makes it again"
        raise DataError(what) from error


def read_stamp(path: Path) -> dict[str, Any]:
    """Content of a stamp; nothing if it is damaged, so that what it stands for is not up to date."""
    try:
        record = read_json(path)
    except DataError:
        return {}
    return record if isinstance(record, dict) else {}


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
    for name, before in record.get("inputs", {}).items():
        path = root / name
        if not path.is_file():
            changed[name] = "is gone"
        elif digest(path) != before:
            changed[name] = CHANGED
    return changed


def data_inputs(folder: Path, *names: str) -> list[Path]:
    """Tables of a data directory, and its stamp where a stage made it, that a stage lists among its inputs."""
    stamp = folder / DONE
    return [*(folder / name for name in names), *([stamp] if stamp.is_file() else [])]
