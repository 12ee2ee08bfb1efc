"""Joining a token dump with its Kaldi data directory."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tokenchain_toolkit.data.dataset import TokenCorpus
from tokenchain_toolkit.data.kaldi import read_data_dir
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import write_text
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


def skip_unusable(corpus: TokenCorpus, *, max_frames: int, encoder_frames: Callable[[int], int] | None) -> None:
    """Leave out what cannot be trained on: too long, or too few encoder frames for CTC to spell the text.

    Args:
        corpus: Changed in place.
        max_frames: Longest utterance.
        encoder_frames: Encoder frames for a number of semantic frames; None where there is no CTC.

    Raises:
        DataError: That is more than 1 % of the corpus.
    """
    reasons: dict[int, str] = {}
    for index, (length, text_L) in enumerate(zip(corpus.dump.lengths.tolist(), corpus.texts, strict=True)):
        if length > max_frames:
            reasons[index] = f"{length} frames, more than data.max_frames={max_frames}"
        elif encoder_frames is not None:
            # CTC needs a frame for every unit and a blank between two equal ones.
            needed = len(text_L) + int((text_L[1:] == text_L[:-1]).sum())
            if encoder_frames(length) < max(needed, 1):
                reasons[index] = f"{encoder_frames(length)} encoder frames for a transcript that needs {needed}"
    corpus.skip(reasons)


def write_skipped(path: Path, corpora: list[TokenCorpus]) -> None:
    """Write ``utt_id<TAB>reason`` for every utterance that was left out; no file if there is none."""
    rows = [f"{utt_id}\t{reason}\n" for corpus in corpora for utt_id, reason in sorted(corpus.skipped.items())]
    if rows:
        write_text(path, "".join(rows))
