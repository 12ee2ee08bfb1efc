"""Joining a token dump with its Kaldi data directory."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tokenchain_toolkit.data.dataset import TokenCorpus
from tokenchain_toolkit.data.kaldi import read_data_dir
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import write_text
from tokenchain_toolkit.models.sequences import ctc_frames_needed
from tokenchain_toolkit.text.bpe import TextTokenizer


def load_corpus(
    dump_folder: Path, data_folder: Path, *, text_tokenizer: TextTokenizer | None = None, with_codes: bool = False
) -> TokenCorpus:
    """Read tokens, transcripts and speakers of one set.

    Args:
        dump_folder: ``dump/<tokenizer>/<set>``.
        data_folder: ``data/<set>``; may hold more utterances than the dump, which leaves out unreadable ones.
        text_tokenizer: Turns transcripts into text ids; None for tasks without text.
        with_codes: Read acoustic codes too.

    Raises:
        DataError: The dump holds an utterance that the data directory does not, or a transcript cannot be encoded.
    """
    dump = read_dump(dump_folder, with_codes=with_codes)
    table = read_data_dir(data_folder)
    unknown = [utt_id for utt_id in dump.utt_ids if utt_id not in table.speakers]
    if unknown:
        raise DataError(
            f"{dump_folder}: {len(unknown)} utterances are not in {data_folder}, first {unknown[0]}; "
            "run extract_tokens again with --overwrite"
        )
    texts: list[np.ndarray] = [np.zeros(0, np.int32)] * len(dump)
    if text_tokenizer is not None:
        texts = [np.asarray(text_tokenizer.encode(table.texts[u], utt_id=u), dtype=np.int32) for u in dump.utt_ids]
    return TokenCorpus(dump=dump, texts=texts, speakers=[table.speakers[utt_id] for utt_id in dump.utt_ids])


def skip_unusable(
    corpus: TokenCorpus, *, max_frames: int, encoder_frames: Callable[[int], int] | None, max_share: float = 0.01
) -> None:
    """Leave out what cannot be trained on: too long, or too few encoder frames for CTC to spell the text.

    Args:
        corpus: Changed in place.
        max_frames: Longest utterance.
        encoder_frames: Encoder frames for a number of semantic frames; None where there is no CTC.
        max_share: Share of the corpus that may be left out.

    Raises:
        DataError: That is more than ``max_share`` of the corpus.
    """
    reasons: dict[int, str] = {}
    lengths = corpus.dump.lengths
    for index in corpus.usable.tolist():
        length, text_L = int(lengths[index]), corpus.texts[index]
        if length > max_frames:
            reasons[index] = f"{length} frames, more than data.max_frames={max_frames}"
        elif encoder_frames is not None:
            needed = ctc_frames_needed(text_L)
            if encoder_frames(length) < needed:
                reasons[index] = f"{encoder_frames(length)} encoder frames for a transcript that needs {needed}"
    corpus.skip(reasons, max_share=max_share)


def write_skipped(path: Path, corpora: list[TokenCorpus]) -> None:
    """Write ``utt_id<TAB>reason`` for every utterance that was left out; no file if there is none."""
    skipped = {utt_id: reason for corpus in corpora for utt_id, reason in sorted(corpus.skipped.items())}
    if skipped:
        write_text(path, "".join(f"{utt_id}\t{reason}\n" for utt_id, reason in skipped.items()))
