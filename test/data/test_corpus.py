"""Joining a dump with its data directory, and leaving out what cannot be trained on."""

import numpy as np
import pytest

from tokenchain_toolkit.data.corpus import load_corpus, skip_unusable, write_skipped
from tokenchain_toolkit.data.kaldi import write_data_dir
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.text.bpe import TextTokenizer

MANY = ["abc"] * 199


def test_tokens_texts_and_speakers_belong_together(recipe):
    text_tokenizer = TextTokenizer.load(recipe.root / "token_list")
    corpus = load_corpus(recipe.root / "dump", recipe.root / "data", text_tokenizer=text_tokenizer, with_codes=True)
    assert text_tokenizer.decode(corpus.texts[1]) == "cab de"
    assert corpus.speakers == ["speaker0", "speaker1"] * 4
    assert corpus.dump.codes_of(3).shape == (len(corpus.dump.semantic_of(3)), 3)
    without = load_corpus(recipe.root / "dump", recipe.root / "data")
    assert not any(map(len, without.texts)) and without.dump.codes is None


def test_an_utterance_that_the_data_directory_lacks_is_named(recipe, tmp_path):
    some = {f"utt{index:03d}": "x" for index in range(7)}
    write_data_dir(tmp_path, wavs=some, texts=some, speakers=some)
    with pytest.raises(DataError, match="1 utterances are not in .*, first utt007"):
        load_corpus(recipe.root / "dump", tmp_path)


def test_a_transcript_that_cannot_be_encoded_is_named(recipe, tmp_path):
    texts = {f"utt{index:03d}": "abc" for index in range(8)} | {"utt004": "abz"}
    write_data_dir(tmp_path, wavs=texts, texts=texts, speakers=texts)
    with pytest.raises(DataError, match="utt004.*'z'"):
        load_corpus(recipe.root / "dump", tmp_path, text_tokenizer=TextTokenizer.load(recipe.root / "token_list"))


@pytest.mark.parametrize(
    ("text", "frames", "usable"), [([2, 3, 4], 3, True), ([2, 3, 4], 2, False), ([2, 2], 2, False)]
)
def test_ctc_needs_a_frame_for_each_unit_and_a_blank_between_equal_ones(make_corpus, text, frames, usable):
    corpus = make_corpus([*MANY, "abc"])
    corpus.texts[-1] = np.asarray(text)
    corpus.texts[:-1] = [np.asarray([2])] * 199
    skip_unusable(corpus, max_frames=100, encoder_frames=lambda length: frames)
    assert (199 in corpus.usable) == usable
    assert list(corpus.skipped) == ([] if usable else ["utt199"])


def test_long_utterances_are_left_out_with_a_reason_on_file(make_corpus, tmp_path):
    corpus = make_corpus([*MANY, "abcabc"])
    skip_unusable(corpus, max_frames=18, encoder_frames=None)
    write_skipped(tmp_path / "skipped.tsv", [corpus, make_corpus()])
    assert (tmp_path / "skipped.tsv").read_text() == "utt199\t36 frames, more than data.max_frames=18\n"


def test_nothing_skipped_writes_no_file(make_corpus, tmp_path):
    corpus = make_corpus()
    skip_unusable(corpus, max_frames=100, encoder_frames=None)
    write_skipped(tmp_path / "skipped.tsv", [corpus])
    assert not (tmp_path / "skipped.tsv").exists()


def test_more_than_one_percent_is_refused(make_corpus):
    with pytest.raises(DataError, match="2 of 101 utterances.*more than 1%.*utt99: .*max_frames=18"):
        skip_unusable(make_corpus([*MANY[:99], "abcd", "abcd"]), max_frames=18, encoder_frames=None)
    kept = make_corpus([*MANY[:99], "abcd"])
    skip_unusable(kept, max_frames=18, encoder_frames=None)
    assert len(kept.usable) == 99
