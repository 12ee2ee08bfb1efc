"""Write the data directories of one of the corpora that come with the toolkit (stage 1)."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenchain_toolkit.bin._cli import run_command


def get_parser() -> argparse.ArgumentParser:
    """Parser of the command line: one subcommand per corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    corpora = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS")
    for name, help_text in (
        ("mini_synth", "speech that eSpeak NG makes; two domains, read and talk"),
        ("fsdd", "digit strings from the Free Spoken Digit Dataset"),
    ):
        corpus = corpora.add_parser(
            name, help=help_text, description=help_text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        corpus.add_argument("--out", type=Path, default=Path("data"), help="folder of the data directories")
        corpus.add_argument("--seed", type=int, default=0, help="the same seed gives the same corpus")
        corpus.add_argument("--scale", type=float, default=1.0, help="share of the usual number of utterances")
        corpus.add_argument("--overwrite", action="store_true", help="redo the stage even if its output is up to date")
        if name == "mini_synth":
            corpus.add_argument("--num_jobs", type=int, default=2, help="processes; the result does not depend on it")
        else:
            _add_fsdd_options(corpus)
    _add_tedlium2(corpora)
    return parser


def _add_tedlium2(corpora: Any) -> None:
    help_text = "TED-LIUM 2: English talks, cut into utterances"
    corpus = corpora.add_parser("tedlium2", help=help_text, description=help_text)
    corpus.add_argument("--out", type=Path, default=Path("data"), help="folder of the data directories")
    corpus.add_argument("--tedlium2", type=Path, required=True, help="unpacked release, with TEDLIUM_release2/ in it")
    corpus.add_argument("--token_list", type=Path, help="folder of train_bpe that must be able to write the texts")
    corpus.add_argument("--overwrite", action="store_true", help="redo the stage even if its output is up to date")


def _add_fsdd_options(corpus: argparse.ArgumentParser) -> None:
    corpus.add_argument("--fsdd", type=Path, required=True, help="clone of the dataset, with recordings/ in it")
    corpus.add_argument("--speechocean", default="", help="speechocean762 digit strings (Kaldi style); empty: left out")
    corpus.add_argument("--unseen_speaker", default="theo", help="speaker kept out of training for unseen_test")


def run(arguments: argparse.Namespace) -> None:
    """Call the corpus's function."""
    if arguments.corpus == "tedlium2":
        from tokenchain_toolkit.corpora.tedlium import prepare_tedlium2
        from tokenchain_toolkit.text.bpe import TextTokenizer

        prepare_tedlium2(
            arguments.out,
            tedlium2=arguments.tedlium2,
            token_list=TextTokenizer.load(arguments.token_list) if arguments.token_list else None,
            overwrite=arguments.overwrite,
        )
        return
    if arguments.corpus == "mini_synth":
        from tokenchain_toolkit.corpora.mini_synth import prepare_mini_synth

        prepare_mini_synth(
            arguments.out,
            seed=arguments.seed,
            scale=arguments.scale,
            num_jobs=arguments.num_jobs,
            overwrite=arguments.overwrite,
        )
        return
    from tokenchain_toolkit.corpora.fsdd import prepare_fsdd

    prepare_fsdd(
        arguments.out,
        fsdd=arguments.fsdd,
        speechocean=Path(arguments.speechocean) if arguments.speechocean else None,
        unseen_speaker=arguments.unseen_speaker,
        seed=arguments.seed,
        scale=arguments.scale,
        overwrite=arguments.overwrite,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
