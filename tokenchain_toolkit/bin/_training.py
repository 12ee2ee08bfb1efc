"""What the training commands share: their arguments and their stamp."""

import argparse
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tokenchain_toolkit.bin._cli import stage_parser

LOG = logging.getLogger(__name__)


def training_parser(description: str) -> argparse.ArgumentParser:
    """A parser for a command that trains on one set and validates on another."""
    parser = stage_parser(description)
    for name, what in (("train", "training"), ("valid", "validation")):
        parser.add_argument(f"--{name}_data", type=Path, required=True, help=f"Kaldi directory of the {what} set")
        parser.add_argument(f"--{name}_dump", type=Path, required=True, help=f"token dump of the {what} set")
    parser.add_argument("--out", type=Path, required=True, help="folder of the experiment; rerun to go on after a kill")
    return parser


def train_stage(
    arguments: argparse.Namespace,
    schema: type[Any],
    *,
    inputs: Sequence[Path],
    train: Callable[[Any, Any], None],
) -> None:
    """Load the configuration, skip what is up to date, train, and mark the experiment as complete.

    Args:
        arguments: Parsed by ``training_parser``.
        schema: Dataclass of the configuration.
        inputs: Files that the experiment depends on besides the two sets.
        train: Called with the configuration and the sets.
    """
    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.data.stamp import StageStamp
    from tokenchain_toolkit.tasks.experiment import SetFolders, TrainingSets

    config = load_config(schema, arguments.config, arguments.overrides)
    sets = TrainingSets(
        train=SetFolders(data=arguments.train_data, dump=arguments.train_dump),
        valid=SetFolders(data=arguments.valid_data, dump=arguments.valid_dump),
    )
    stamp = StageStamp(arguments.out, inputs=[*sets.inputs(), *inputs], config=config_dict(config))
    rank = process_rank()
    if not stamp.begin_on_rank(rank, overwrite=arguments.overwrite):
        LOG.info("%s is up to date", arguments.out)
        return
    train(config, sets)
    if rank == 0:
        stamp.finish()


def process_rank() -> int:
    """Rank of this process as torchrun, SLURM or Lightning's own launcher say; 0 where there is one process."""
    for variable in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if variable in os.environ:
            return int(os.environ[variable])
    return 0
