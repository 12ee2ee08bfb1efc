"""What every command shares: the parser's common options and how errors are shown."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tokenchain_toolkit.errors import ConfigError, DataError, TokenChainError
from tokenchain_toolkit.files import disk_faults_named, read_json

# How long an OpenMP thread that has nothing to do keeps its core busy before it sleeps, in turns of a loop. By the
# default of GNU OpenMP a step that shares its two cores with another process takes three times as long (837 ms instead
# of 276 ms of mini_synth's ASR); alone, both take the same (53 and 54 ms).
SPIN_COUNT = "20000"


def stage_parser(description: str, *, config: bool = True) -> argparse.ArgumentParser:
    """A parser with ``--overwrite`` and, for stages that are configured, ``--config`` and ``key=value`` overrides."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    if config:
        parser.add_argument("--config", type=Path, help="YAML file; its keys are checked")
        parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that win over the YAML file")
    parser.add_argument("--overwrite", action="store_true", help="redo the stage even if its output is up to date")
    return parser


def _check_device(arguments: argparse.Namespace) -> None:
    """Refuse a device that PyTorch does not know, and ``--device cuda`` where the work is done here without a GPU.

    A dry run does no work.

    Raises:
        ConfigError: There is none.
    """
    if getattr(arguments, "dry_run", False):
        return
    device = getattr(arguments, "device", "") or "cpu"  # empty where it says what run.sh would take
    if device == "cpu":
        return
    import torch

    try:
        torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"--device {device}: PyTorch knows no such device; give cpu, cuda or cuda:0") from error
    if device.startswith("cuda") and getattr(arguments, "executor", "local") == "local":
        if not torch.cuda.is_available():
            raise ConfigError(f"--device {device}: PyTorch finds no GPU on this machine; use --device cpu")


def json_target(value: str) -> Path:
    """The type of an option that names a JSON file to write: not the place of a file of another kind.

    Raises:
        argparse.ArgumentTypeError: It is no name of a JSON file, or a file with other content has it.
    """
    path = Path(value)
    if path.suffix != ".json":
        raise argparse.ArgumentTypeError(f"{value} is to be a JSON file, so its name must end in .json")
    if path.is_file():
        try:
            read_json(path)
        except DataError as error:
            raise argparse.ArgumentTypeError(f"{value} is there and no JSON file; name another one") from error
    return path


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a stage that runs in shards."""
    parser.add_argument("--num_jobs", type=int, default=1, help="processes, or SLURM jobs, at once")
    parser.add_argument(
        "--executor",
        choices=("local", "slurm"),
        default=os.environ.get("TOKENCHAIN_EXECUTOR", "local"),
        help="where the jobs run; cmd.sh sets the default through TOKENCHAIN_EXECUTOR",
    )
    parser.add_argument("--slurm_partition", help="SLURM partition; the cluster's default if not given")
    parser.add_argument("--cpus_per_job", type=int, default=2, help="cores of one SLURM job")
    parser.add_argument("--device", default="cpu", help="torch device of the jobs, such as cuda")


def add_norms_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that lets T2S draw again what is unlike natural speech."""
    parser.add_argument(
        "--norms_dump",
        type=Path,
        help="natural tokens of the training or validation set: with retries, what is far off their lengths or loops "
        "more than they do is drawn again",
    )
    parser.add_argument("--norms_data", type=Path, help="Kaldi directory of the same utterances")


def add_listener_option(parser: argparse.ArgumentParser) -> None:
    """Add the option of a command that may have what T2S draws read by an ASR."""
    parser.add_argument(
        "--listener",
        type=Path,
        help="ASR model folder: with most_misread below 1, what it misreads is drawn again; not the ASR that is to "
        "score the result",
    )


def listener_inputs(arguments: argparse.Namespace, most_misread: float) -> list[Path]:
    """The file behind ``--listener``, if it is to listen."""
    return [arguments.listener / "model.safetensors"] if arguments.listener and most_misread < 1 else []


def norms_inputs(arguments: argparse.Namespace) -> list[Path]:
    """The files behind the options of ``add_norms_options``.

    Raises:
        ConfigError: One of the two is given without the other.
    """
    if (arguments.norms_dump is None) != (arguments.norms_data is None):
        raise ConfigError("--norms_dump and --norms_data belong together: name the tokens and the transcripts of a set")
    return [arguments.norms_dump / ".done", arguments.norms_data / "text"] if arguments.norms_dump else []


def workers_from(arguments: argparse.Namespace) -> Any:
    """The ``Workers`` that ``add_worker_options`` describes."""
    from tokenchain_toolkit.data.shards import Workers

    return Workers(
        num_jobs=arguments.num_jobs,
        executor=arguments.executor,
        slurm_partition=arguments.slurm_partition,
        cpus_per_job=arguments.cpus_per_job,
        gpus_per_job=int(arguments.device.startswith("cuda")),
    )


def _interrupt(number: int, frame: Any) -> None:
    """As Ctrl-C always does; run.sh then asks its commands to end, too, and they are ending already.

    The second request is not ignored by SIG_IGN, which Python complains of where it has come in already.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    raise KeyboardInterrupt


def _parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; settings (``key=value``) may stand between options, too."""
    try:
        return parser.parse_intermixed_args(argv)
    except TypeError:  # a parser of subcommands, which can't
        return parser.parse_args(argv)


def run_command(
    main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> int:
    """Parse, run ``main`` and turn errors that a user can mend into one line and exit status 1.

    A request to end (SIGTERM) leaves ``main`` as an exception does, so that jobs it has started are ended too.
    """
    arguments = _parse(parser, argv)
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # which is read when PyTorch is imported
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    # A shell starts background commands deaf to SIGINT, and their jobs, which are ended by it, would be so too.
    signal.signal(signal.SIGINT, _interrupt)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for ours in ("tokenchain_toolkit", "__main__"):
        logging.getLogger(ours).setLevel(logging.INFO)
    try:
        with disk_faults_named():
            _check_device(arguments)
            main(arguments)
    except TokenChainError as error:
        logging.getLogger(__name__).error("%s: error: %s", parser.prog, error)
        return 1
    except KeyboardInterrupt:
        logging.getLogger(__name__).error("%s: interrupted", parser.prog)
        return 128 + signal.SIGINT
    return 0
