"""What the sets of a recipe must have in common, and what not."""

from dataclasses import replace
from pathlib import Path

import pytest

from tokenchain_toolkit.recipe.sets import (
    TEST,
    TRAIN,
    VALID,
    Purposes,
    check_ids_and_paths,
    check_overlap,
    check_purposes,
    check_texts,
    read_set,
)

CHECKS = (check_ids_and_paths, check_texts, check_overlap)


def findings(recipe):
    sets = [
        read_set(recipe, Path("data", name), role)
        for name, role in (("train", TRAIN), ("valid", VALID), ("test", TEST))
    ]
    found = [check(sets) for check in CHECKS]
    return [text for one in found for text in one.problems], [text for one in found for text in one.warnings]


def test_good_sets(new_recipe):
    assert findings(new_recipe) == ([], [])


@pytest.mark.parametrize(
    ("name", "old", "new", "parts"),
    [
        ("valid/utt2spk", "0 bob", "0 rob", ("data/valid/utt2spk:1: bob-valid-0", "speaker, rob", "rob-bob-valid-0")),
        ("test/text", "a cab", "a\u200bcab", ("data/test/text:1: cy-test-0: characters that cannot be seen", "U+200B")),
        ("test/text", "a cab", "a\u2028cab", ("data/test/text:1: cy-test-0: characters that", "U+2028")),
        ("test/text", "a cab", "a\u00a0cab", ("data/test/text:1: cy-test-0: characters that", "U+00A0")),
        ("test/text", "a cab", "a\0cab", ("data/test/text:1: cy-test-0: characters that", "U+0000")),
        ("test/text", "cab", "c▁b", ("data/test/text:1: ", "U+2581", "take them out")),
        ("test/text", "cab", "Cab", ("lower in data/train/text:1 and upper in data/test/text:1", "in one case")),
        (
            "valid/text",
            "bad",
            "bad 2",
            ("data/valid/text: digits that no training text has: '2'", "line 1", "as words"),
        ),
        ("test/text", "cab", "CABÉ", ("data/test/text: characters that no training text has: 'É' (the first in",)),
        (
            "test/text",
            "cab",
            "deed",
            ("data/test/text: characters that no training text has: 'e'", "required_characters in conf/bpe.yaml"),
        ),
    ],
)
def test_faults_are_named_with_their_place_and_remedy(new_recipe, edit, name, old, new, parts):
    edit(new_recipe / "data" / name, old, new)
    problems, _ = findings(new_recipe)
    assert problems
    for part in parts:
        assert part in "\n".join(problems)


def test_what_is_not_said_as_it_stands_is_a_warning(new_recipe, edit):
    edit(new_recipe / "data/train/text", "a ", "a, 2 ")
    problems, warnings = findings(new_recipe)
    assert not problems
    assert "data/train/text: digits in 2 texts (line 1, line 2): '2'; write numbers as words" in warnings[0]
    assert "data/train/text: punctuation in 2 texts (line 1, line 2): ','; take it out" in warnings[1]


def test_a_training_set_that_is_smaller_than_validation_may_be_swapped(new_recipe):
    train, valid = (read_set(new_recipe, Path("data") / name, TRAIN) for name in ("train", "valid"))
    smaller = replace(train, wavs=train.wavs[:1])
    (told,) = check_overlap([smaller, replace(valid, role=VALID)]).warnings
    assert "data/valid (validation) has 2 utterances and data/train 1" in told and "swapped in run.sh" in told


@pytest.mark.parametrize(
    ("valid", "checked", "evaluated", "problem", "warning"),
    [
        ("valid", "train valid test", "", "", ""),
        ("train", "train train test", "", "train is the training set and named for validation or test", ""),
        ("valid", "train valid train", "", "train is the training set and named for validation or test", ""),
        ("valid", "train valid test", "test train", "train is the training set and named for validation or test", ""),
        ("valid", "train valid test test", "", "test is named 2 times as a test set", ""),
        ("valid", "train valid valid", "", "", "valid is named for validation and test"),
        ("valid", "train valid", "valid", "", "valid is named for validation and test"),
    ],
)
def test_a_set_has_one_purpose(valid, checked, evaluated, problem, warning):
    named = [[Path(name) for name in names.split()] for names in ("train", valid, checked, evaluated)]
    found = check_purposes(Purposes(*named))
    for told, part in ((found.problems, problem), (found.warnings, warning)):
        assert len(told) == bool(part) and all(part in one for one in told)


def test_the_order_of_the_sets_does_not_matter_for_what_they_share(new_recipe):
    train, test = (read_set(new_recipe, Path("data/train"), role) for role in (TRAIN, TEST))
    assert check_overlap([train, test]).problems == check_overlap([test, train]).problems != []


def test_a_relative_path(new_recipe, edit):
    wav = str(new_recipe / "data" / "wav" / "cy-test-0.wav")
    edit(new_recipe / "data" / "test" / "wav.scp", wav, "data/wav/cy-test-0.wav")
    ((problem,), _) = findings(new_recipe)
    assert "data/test/wav.scp:1: cy-test-0: data/wav/cy-test-0.wav is a relative path" in problem
    assert problem.endswith(str(Path("data/wav/cy-test-0.wav").resolve()))


def test_an_utterance_in_training_and_test(new_recipe):
    for name in ("wav.scp", "text", "utt2spk"):
        path = new_recipe / "data" / "test" / name
        path.write_text((new_recipe / "data" / "train" / name).read_text() + path.read_text())
    problems, warnings = findings(new_recipe)
    assert "data/test (test) and data/train (training) share 2 utterances: ann-train-0, ann-train-1" in problems[0]
    assert "local/data.sh" in problems[0] and len(problems) == 1
    assert "data/test has 1 speaker of data/train: ann; fine if this is meant" in warnings[0]


def test_texts_of_a_test_that_stand_in_training_too(new_recipe, edit):
    texts = new_recipe / "data" / "test" / "text"
    texts.write_text("".join(f"cy-test-{number} {'b' * (number + 1)}\n" for number in range(20)))
    edit(texts, "cy-test-3 bbbb\n", "cy-test-3 a bad cab\n")
    assert findings(new_recipe) == ([], []), "one of 20 may well be"
    edit(texts, "cy-test-7 bbbbbbbb\n", "cy-test-7 a bad cab\n")
    problems, (warning,) = findings(new_recipe)
    assert not problems
    assert "data/test: 2 of 20 texts stand word for word in data/train, too: cy-test-3, cy-test-7; fine if" in warning


def test_an_utterance_in_validation_and_test_is_allowed_and_said(new_recipe):
    for name in ("wav.scp", "text", "utt2spk"):
        path = new_recipe / "data" / "test" / name
        path.write_text((new_recipe / "data" / "valid" / name).read_text() + path.read_text())
    problems, (warning,) = findings(new_recipe)
    assert not problems
    assert "data/test (test) and data/valid (validation) share 2 utterances: bob-valid-0, bob-valid-1" in warning
    assert "models are chosen by them, so the figures of data/test are no test on unseen speech" in warning


def test_a_recording_under_two_names(new_recipe, edit):
    other = str(new_recipe / "data" / "wav" / "ann-train-1.wav")
    edit(new_recipe / "data" / "valid" / "wav.scp", str(new_recipe / "data" / "wav" / "bob-valid-0.wav"), other)
    ((problem,), _) = findings(new_recipe)
    assert "share 1 recordings: ann-train-1 and bob-valid-0" in problem


def test_tables_that_cannot_be_read_are_left_to_validation(new_recipe):
    (new_recipe / "data" / "test" / "text").write_bytes(b"\xff")
    (new_recipe / "data" / "valid" / "text").unlink()
    assert findings(new_recipe) == ([], [])


def test_text_units_may_be_told_to_have_a_character(new_recipe, edit):
    edit(new_recipe / "data" / "test" / "text", "cab", "cab's")
    sets = [read_set(new_recipe, Path("data", name), role) for name, role in (("train", TRAIN), ("test", TEST))]
    assert len(check_texts(sets).problems) == 1
    assert not check_texts(sets, required_characters="'s").problems
