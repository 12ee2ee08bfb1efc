"""STM lines: what is an utterance, what of it is a word, and what is wrong with a line."""

from collections import Counter

import pytest

from tokenchain_toolkit.corpora.stm import plain_text, published_text, read_stm
from tokenchain_toolkit.errors import DataError

GOOD = "AnnLee_2009 1 AnnLee_2009 14.57 21.83 <o,f0,female> yes it 's easy\n"


def read(tmp_path, content):
    path = tmp_path / "AnnLee_2009.stm"
    path.write_text(content, encoding="utf-8")
    return read_stm(path, Counter())


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("it 's what they 're saying", "it's what they're saying"),
        ("he 'd 've known", "he'd 've known"),
        ("'cause i know", "'cause i know"),
        ("the(2) record(3) is", "the record is"),
        ("<sil> so <sil> now <sil>", "so now"),
        ("{BREATH} so {NOISE} now {UH} {UM} {COUGH} {SMACK}", "so now"),
        ("<um> so [NOISE] now", "so now"),
        ("{NOISE} 'cause <sil> 's", "'cause's"),
        ("and <unk> 's house", "and house"),
        ("<unk> because of", "because of"),
        ("so now (AnnLee_2009-1457-2183)", "so now"),
        ("{NOISE} <unk> <sil>", ""),
    ],
)
def test_only_words_are_left(spoken, written):
    assert plain_text(spoken.split(), Counter()) == written


@pytest.mark.parametrize(
    ("spoken", "published"),
    [
        ("<sil> it 's the(2) one <sil>", "it's the one"),
        ("and <unk> 's house", "and <unk>'s house"),
        ("{NOISE} so <unk> {UH} now (AnnLee_2009-1457-2183)", "[NOISE] so <unk> [UH] now"),
    ],
)
def test_the_published_texts_keep_marks_other_than_silence_as_words(spoken, published):
    assert published_text(spoken.split()) == published


def test_marks_are_counted():
    marks = Counter()
    plain_text("<unk> {UH} a <unk> 's {UH} {NOISE} b".split(), marks)
    assert marks == {"<unk>": 2, "{UH}": 2, "{NOISE}": 1}


def test_a_line_becomes_a_segment(tmp_path):
    (segment,) = read(tmp_path, GOOD)
    assert (segment.talk, segment.start, segment.end) == ("AnnLee_2009", 14.57, 21.83)
    assert segment.text == "yes it's easy"
    assert segment.utt_id == "AnnLee_2009-0001457-0002183"


@pytest.mark.parametrize("label", ["<o,f0,female>", "<F0_M>", "<NA>", "<o,,unknown>", ""])
def test_a_label_is_no_word_and_may_be_missing(tmp_path, label):
    (segment,) = read(tmp_path, f"AnnLee_2009 1 Ann_Lee 1 2 {label} yes it is\n")
    assert segment.text == "yes it is"


def test_comments_ignored_stretches_and_repeated_lines_are_no_utterances(tmp_path):
    gap = "AnnLee_2009 1 inter_segment_gap 0 14.57 <o,,unknown> {}\n"
    words = ("ignore_time_segment_in_scoring", "IGNORE_TIME_SEGMENT_IN_SCORING")
    content = ';; LABEL "o" "Overall"\n\n' + "".join(map(gap.format, words)) + GOOD + GOOD
    assert [segment.line for segment in read(tmp_path, content)] == [5]


def test_lines_that_differ_in_what_is_no_word_are_taken_once(tmp_path):
    other = "AnnLee_2009 1 AnnLee_2009 14.57 21.83 <o,f0,female>  {UH} yes it 's easy(2)\n"
    path = tmp_path / "AnnLee_2009.stm"
    path.write_text(GOOD + other)
    marks = Counter()
    assert [(segment.line, segment.text) for segment in read_stm(path, marks)] == [(1, "yes it's easy")]
    assert not +marks


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("AnnLee_2009 1 AnnLee_2009 30.1", "4 fields"),
        ("AnnLee_2009 1 AnnLee_2009 thirty 31 <NA> yes", "'thirty'"),
        ("AnnLee_2009 1 AnnLee_2009 31 30.5 <NA> yes", "from 31 to 30.5 s"),
        ("AnnLee_2009 1 AnnLee_2009 31 31 <NA> yes", "no stretch of time"),
        ("AnnLee_2009 1 AnnLee_2009 -1 31 <NA> yes", "no stretch of time"),
        ("AnnLee_2009 1 AnnLee_2009 1 nan <NA> yes", "no stretch of time"),
        ("AnnLee_2009 1 AnnLee_2009 14.57 21.83 <NA> no", "line 1"),
    ],
)
def test_a_malformed_line_is_named_with_its_remedy(tmp_path, line, told):
    with pytest.raises(DataError, match=r"AnnLee_2009\.stm:2: .*(mend or remove|keep one of)") as caught:
        read(tmp_path, GOOD + line + "\n")
    assert told in str(caught.value)


def test_a_file_in_another_encoding_is_named(tmp_path):
    (tmp_path / "a.stm").write_bytes(GOOD.encode() + b"caf\xe9")
    with pytest.raises(DataError, match=r"a\.stm is not UTF-8"):
        read_stm(tmp_path / "a.stm", Counter())
