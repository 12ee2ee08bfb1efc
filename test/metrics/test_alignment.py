from tokenchain_toolkit.metrics.alignment import (
    align_words,
    format_alignment,
    read_alignments,
    worst_utterances,
    write_alignments,
)
from tokenchain_toolkit.metrics.error_rate import word_error_rate

REFERENCES = {"a": "one two three", "b": "one two", "c": "one"}
HYPOTHESES = {"a": "one four", "b": "one two two", "c": "one"}


def worst(limit: int = 20):
    counts = word_error_rate(REFERENCES, HYPOTHESES).per_utterance
    return worst_utterances(REFERENCES, HYPOTHESES, counts, limit=limit)


def test_an_alignment_keeps_every_word_of_both_sides():
    for reference, hypothesis in (("a b c d", "b x d e f"), ("a", ""), ("a a a", "a")):
        words = align_words(reference, hypothesis)
        assert " ".join(word.reference for word in words if word.reference) == reference
        assert " ".join(word.hypothesis for word in words if word.hypothesis) == hypothesis
        assert all((word.reference == word.hypothesis) == (word.kind == "equal") for word in words)


def test_the_worst_come_first_and_exact_ones_are_left_out():
    assert [(each.utt_id, each.num_errors) for each in worst()] == [("a", 2), ("b", 1)]
    assert [each.utt_id for each in worst(limit=1)] == ["a"]


def test_the_text_form_stands_in_columns():
    title, reference, hypothesis, marks = format_alignment(worst()[1]).splitlines()
    assert title == "b (1 errors)"
    assert reference.index("***") == hypothesis.rindex("two") == marks.index("I")


def test_alignments_are_read_back_as_written(tmp_path):
    write_alignments(tmp_path, worst())
    assert read_alignments(tmp_path) == worst()
    assert "HYP: one four" in (tmp_path / "alignments.txt").read_text()
    assert read_alignments(tmp_path / "elsewhere") == []
