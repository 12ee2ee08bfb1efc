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
    parser.add_argument("--sample_rate", type=int, default=16000, help="expected rate in Hz")
    parser.add_argument("--allow_resample", action="store_true", help="accept other rates and several channels")
    parser.add_argument("--min_seconds", type=float, default=0.1, help="shortest utterance")
    parser.add_argument("--max_seconds", type=float, default=60.0, help="longest utterance")
    parser.add_argument(
        "--token_list", type=Path, help="folder of train_bpe; its characters must cover the transcripts"
    )
    parser.add_argument("--num_jobs", type=int, default=2, help="files read at the same time")
    parser.add_argument("--show", type=int, default=100, help="problems and warnings listed per folder; 0 lists all")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Validate each folder; raise after the last one if any has problems."""
    import logging

    from tokenchain_toolkit.data.audio_scan import AudioRules
    from tokenchain_toolkit.data.validate import validate_data_dir
    from tokenchain_toolkit.errors import DataError
    from tokenchain_toolkit.text.bpe import TextTokenizer

    logger = logging.getLogger(__name__)
    rules = AudioRules(
        sample_rate=arguments.sample_rate,
        min_seconds=arguments.min_seconds,
        max_seconds=arguments.max_seconds,
        allow_resample=arguments.allow_resample,
    )
    token_list = TextTokenizer.load(arguments.token_list) if arguments.token_list else None
    num_problems = 0
    for folder in arguments.data_dirs:
        report = validate_data_dir(
            folder, rules=rules, token_list=token_list, num_jobs=arguments.num_jobs, overwrite=arguments.overwrite
        )
        for word, findings in (("problem", report.problems), ("warning", report.warnings)):
            shown = findings[: arguments.show or None]
            for finding in shown:
                logger.info("%s: %s", word, finding)
            if len(findings) > len(shown):
                logger.info("... and %d more (--show 0 lists all)", len(findings) - len(shown))
        logger.info("%s", report.summary())
        num_problems += len(report.problems)
    if num_problems:
        raise DataError(f"{num_problems} problems, listed above; mend them and run validate again")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
