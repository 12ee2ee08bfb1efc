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
    add_sets(parser, "train", "training sets, which are joined", required=True)
    parser.add_argument("--valid_data", type=Path, required=True, help="Kaldi directory of the validation set")
    parser.add_argument("--valid_dump", type=Path, required=True, help="token dump of the validation set")
    parser.add_argument("--out", type=Path, required=True, help="folder of the experiment; rerun to go on after a kill")
    return parser


def add_sets(parser: argparse.ArgumentParser, name: str, what: str, *, required: bool = False) -> None:
    """Add ``--<name>_data`` and ``--<name>_dump``, which take the folders of several sets in the same order."""
    options: dict[str, Any] = {"type": Path, "nargs": "+", "required": required, "default": [], "metavar": "DIR"}
    parser.add_argument(f"--{name}_data", help=f"Kaldi directories of the {what}", **options)
    parser.add_argument(f"--{name}_dump", help=f"token dumps of the {what}, in the same order", **options)


def sets_named(arguments: argparse.Namespace, name: str) -> tuple[Any, ...]:
    """The ``SetFolders`` that the options of ``add_sets`` name.

    Raises:
        ConfigError: There are not as many of the one as of the other.
    """
    from tokenchain_toolkit.errors import ConfigError
    from tokenchain_toolkit.tasks.training_sets import SetFolders

    data, dumps = getattr(arguments, f"{name}_data"), getattr(arguments, f"{name}_dump")
    if len(data) != len(dumps):
        raise ConfigError(
            f"--{name}_data names {len(data)} folders and --{name}_dump {len(dumps)}; give a dump for each directory"
        )
    return tuple(SetFolders(data=one, dump=dump) for one, dump in zip(data, dumps, strict=True))


def train_stage(
    arguments: argparse.Namespace,
    schema: type[Any],
    *,
    inputs: Callable[[Any], Sequence[Path]],
    train: Callable[[Any, Any], None],
    sets: Any = None,
) -> None:
    """Load the configuration, skip what is up to date, train, and mark the experiment as complete.

    Args:
        arguments: Parsed by ``training_parser``.
        schema: Dataclass of the configuration.
        inputs: Gives, of the configuration, the files that the experiment depends on besides the sets.
        train: Called with the configuration and the sets.
        sets: The sets, if they are more than ``training_parser`` asks for.
    """
    from tokenchain_toolkit.config.load import config_dict, load_config
    from tokenchain_toolkit.config.training import what_is_trained
    from tokenchain_toolkit.data.stamp import StageStamp
    from tokenchain_toolkit.tasks.training_sets import SetFolders, TrainingSets

    config = load_config(schema, arguments.config, arguments.overrides)
    if config.training.devices > 1:
        from tokenchain_toolkit.tasks.fit import check_gpus

        check_gpus(config.training)
    if sets is None:
        valid = SetFolders(data=arguments.valid_data, dump=arguments.valid_dump)
        sets = TrainingSets(train=sets_named(arguments, "train"), valid=valid)
    settings = what_is_trained(config_dict(config))
    stamp = StageStamp(arguments.out, inputs=[*sets.inputs(), *inputs(config)], config=settings)
    rank = process_rank()
    if rank > 0:  # which would say all that the first one says
        logging.getLogger("tokenchain_toolkit").setLevel(logging.WARNING)
    if not stamp.begin_on_rank(rank, overwrite=arguments.overwrite):
        LOG.info("%s is up to date", arguments.out)
        return
    try:
        train(config, sets)
    except BaseException:
        if rank == 0:
            stamp.give_up()
        raise
    if rank == 0:
        stamp.finish()


def process_rank() -> int:
    """Rank of this process as torchrun, SLURM or Lightning's own launcher say; 0 where there is one process."""
    for variable in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if variable in os.environ:
            return int(os.environ[variable])
    return 0
