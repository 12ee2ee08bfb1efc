"""Write the data directories of one of the corpora that come with the toolkit (stage 1)."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from tokenchain_toolkit.bin._cli import run_command

SAY_THEMSELVES = ("kaldi", "tedlium2")  # what to do where they are not there
Add = Callable[..., argparse.ArgumentParser]


def get_parser() -> argparse.ArgumentParser:
    """Parser of the command line: one subcommand per corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    corpora = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS")

    def add(name: str, run_corpus: Callable[[argparse.Namespace], None], help_text: str) -> argparse.ArgumentParser:
        corpus = corpora.add_parser(
            name, help=help_text, description=help_text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        corpus.set_defaults(run_corpus=run_corpus)
        corpus.add_argument("--out", type=Path, default=Path("data"), help="folder of the data directories")
        corpus.add_argument("--overwrite", action="store_true", help="redo the stage even if its output is up to date")
        return corpus

    _add_made_corpora(add)
    _add_published_corpora(add)
    _add_tables(add)
    return parser


def _add_made_corpora(add: Add) -> None:
    """Corpora whose utterances are made here."""
    mini_synth = add("mini_synth", _mini_synth, "speech that eSpeak NG makes; two domains, read and talk")
    mini_synth.add_argument("--num_jobs", type=int, default=2, help="processes; the result does not depend on it")
    fsdd = add("fsdd", _fsdd, "digit strings from the Free Spoken Digit Dataset")
    fsdd.add_argument("--fsdd", type=Path, required=True, help="clone of the dataset, with recordings/ in it")
    fsdd.add_argument("--speechocean", default="", help="speechocean762 digit strings (Kaldi style); empty: left out")
    fsdd.add_argument("--unseen_speaker", default="theo", help="speaker kept out of training for unseen_test")
    for corpus in (mini_synth, fsdd):
        corpus.add_argument("--seed", type=int, default=0, help="the same seed gives the same corpus")
        corpus.add_argument("--scale", type=float, default=1.0, help="share of the usual number of utterances")


def _add_published_corpora(add: Add) -> None:
    """Corpora that are taken as they are."""
    librispeech = add("librispeech", _librispeech, "LibriSpeech and Mini LibriSpeech: English audiobooks")
    librispeech.add_argument("--train_set", required=True, help="such as train_clean_100, train_960, train_clean_5")
    librispeech.add_argument(
        "--valid_set", required=True, help="such as dev, or held_out: some speakers of the training set"
    )
    librispeech.add_argument("--test_sets", nargs="+", required=True, help="such as test_clean test_other")
    an4 = add("an4", _an4, "CMU AN4: English names, numbers and dates")
    ljspeech = add("ljspeech", _ljspeech, "LJSpeech: one English speaker, resampled to 16 kHz")
    kerstin = add("kerstin", _kerstin, "kerstin: one German speaker, resampled to 16 kHz")
    kerstin.add_argument("--root", type=Path, required=True, help="clone of the dataset, with verified/ in it")
    tedlium2 = add("tedlium2", _tedlium2, "TED-LIUM 2: English talks, cut into utterances")
    tedlium2.add_argument("--token_list", type=Path, help="folder of train_bpe that must be able to write the texts")
    for corpus in (librispeech, tedlium2):
        corpus.add_argument("--openslr", default="", help="address of an OpenSLR mirror's resources")
    for corpus in (librispeech, an4, ljspeech, tedlium2):
        corpus.add_argument("--root", default="", help="folder of the corpus; empty: it is downloaded")
        corpus.add_argument("--downloads", type=Path, default=Path("downloads"), help="folder of what is downloaded")
        corpus.add_argument("--keep_archives", action="store_true", help="keep downloaded archives after unpacking")
    for corpus in (ljspeech, kerstin):
        corpus.add_argument("--num_jobs", type=int, default=2, help="files resampled at the same time")


def _add_tables(add: Add) -> None:
    """Data directories of a corpus of one's own."""
    kaldi = add("kaldi", _kaldi, "data directories that others wrote: <set>/{wav.scp,text,utt2spk} of Kaldi or ESPnet")
    kaldi.add_argument("--root", type=Path, required=True, help="folder of the data directories")
    kaldi.add_argument("--train_set", required=True, help="name of a folder in it")
    kaldi.add_argument("--valid_set", required=True, help="the same, or held_out: some speakers of the training set")
    kaldi.add_argument("--test_sets", nargs="+", required=True, help="names of folders in it")
    kaldi.add_argument("--resample", action="store_true", help="bring audio to 16 kHz and one channel")
    kaldi.add_argument("--num_jobs", type=int, default=2, help="files resampled at the same time")


def _mini_synth(arguments: argparse.Namespace) -> None:
    from tokenchain_toolkit.corpora.mini_synth import prepare_mini_synth

    prepare_mini_synth(
        arguments.out,
        seed=arguments.seed,
        scale=arguments.scale,
        num_jobs=arguments.num_jobs,
        overwrite=arguments.overwrite,
    )


def _fsdd(arguments: argparse.Namespace) -> None:
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


def _librispeech(arguments: argparse.Namespace) -> None:
    from tokenchain_toolkit.corpora.archives import LIBRISPEECH, OPENSLR, fetch_all
    from tokenchain_toolkit.corpora.librispeech import prepare_librispeech, subsets_of

    subsets = subsets_of([arguments.train_set, arguments.valid_set, *arguments.test_sets])
    if not arguments.root:
        archives = [LIBRISPEECH[subset] for subset in subsets]
        mirror = arguments.openslr or OPENSLR
        fetch_all(archives, arguments.downloads, openslr=mirror, keep_archives=arguments.keep_archives)
    prepare_librispeech(
        arguments.out,
        root=Path(arguments.root or arguments.downloads / "LibriSpeech"),
        train_set=arguments.train_set,
        valid_set=arguments.valid_set,
        test_sets=arguments.test_sets,
        overwrite=arguments.overwrite,
    )


def _an4(arguments: argparse.Namespace) -> None:
    from tokenchain_toolkit.corpora.an4 import prepare_an4
    from tokenchain_toolkit.corpora.archives import AN4, fetch_all

    if not arguments.root:
        fetch_all([AN4], arguments.downloads, keep_archives=arguments.keep_archives)
    root = Path(arguments.root or arguments.downloads / "an4")
    prepare_an4(arguments.out, root=root, overwrite=arguments.overwrite)


def _ljspeech(arguments: argparse.Namespace) -> None:
    from tokenchain_toolkit.corpora.archives import LJSPEECH, fetch_all
    from tokenchain_toolkit.corpora.ljspeech import prepare_ljspeech

    if not arguments.root:
        fetch_all([LJSPEECH], arguments.downloads, keep_archives=arguments.keep_archives)
    root = Path(arguments.root or arguments.downloads / "LJSpeech-1.1")
    prepare_ljspeech(arguments.out, root=root, num_jobs=arguments.num_jobs, overwrite=arguments.overwrite)


def _kerstin(arguments: argparse.Namespace) -> None:
    from tokenchain_toolkit.corpora.kerstin import prepare_kerstin

    prepare_kerstin(arguments.out, root=arguments.root, num_jobs=arguments.num_jobs, overwrite=arguments.overwrite)


def _tedlium2(arguments: argparse.Namespace) -> None:
    from tokenchain_toolkit.corpora.archives import OPENSLR, TEDLIUM2, fetch_all
    from tokenchain_toolkit.corpora.tedlium import prepare_tedlium2
    from tokenchain_toolkit.text.bpe import TextTokenizer

    token_list = TextTokenizer.load(arguments.token_list) if arguments.token_list else None
    if not arguments.root:
        mirror = arguments.openslr or OPENSLR
        fetch_all([TEDLIUM2], arguments.downloads, openslr=mirror, keep_archives=arguments.keep_archives)
    root = Path(arguments.root or arguments.downloads)
    prepare_tedlium2(arguments.out, root=root, token_list=token_list, overwrite=arguments.overwrite)


def _kaldi(arguments: argparse.Namespace) -> None:
    from tokenchain_toolkit.corpora.kaldi_tables import prepare_kaldi

    prepare_kaldi(
        arguments.out,
        root=arguments.root,
        train_set=arguments.train_set,
        valid_set=arguments.valid_set,
        test_sets=arguments.test_sets,
        resample=arguments.resample,
        num_jobs=arguments.num_jobs,
        overwrite=arguments.overwrite,
    )


def run(arguments: argparse.Namespace) -> None:
    """Call the corpus's function.

    Raises:
        DataError: The corpus's folder is not there.
    """
    from tokenchain_toolkit.errors import DataError

    root = str(getattr(arguments, "root", ""))
    if root and arguments.corpus not in SAY_THEMSELVES and not Path(root).is_dir():
        raise DataError(
            f"{root} is no folder; set the path of the corpus, such as {arguments.corpus.upper()}=, in db.sh or in the "
            "environment; an empty one has it downloaded, if the recipe can"
        )
    arguments.run_corpus(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(run, get_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
