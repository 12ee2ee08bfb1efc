"""Extract the semantic tokens and acoustic codes of one data set, in resumable shards."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command, stage_parser


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__, config=False)
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder that learn_tokenizer wrote")
    parser.add_argument("--data", type=Path, required=True, help="Kaldi data directory")
    parser.add_argument("--out", type=Path, required=True, help="folder of the dump, such as dump/mfcc/train")
    parser.add_argument("--num_jobs", type=int, default=1, help="processes, or SLURM jobs, at once")
    parser.add_argument(
        "--executor",
        choices=("local", "slurm"),
        default=os.environ.get("TOKENCHAIN_EXECUTOR", "local"),
        help="where the jobs run; cmd.sh sets the default through TOKENCHAIN_EXECUTOR",
    )
    parser.add_argument("--slurm_partition", help="SLURM partition; the cluster's default if not given")
    parser.add_argument("--cpus_per_job", type=int, default=2, help="cores of one SLURM job")
    parser.add_argument("--device", default="cpu", help="torch device of an SSL model")
    parser.add_argument("--max_skipped", type=float, default=0.01, help="largest share of unusable utterances")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Extract, unless the dump is up to date."""
    import logging

    from tokenchain_toolkit.data.kaldi import read_table
    from tokenchain_toolkit.data.shards import Workers
    from tokenchain_toolkit.data.stamp import StageStamp
    from tokenchain_toolkit.tokenizers.extraction import extract_tokens

    workers = Workers(
        num_jobs=arguments.num_jobs,
        executor=arguments.executor,
        slurm_partition=arguments.slurm_partition,
        cpus_per_job=arguments.cpus_per_job,
        gpus_per_job=int(arguments.device.startswith("cuda")),
    )
    inputs = [arguments.tokenizer / "manifest.json", arguments.data / "wav.scp"]
    stamp = StageStamp(arguments.out, inputs=inputs, config={})
    if not stamp.begin(overwrite=arguments.overwrite):
        logging.getLogger(__name__).info("%s is up to date", arguments.out)
        return
    extract_tokens(
        arguments.tokenizer,
        read_table(arguments.data / "wav.scp"),
        arguments.out,
        workers=workers,
        device=arguments.device,
        max_skipped=arguments.max_skipped,
    )
    stamp.finish()


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
