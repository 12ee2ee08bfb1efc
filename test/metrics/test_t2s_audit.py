"""The audit of T2S: each fault on a made-up example that has it and on its nearest neighbour that has not."""

import json

import numpy as np
import pytest

from tokenchain_toolkit.bin.audit_t2s import main
from tokenchain_toolkit.data.token_dump import write_dump
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics.t2s_audit import (
    ANY,
    EARLY_RATIO,
    EARLY_STOP,
    FAULTS,
    REPETITION,
    RUNAWAY,
    RUNAWAY_RATIO,
    SKIP,
    UtteranceAudit,
    audit,
    fault_shares,
)

TEXT = "the old dog ate my warm bread today"


def faults(hypothesis, *, reference=TEXT, frames=100, natural=100, ended=True):
    (found,) = audit(
        {"u": reference},
        {"u": hypothesis},
        {"u": frames},
        natural_lengths={"u": natural},
        unfinished=set() if ended else {"u"},
    )
    return set(found.faults)


@pytest.mark.parametrize("frames", [int(100 * EARLY_RATIO), 100, int(100 * RUNAWAY_RATIO)])
def test_speech_that_is_read_right_and_not_far_off_in_length_has_no_fault(frames):
    assert faults(TEXT, frames=frames) == set()


@pytest.mark.parametrize(
    "hypothesis",
    [
        "the cold dog ate my worn bread today",  # substitutions
        "the old dog my warm bread today",  # one word missing inside
        "the old dog ate my warm bread",  # one at the end
        "the old dog ate all of my warm bread today",  # words of its own
        "the old dog eight my swarm bread to day",
    ],
)
def test_ordinary_errors_of_a_recogniser_are_no_fault(hypothesis):
    assert faults(hypothesis) == set()


def test_a_runaway_does_not_end_or_is_far_too_long():
    assert faults(TEXT, ended=False) == {RUNAWAY}
    assert faults(TEXT, frames=int(100 * RUNAWAY_RATIO) + 1) == {RUNAWAY}


def test_an_early_stop_is_far_too_short_or_lacks_the_end_of_the_text():
    assert faults(TEXT, frames=int(100 * EARLY_RATIO) - 1) == {EARLY_STOP}
    assert faults("the old dog ate my warm") == {EARLY_STOP}
    assert faults("") == {EARLY_STOP}
    for hypothesis in ("the old dog tie", "the old dog ate tie", "the a", "the old dogs", "so wrong"):
        assert faults(hypothesis, frames=55) == {EARLY_STOP}
    # It was cut off, so it did not stop.
    assert faults("the old dog ate", ended=False) == {RUNAWAY}


@pytest.mark.parametrize(
    "hypothesis",
    ["bold ate my warm bread today", "the old dog ate my tie", "the old dog at worm today", "a ate b warm c"],
)
def test_beside_words_that_were_misread_a_single_one_may_be_missing(hypothesis):
    assert faults(hypothesis) == set()


@pytest.mark.parametrize(
    "hypothesis",
    [
        "the old dog warm bread today",
        "dog ate my warm bread today",
        "the warm bread today",
        "the old bug bread today",
        "tied today",
    ],
    ids=["inside", "at the beginning", "many", "beside a misread word", "nearly all"],
)
def test_a_skip_is_several_words_in_a_row(hypothesis):
    assert faults(hypothesis) == {SKIP}


def test_single_words_missing_here_and_there_are_no_skip():
    assert faults("the old ate my bread today") == set()


@pytest.mark.parametrize(
    "hypothesis",
    [
        "the the old dog ate my warm bread today",
        "the old dog ate my warm bread today today today",
        "the old dog the old dog ate my warm bread today",
        "the old dog ate my warm ate my warm broad today",
        f"{TEXT} {TEXT}",
    ],
)
def test_a_repetition_is_a_phrase_right_after_itself(hypothesis):
    assert faults(hypothesis) == {REPETITION}


@pytest.mark.parametrize(
    ("reference", "hypothesis"),
    [
        ("he had had it all", "he had had it all"),  # the text has it twice
        ("this this this is it", "this this is it"),
        ("the mat that sat there", "the that that sat there"),  # mistaken for its neighbour
        (TEXT, "the old dog and the old dog ate my warm bread today"),  # not right after itself
        (TEXT, "the old dog ate no no my warm bread today"),  # no phrase of the text
        (TEXT, "the old dog ate my ate my bread today"),  # perhaps a misread word
    ],
)
def test_what_is_no_repetition(reference, hypothesis):
    assert REPETITION not in faults(hypothesis, reference=reference)


def test_an_utterance_may_have_several_faults_in_a_fixed_order():
    (found,) = audit(
        {"u": f"{TEXT} again"},
        {"u": "the the old dog ate bread"},
        {"u": 700},
        natural_lengths={"u": 100},
        unfinished=set(),
    )
    assert found.faults == (RUNAWAY, EARLY_STOP, REPETITION, SKIP) == FAULTS
    assert found.word_errors == 5


def test_short_texts_can_be_wholly_missing():
    assert faults("", reference="no") == faults("", reference="oh no") == {EARLY_STOP}
    assert faults("oh", reference="oh no") == set()


def test_unknown_lengths_are_expected_from_the_text_and_the_known_ones():
    texts = {f"u{n}": "a" * n for n in range(2, 12)}
    drawn = {utt_id: 20 + 5 * len(text) for utt_id, text in texts.items()} | {"u7": 300}

    def faulty(natural, unfinished=()):
        found = audit(texts, texts, drawn, natural_lengths=natural, unfinished=unfinished)
        return {each.utt_id: each.faults for each in found if each.faults}, {e.utt_id: e.expected_frames for e in found}

    some = {"u2": 30, "u11": 75, "elsewhere": 9}
    for natural, unfinished in ((some, set()), ({}, {"u7"})):
        found, expected = faulty(natural, unfinished)
        assert found == {"u7": (RUNAWAY,)}
        assert expected["u7"] == pytest.approx(20 + 5 * 7)


def test_the_shares_count_each_fault_and_any():
    rows = [(RUNAWAY, SKIP), (SKIP,), (), ()] * 25
    found = [UtteranceAudit(f"u{n}", each, 1, 1.0, True, 0, "a", "a") for n, each in enumerate(rows)]
    shares = fault_shares(found)
    assert {fault: share.value for fault, share in shares.items()} == {
        RUNAWAY: 0.25,
        EARLY_STOP: 0.0,
        REPETITION: 0.0,
        SKIP: 0.5,
        ANY: 0.5,
    }
    for share in shares.values():
        assert share.num_utts == 100 and share.num_faulty == round(100 * share.value)
        assert share.ci_low <= share.value <= share.ci_high
    # Twice the standard error of a share of 0.5 among 100.
    assert shares[SKIP].ci_high - shares[SKIP].ci_low == pytest.approx(4 * 0.05, abs=0.03)
    # None of a hundred does not mean that there is none: with 3.7 %, that happens in one of forty trials.
    assert shares[REPETITION].ci_low == 0 and shares[REPETITION].ci_high == pytest.approx(0.037, abs=1e-3)


def test_utterances_that_nobody_read_are_named():
    with pytest.raises(DataError, match="1 drawn utterances have no hypothesis, first b"):
        audit({"a": "x", "b": "x"}, {"a": "x"}, {"a": 1, "b": 1}, natural_lengths={}, unfinished=set())
    with pytest.raises(DataError, match="nothing to audit"):
        audit({}, {}, {}, natural_lengths={}, unfinished=set())


@pytest.fixture
def decoded(tmp_path, manifest):
    """Folder of a decoded set of three utterances, the last of which ran away; arguments of the command."""
    lengths = {"good": 40, "late": 39, "long": 90}
    for name, rows in (("drawn", lengths), ("natural", dict.fromkeys([*lengths, "other"], 41))):
        tokens = [(utt_id, np.zeros(frames, np.int16), None) for utt_id, frames in rows.items()]
        write_dump(tmp_path / name, tokens, manifest={**manifest, "acoustic": None})
    (tmp_path / "drawn" / "unfinished.json").write_text('["long"]')
    (tmp_path / "ref").write_text("good one two three\nlate one two three\nlong one two three\nother one\n")
    (tmp_path / "hyp").write_text("good one two three\nlate three\nlong one two three two three\n")
    named = {"hyp": "hyp", "ref": "ref", "dump": "drawn", "natural": "natural", "out": "audit.json"}
    return tmp_path, [text for key, name in named.items() for text in (f"--{key}", str(tmp_path / name))]


def test_the_command_writes_shares_faults_and_the_worst(decoded, caplog):
    folder, arguments = decoded
    with caplog.at_level("INFO"):
        assert main([*arguments, "--worst", "1"]) == 0
    found = json.loads((folder / "audit.json").read_text())
    assert found["faulty"] == {"late": [SKIP], "long": [RUNAWAY, REPETITION]}
    assert [each["utt_id"] for each in found["worst"]] == ["long"]
    assert found["worst"][0]["hypothesis"] == "one two three two three"
    assert found["shares"]["any"]["value"] == pytest.approx(2 / 3) and found["shares"]["any"]["num_utts"] == 3
    assert "runaway" in caplog.text and "1 of 3" in caplog.text


def test_a_dump_that_was_not_drawn_is_refused(decoded):
    folder, arguments = decoded
    (folder / "drawn" / "unfinished.json").unlink()
    assert main(arguments) == 1
    assert not (folder / "audit.json").exists()
