"""Is what the stages made still what their inputs and settings would make."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenchain_toolkit.config.load import config_dict, load_config
from tokenchain_toolkit.config.schemas import schema_of
from tokenchain_toolkit.data.stage_folder import DONE, STARTED, loss_of, lost_outputs
from tokenchain_toolkit.data.stamp import changed_inputs, changed_settings, input_digest, read_stamp
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.recipe.commands import StageCommand
from tokenchain_toolkit.recipe.findings import Findings


def check_outputs(root: Path, commands: Sequence[StageCommand], folders: Iterable[Path]) -> Findings:
    """Compare the stamp of every stage's output with the files and settings that are there now.

    Args:
        root: Folder of the recipe.
        commands: Those of its stages.
        folders: Data directories, which stage 1 makes by other means.
    """
    found = Findings("Outputs")
    digest = lru_cache(maxsize=None)(input_digest)
    prepared = [StageCommand("data", "", (), {"out": (str(folder),)}) for folder in folders]
    for command in (*prepared, *commands):
        out = command.one("out")
        if out is None or not (root / out).is_dir():
            continue
        again = f"run ./run.sh --stage {command.stage}"
        if (root / out / DONE).is_file():
            record = read_stamp(root / out / DONE)
            if not record:
                found.problems.append(f"{out}/{DONE} is damaged; remove {out} and {again}")
            try:
                changed = changed_inputs(record, root=root, digest=digest)
            except DataError as error:  # a damaged stamp, which is named where its own stage is looked at, too
                found.problems.append(f"{out} was made from something that cannot be read: {error}")
                changed = {}
            for path, state in changed.items():
                found.problems.append(f"{out} is stale: it was made from {path}, which {state} since; {again}")
            found.problems += [
                f"{path.relative_to(root)} {loss_of(path)}; {again}" for path in lost_outputs(root / out)
            ]
            for key in _changed_settings(root, command, record.get("config", {})):
                found.problems.append(f"{out} is stale: {key} is another in {command.one('config')} now; {again}")
        elif (root / out / STARTED).is_file():
            found.warnings.append(f"{out} is not finished: its stage runs, or was ended; {again}, which goes on")
    return found


def _changed_settings(root: Path, command: StageCommand, made_with: dict[str, Any]) -> list[str]:
    """Dotted keys of the command's configuration whose values are not those that its output was made with."""
    path = command.one("config")
    schema = schema_of(Path(path)) if path else None
    # What stands in an environment variable of the run is not known here.
    if (
        path is None
        or schema is None
        or not (root / path).is_file()
        or "${" in (root / path).read_text(encoding="utf-8")
    ):
        return []
    try:
        now = config_dict(load_config(schema, root / path))
    except ConfigError:
        return []  # said where configurations are checked
    return changed_settings(made_with, now)
