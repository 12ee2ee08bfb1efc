"""Train ASR and T2S as a chain from their pretrained models, or side by side as the baseline (model.feedback=none)."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command
from tokenchain_toolkit.bin._training import add_sets, sets_named, train_stage, training_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = training_parser(__doc__ or "")
    parser.add_argument("--asr", type=Path, required=True, help="model folder of the pretrained ASR")
    parser.add_argument("--t2s", type=Path, required=True, help="model folder of the pretrained T2S")
    add_sets(parser, "speech", "sets used as speech without text, besides what data.paired_share leaves over")
    parser.add_argument(
        "--text_data",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders whose text is used without speech, besides what data.paired_share leaves over",
    )
    add_sets(parser, "eval", "sets that are recognised after every epoch")
    return run_command(run, parser, argv)


def run(arguments: argparse.Namespace) -> None:
    """Train and write the two model folders ``asr`` and ``t2s``."""
    from tokenchain_toolkit.config.chain import ChainConfig
    from tokenchain_toolkit.tasks.experiment import chain_inputs, train_chain
    from tokenchain_toolkit.tasks.training_sets import ChainSets, SetFolders

    sets = ChainSets(
        train=sets_named(arguments, "train"),
        valid=SetFolders(data=arguments.valid_data, dump=arguments.valid_dump),
        speech=sets_named(arguments, "speech"),
        text=tuple(arguments.text_data),
        evaluate={folders.data.name: folders for folders in sets_named(arguments, "eval")},
    )
    train_stage(
        arguments,
        ChainConfig,
        inputs=lambda config: chain_inputs(config, arguments.asr, arguments.t2s),
        train=lambda config, sets: train_chain(
            config, sets, asr_folder=arguments.asr, t2s_folder=arguments.t2s, folder=arguments.out
        ),
        sets=sets,
    )


if __name__ == "__main__":
    sys.exit(main())
