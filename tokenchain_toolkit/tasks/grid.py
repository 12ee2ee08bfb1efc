"""Carrying out a study: what of it is done, doing the rest, and the list of finished runs for the report."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenchain_toolkit.config.grid import RUNS
from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.data.shards import Workers
from tokenchain_toolkit.errors import DataError, TokenChainError
from tokenchain_toolkit.files import write_json
from tokenchain_toolkit.tasks.grid_cells import LOGS, SEED
from tokenchain_toolkit.tasks.grid_plan import Study
from tokenchain_toolkit.tasks.grid_queue import to_do, work_off
from tokenchain_toolkit.tasks.grid_work import TrainChain, TrainModel
from tokenchain_toolkit.text.bpe import TextTokenizer

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How many runs are complete, and name -> what went wrong of the pieces that are not."""

    num_complete: int
    failed: dict[str, str]

    def check(self) -> None:
        """Name the pieces that failed.

        Raises:
            TokenChainError: There are some.
        """
        if self.failed:
            reasons = "".join(f"\n  {name}: {reason}" for name, reason in self.failed.items())
            raise TokenChainError(f"{len(self.failed)} pieces are not done; mend the cause and run it again:{reasons}")


def carry_out_study(study: Study, *, workers: Workers, overwrite: bool = False) -> Outcome:
    """Do what of the chosen pieces is not up to date, and list the runs that are complete in ``runs.json``.

    Args:
        study: The pieces.
        workers: How many at once, and where.
        overwrite: Redo the chosen pieces even if they are up to date.

    Raises:
        DataError: A file that the study is made from is not there, or a text has a character that no token writes.
    """
    for work in study.chosen:
        outside = [path for path in work.made() if not path.is_relative_to(study.out)]
        missing = [path for path in (*work.given(), *outside) if not path.is_file()]
        if missing:
            raise DataError(f"{missing[0]} is missing, and {work.name} needs it; run the recipe's earlier stages first")
    pending = to_do(study.chosen, overwrite=overwrite)
    LOG.info("%s: %d of %d pieces are up to date", study.out, len(study.chosen) - len(pending), len(study.chosen))
    if pending:
        check_characters(study)
    failed = work_off(pending, logs=study.out / LOGS, workers=workers, overwrite=overwrite)
    complete = complete_runs(study)
    write_json(study.out / RUNS, complete)
    return Outcome(len(complete), failed)


def check_characters(study: Study) -> None:
    """Find a character that no token writes before hours of training rather than after them.

    Raises:
        DataError: There is one; names the text and what to do.
    """
    token_lists = {work.folder: work.token_list for work in study.chosen if isinstance(work, TrainModel)}
    texts: dict[Path, list[Path]] = {}
    for work in study.chosen:
        if isinstance(work, TrainModel):
            texts.setdefault(work.token_list, []).extend(
                folders.data for folders in (*work.sets.train, work.sets.valid)
            )
        elif isinstance(work, TrainChain):
            sets = work.sets
            measured = [folders.data for folders in (*sets.train, sets.valid, *sets.evaluate.values())]
            texts.setdefault(token_lists.get(work.asr, work.asr / "token_list"), []).extend([*measured, *sets.text])
    for token_list, folders in texts.items():
        tokenizer = TextTokenizer.load(token_list)
        for data in dict.fromkeys(folders):
            lacking = tokenizer.unknown_characters(" ".join(read_table(data / "text").values()))
            if lacking:
                shown = " ".join(map(repr, lacking))
                raise DataError(
                    f"{data / 'text'}: {token_list} has no token for {shown}; name them as required_characters in "
                    "conf/bpe.yaml and run train_bpe again, or mend the transcripts"
                )


def complete_runs(study: Study) -> list[dict[str, Any]]:
    """The runs that are complete and up to date, as ``runs.json`` lists them; folders are within the study's."""
    shown = shown_settings(study)
    return [
        {
            "grid": run.cell.grid,
            "labels": {**run.cell.labels, SEED: run.cell.seed},
            "folder": run.cell.name,
            "baseline": run.cell.baseline,
            "target_sets": run.cell.settings.target_sets,
            "epochs": run.work.config.training.max_epochs,
            "overrides": shown[run.cell.name],
        }
        for run in study.runs
        if run.work.is_done()
    ]


def shown_settings(study: Study) -> dict[str, list[str]]:
    """Run -> sets, models and the like in which the runs of its grid differ, then its settings over the YAML file."""
    shown = {}
    for run in study.runs:
        others = [other.cell.settings for other in study.runs if other.cell.grid == run.cell.grid]
        own = []
        for name, value in vars(run.cell.settings).items():
            if name != "overrides" and any(getattr(other, name) != value for other in others):
                own.append(f"{name}={value if isinstance(value, str) else ' '.join(value)}")
        shown[run.cell.name] = [*own, *run.overrides]
    return shown


def describe_study(study: Study) -> list[str]:
    """One line for each chosen piece: whether it is up to date, its name, and what a run changes."""
    overrides = shown_settings(study)
    pending = {work.name for work in to_do(study.chosen)}
    states = {work.name: "to do" if work.name in pending else "up to date" for work in study.chosen}
    return ["  ".join([f"{state:10}", name, *overrides.get(name, [])]) for name, state in states.items()]
