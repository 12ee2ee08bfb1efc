import pytest

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics.error_rate import (
    UtteranceCounts,
    character_error_rate,
    paired_difference,
    word_error_rate,
)
from tokenchain_toolkit.metrics.measurement import Measurement


def counts(errors: list[int], num_words: int = 10) -> dict[str, UtteranceCounts]:
    return {f"u{number}": UtteranceCounts(each, 0, 0, num_words) for number, each in enumerate(errors)}


def test_counts_each_kind_of_word_error():
    rate = word_error_rate({"a": "one two three", "b": "four five"}, {"a": "one too three three", "b": "five"})
    assert (rate.substitutions, rate.deletions, rate.insertions) == (1, 1, 1)
    assert (rate.value, rate.num_reference_units, rate.num_utts) == (3 / 5, 5, 2)
    assert rate.per_utterance["b"] == UtteranceCounts(0, 1, 0, 2)


def test_character_errors_count_the_space_and_ignore_layout():
    rate = character_error_rate({"a": "ab  cd "}, {"a": "abcd"})
    assert (rate.deletions, rate.num_reference_units, rate.value) == (1, 5, 1 / 5)
    assert character_error_rate({"a": "ab  cd "}, {"a": " ab cd"}).value == 0


def test_an_empty_hypothesis_is_all_deletions():
    rate = word_error_rate({"a": "one two"}, {"a": ""})
    assert (rate.deletions, rate.value) == (2, 1.0)


def test_utterances_that_are_missing_or_extra_are_named():
    with pytest.raises(DataError, match="hypothesis lacks b.*reference lacks z"):
        word_error_rate({"a": "one", "b": "two"}, {"a": "one", "z": "two"})


@pytest.mark.parametrize("references", [{}, {"a": "  "}])
def test_nothing_to_score_is_an_error(references):
    with pytest.raises(DataError):
        word_error_rate(references, dict.fromkeys(references, "one"))


def test_the_interval_holds_the_value_and_shrinks_with_more_utterances():
    def rate(num_utts: int):
        references = {f"u{number:04d}": "a b c d e" for number in range(num_utts)}
        hypotheses = {utt_id: "a b c d x" if int(utt_id[1:]) % 3 else "a b c d e" for utt_id in references}
        return word_error_rate(references, hypotheses)

    few, many = rate(12), rate(600)
    for each in (few, many):
        assert 0 <= each.ci_low < each.value < each.ci_high <= 1
    assert many.ci_high - many.ci_low < (few.ci_high - few.ci_low) / 3


@pytest.mark.parametrize(("num_utts", "most"), [(10, 0.278), (500, 0.0076)])
def test_a_rate_of_zero_does_not_claim_that_there_is_never_an_error(num_utts, most):
    texts = {f"u{number:04d}": "a b c" for number in range(num_utts)}
    rate, measured = word_error_rate(texts, texts), Measurement("wer", {"model": "any"})
    for utt_id in texts:
        measured.add(utt_id, 0, 3)
    assert (rate.value, rate.ci_low) == (0, 0) and rate.ci_high == pytest.approx(most, abs=1e-3)
    assert measured.interval().ci_high == rate.ci_high


def test_the_interval_follows_the_seed_and_not_the_order_of_the_table():
    references = {f"u{number}": "a b c" for number in range(30)}
    hypotheses = {utt_id: "a b" if number % 4 else "x" for number, utt_id in enumerate(references)}
    reversed_references = dict(reversed(references.items()))
    rate = word_error_rate(references, hypotheses, seed=1)
    assert rate == word_error_rate(reversed_references, hypotheses, seed=1)
    assert (rate.ci_low, rate.ci_high) != tuple(
        getattr(word_error_rate(references, hypotheses, seed=2), name) for name in ("ci_low", "ci_high")
    )


def test_fewer_errors_than_the_baseline_are_a_negative_change():
    better = paired_difference(counts([4] * 40), counts([3, 2] * 20))
    assert better.value == pytest.approx(-0.375)
    assert better.ci_low <= better.value <= better.ci_high < 0
    worse = paired_difference(counts([3, 2] * 20), counts([4] * 40))
    assert worse.ci_low > 0


def test_identical_systems_do_not_differ():
    for errors in ([1, 0, 3, 2], [0, 0, 0, 0]):
        change = paired_difference(counts(errors), counts(errors))
        assert (change.value, change.ci_low, change.ci_high, change.num_utts) == (0, 0, 0, 4)


def test_an_unclear_change_has_zero_in_its_interval():
    change = paired_difference(counts([1, 0] * 10), counts([0, 1] * 9 + [1, 1]))
    assert change.ci_low < 0 < change.ci_high


def test_a_baseline_that_cannot_be_compared_with_is_refused():
    with pytest.raises(DataError, match="no error"):
        paired_difference(counts([0, 0]), counts([0, 1]))
    with pytest.raises(DataError, match="different references"):
        paired_difference(counts([1, 1]), counts([1, 1], num_words=9))
    with pytest.raises(DataError, match="lacks u1"):
        paired_difference(counts([1, 1]), counts([1]))


def test_the_interval_is_that_of_the_measures_beside_it():
    references = {f"u{number:02d}": "one two three"[: 3 + 4 * (number % 3)].strip() for number in range(30)}
    hypotheses = {
        utt_id: text.replace("one", "on") if int(utt_id[1:]) % 4 else text for utt_id, text in references.items()
    }
    rate, measured = word_error_rate(references, hypotheses), Measurement("wer", {"model": "any"})
    for utt_id, found in rate.per_utterance.items():
        measured.add(utt_id, found.errors, found.num_reference_units)
    interval = measured.interval()
    assert (rate.value, rate.ci_low, rate.ci_high) == pytest.approx((interval.value, interval.ci_low, interval.ci_high))
