"""Check data directories and say in plain words what they hold and what is wrong with them."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command, stage_parser


def get_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = stage_parser(__doc__, config=False)
    parser.add_argument(
        "data_dirs", nargs="+", type=Path, metavar="DATA_DIR", help="folder with wav.scp, text, utt2spk"
    )
    for name, what in (("train", "trained"), ("valid", "chosen")):
        parser.add_argument(
            f"--{name}_data",
            nargs="+",
            type=Path,
            default=[],
            metavar="DIR",
            help=f"those that models are {what} on; all are then checked against each other",
        )
    parser.add_argument("--sample_rate", type=int, default=16000, help="expected rate in Hz")
    parser.add_argument("--allow_resample", action="store_true", help="accept other rates and several channels")
    parser.add_argument("--min_seconds", type=float, default=0.1, help="shortest utterance")
    parser.add_argument("--max_seconds", type=float, default=60.0, help="longest utterance")
    parser.add_argument(
        "--token_list", type=Path, help="folder of train_bpe; its characters must cover the transcripts"
    )
    parser.add_argument(
        "--bpe_config", type=Path, help="configuration of train_bpe, whose required_characters texts may have"
    )
    parser.add_argument("--num_jobs", type=int, default=2, help="files read at the same time")
    parser.add_argument("--show", type=int, default=100, help="problems and warnings listed per folder; 0 lists all")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Validate each folder; raise after the last one if any has problems."""
    import logging

    from tokenchain_toolkit.config.load import load_config
    from tokenchain_toolkit.config.text import BPEConfig
    from tokenchain_toolkit.data.audio_scan import AudioRules
    from tokenchain_toolkit.data.validate import ValidationReport, validate_data_dir
    from tokenchain_toolkit.errors import ConfigError, DataError, counted
    from tokenchain_toolkit.recipe.findings import Findings
    from tokenchain_toolkit.recipe.sets import (
        Purposes,
        check_ids_and_paths,
        check_overlap,
        check_purposes,
        check_texts,
        read_set,
    )
    from tokenchain_toolkit.text.bpe import TextTokenizer

    logger = logging.getLogger(__name__)
    if arguments.num_jobs < 1:
        raise ConfigError(f"--num_jobs {arguments.num_jobs} must be at least 1")
    rules = AudioRules(
        sample_rate=arguments.sample_rate,
        min_seconds=arguments.min_seconds,
        max_seconds=arguments.max_seconds,
        allow_resample=arguments.allow_resample,
    )
    token_list = TextTokenizer.load(arguments.token_list) if arguments.token_list else None
    num_problems = 0

    def tell(found: ValidationReport | Findings) -> None:
        nonlocal num_problems
        num_problems += len(found.problems)
        for word, findings in (("problem", found.problems), ("warning", found.warnings)):
            shown = findings[: arguments.show or None]
            for finding in shown:
                logger.info("%s: %s", word, finding)
            if len(findings) > len(shown):
                logger.info("... and %d more (--show 0 lists all)", len(findings) - len(shown))

    for folder in arguments.data_dirs:
        report = validate_data_dir(
            folder, rules=rules, token_list=token_list, num_jobs=arguments.num_jobs, overwrite=arguments.overwrite
        )
        tell(report)
        logger.info("%s", report.summary())
    if arguments.train_data:
        purposes = Purposes(arguments.train_data, arguments.valid_data, arguments.data_dirs)
        tell(check_purposes(purposes))
        sets = [read_set(Path(), folder, role) for folder, role in purposes.roles().items()]
        known = None if token_list else load_config(BPEConfig, arguments.bpe_config, []).required_characters
        for found in (check_ids_and_paths(sets), check_texts(sets, required_characters=known), check_overlap(sets)):
            tell(found)
    if num_problems:
        raise DataError(f"{counted(num_problems, 'problem')}, listed above; mend them and run validate again")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
