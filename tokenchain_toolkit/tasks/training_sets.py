"""The sets that an experiment is trained on, from their folders to corpora in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tokenchain_toolkit.config.chain import ChainConfig, UnpairedConfig
from tokenchain_toolkit.config.training import CommonConfig
from tokenchain_toolkit.data.corpus import load_corpus, skip_unusable
from tokenchain_toolkit.data.dataset import TokenCorpus, join_corpora
from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.data.unpaired import UnpairedData
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.metrics.error_rate import word_error_rate
from tokenchain_toolkit.models.asr import encoder_frames
from tokenchain_toolkit.text.bpe import TextTokenizer


@dataclass(frozen=True)
class SetFolders:
    """One set: its Kaldi data directory and its token dump."""

    data: Path
    dump: Path

    def inputs(self) -> list[Path]:
        """Files that a training stage depends on."""
        tables = [self.data / name for name in ("wav.scp", "text", "utt2spk")]
        return [*tables, self.dump / ".done"]


@dataclass(frozen=True)
class TrainingSets:
    """Training sets, which are joined, and validation set."""

    train: tuple[SetFolders, ...]
    valid: SetFolders

    def inputs(self) -> list[Path]:
        """Files that a training stage depends on."""
        return [path for folders in (*self.train, self.valid) for path in folders.inputs()]


@dataclass(frozen=True)
class ChainSets(TrainingSets):
    """What a chain is trained on beside paired sets, and what it is evaluated on.

    Attributes:
        speech: Sets whose tokens are used without their texts.
        text: Data directories, or folders with a ``text`` alone, whose texts are used without speech.
        evaluate: Sets by name that are recognised after every epoch.
    """

    speech: tuple[SetFolders, ...] = ()
    text: tuple[Path, ...] = ()
    evaluate: Mapping[str, SetFolders] = field(default_factory=dict)

    def inputs(self) -> list[Path]:
        """Files that a training stage depends on."""
        more = [path for folders in (*self.speech, *self.evaluate.values()) for path in folders.inputs()]
        return super().inputs() + more + [folder / "text" for folder in self.text]


def load_joined(
    folders: Sequence[SetFolders], *, text_tokenizer: TextTokenizer | None = None, with_codes: bool = False
) -> TokenCorpus:
    """The utterances of several sets as one corpus, checked to be of one tokenizer."""
    corpora = [load_corpus(one.dump, one.data, text_tokenizer=text_tokenizer, with_codes=with_codes) for one in folders]
    parts = ("semantic", "acoustic") if with_codes else ("semantic",)
    for one, corpus in zip(folders[1:], corpora[1:], strict=True):
        check_same_tokenizer(
            corpora[0].dump.manifest,
            corpus.dump.manifest,
            our_name=str(folders[0].dump),
            their_name=str(one.dump),
            parts=parts,
        )
    return join_corpora(corpora)


def load_sets(
    sets: TrainingSets,
    config: CommonConfig,
    *,
    text_tokenizer: TextTokenizer | None = None,
    ctc_input_layer: str | None = None,
    with_codes: bool = False,
) -> tuple[TokenCorpus, TokenCorpus]:
    """Training and validation corpus, checked to be of one tokenizer and cleared of what cannot be trained on."""
    frames = (lambda length: encoder_frames(length, ctc_input_layer)) if ctc_input_layer else None
    train = load_joined(sets.train, text_tokenizer=text_tokenizer, with_codes=with_codes)
    valid = load_joined([sets.valid], text_tokenizer=text_tokenizer, with_codes=with_codes)
    for corpus in (train, valid):
        skip_unusable(corpus, max_frames=config.data.max_frames, encoder_frames=frames)
    parts = ("semantic", "acoustic") if with_codes else ("semantic",)
    check_same_tokenizer(
        train.dump.manifest,
        valid.dump.manifest,
        our_name=str(sets.train[0].dump),
        their_name=str(sets.valid.dump),
        parts=parts,
    )
    return train, valid


def load_unpaired(
    config: ChainConfig, sets: ChainSets, rest: TokenCorpus, *, text_tokenizer: TextTokenizer, input_layer: str
) -> UnpairedData:
    """Speech alone and text alone: what the paired share has left over, and the sets given for it.

    Args:
        config: How much of each is used.
        sets: Sets of speech alone and of text alone.
        rest: Training utterances that are not used as paired data.
        text_tokenizer: Of the chain's models.
        input_layer: Of the ASR; short utterances are left out.

    Raises:
        ConfigError: A set is given that no ratio uses.
        DataError: A ratio is above 0 and there is nothing to use, labels are missing, or a text is empty.
    """
    settings = config.unpaired
    for what, given, ratio in (
        ("speech", sets.speech, settings.speech_ratio),
        ("text", sets.text, settings.text_ratio),
    ):
        if given and ratio == 0:
            raise ConfigError(
                f"sets of {what} alone are given, and unpaired.{what}_ratio=0 leaves them unused; raise it"
            )
    speech, label_error = None, None
    if settings.speech_ratio:
        added = [load_joined([one]) for one in sets.speech]
        for one, corpus in zip(sets.speech, added, strict=True):
            check_same_tokenizer(
                rest.dump.manifest, corpus.dump.manifest, our_name="the chain", their_name=str(one.dump)
            )
        speech = join_corpora([rest, *added])
        transcripts, speech = speech.texts, _without_texts(speech, settings, text_tokenizer)
        limit = config.data.max_frames
        skip_unusable(speech, max_frames=limit, encoder_frames=lambda n: encoder_frames(n, input_layer), max_share=1.0)
        if not len(speech.usable):
            raise DataError(
                "unpaired.speech_ratio is above 0 and there is no speech alone; lower data.paired_share, or give a set"
            )
        if settings.labels is not None:
            label_error = _label_error(speech, transcripts, text_tokenizer)
    texts: list[tuple[str, np.ndarray]] = []
    if settings.text_ratio:
        texts = [(rest.dump.utt_ids[index], rest.texts[index]) for index in rest.usable]
        for folder in sets.text:
            texts += _texts_of(folder / "text", text_tokenizer)
        if not texts:
            raise DataError(
                "unpaired.text_ratio is above 0 and there is no text alone; lower data.paired_share, or give a folder"
            )
    return UnpairedData(
        speech=speech,
        texts=texts,
        speech_ratio=settings.speech_ratio,
        text_ratio=settings.text_ratio,
        label_error=label_error,
    )


def _texts_of(path: Path, text_tokenizer: TextTokenizer) -> list[tuple[str, np.ndarray]]:
    """Names and ids of the texts of a table.

    Raises:
        DataError: A line holds a name and no text.
    """
    texts = []
    for utt_id, text in read_table(path).items():
        if not text:
            raise DataError(f"{path}: {utt_id} has no text; remove the line")
        texts.append((utt_id, np.asarray(text_tokenizer.encode(text, utt_id=utt_id), dtype=np.int32)))
    return texts


def _without_texts(corpus: TokenCorpus, settings: UnpairedConfig, text_tokenizer: TextTokenizer) -> TokenCorpus:
    """The corpus with its texts taken away, and in their place the labels, if there are such.

    Raises:
        DataError: An utterance has no label.
    """
    texts = [np.zeros(0, np.int32)] * len(corpus.dump)
    if settings.labels is not None:
        labels = read_table(Path(settings.labels))
        for index in corpus.usable:
            utt_id = corpus.dump.utt_ids[index]
            if utt_id not in labels:
                raise DataError(
                    f"{settings.labels} has no line for {utt_id}; decode the whole set of speech alone again"
                )
            texts[index] = np.asarray(text_tokenizer.encode(labels[utt_id], utt_id=utt_id), dtype=np.int32)
        corpus.skip({int(i): "its label is empty" for i in corpus.usable if not len(texts[i])}, max_share=1.0)
    corpus.texts = texts
    return corpus


def _label_error(
    labelled: TokenCorpus, transcripts: Sequence[np.ndarray], text_tokenizer: TextTokenizer
) -> float | None:
    """Word error rate of labels where the transcript is known after all, which nothing is trained on; else None."""
    known = [index for index in labelled.usable if len(transcripts[index])]
    if not known:
        return None
    references, labels = (
        {labelled.dump.utt_ids[index]: text_tokenizer.decode(texts[index].tolist()) for index in known}
        for texts in (transcripts, labelled.texts)
    )
    return word_error_rate(references, labels, num_bootstrap=1).value
