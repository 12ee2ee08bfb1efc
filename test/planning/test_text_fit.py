"""Text units that can be learned, and whether CTC can spell the texts in them, by the rule that training has."""

import numpy as np
import pytest

from tokenchain_toolkit.config.text import BPEConfig
from tokenchain_toolkit.data.corpus import load_corpus, skip_unusable
from tokenchain_toolkit.data.kaldi import write_table
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.models.asr import encoder_frames
from tokenchain_toolkit.planning.findings import FAIL, OK, WARN
from tokenchain_toolkit.planning.sets import SetFacts
from tokenchain_toolkit.planning.text_fit import (
    CtcFacts,
    ctc_of_dump,
    ctc_of_durations,
    describe_ctc,
    try_text_units,
)
from tokenchain_toolkit.text.bpe import TextTokenizer


@pytest.fixture(scope="module")
def hasty(recipe, manifest):
    """A set of which one utterance is spoken much too fast for its text."""
    spoken = {"fast000": np.zeros(8, np.int16)}
    return recipe.add_set("hasty", ["dee", "abc", "cab de"], manifest=manifest, spoken=spoken, prefix="fast")


@pytest.fixture
def compare(recipe):
    """A function that compares the tokens and texts of a set."""
    text_tokenizer = TextTokenizer.load(recipe.root / "token_list")

    def build(data, dump, input_layer="conv1d2"):
        units = {"text_tokenizer": text_tokenizer, "input_layer": input_layer}
        return ctc_of_dump("train", dump, data, basis="tokens", **units)

    return build


def test_ctc_fails_where_training_would_leave_utterances_out(recipe, hasty, compare):
    facts = compare(hasty["train_data"], hasty["train_dump"])
    text_tokenizer = TextTokenizer.load(recipe.root / "token_list")
    corpus = load_corpus(hasty["train_dump"], hasty["train_data"], text_tokenizer=text_tokenizer)
    skip_unusable(corpus, max_frames=1000, encoder_frames=lambda n: encoder_frames(n, "conv1d2"), max_share=1.0)
    assert set(facts.shortages) == set(corpus.skipped) == {"fast000"}
    # The start of a word, d, e and e, with a blank between the equal ones: five, and there are (8 - 2 - 3) // 2 + 1.
    assert facts.shortages == {"fast000": 3}
    found = describe_ctc(facts, input_layer="conv1d2")
    assert found.status == FAIL and "1 of 3 utterances (33.33%)" in found.found and "fast000 lacks 3" in found.found
    assert "model.input_layer=linear" in found.remedy and "0.00%" in found.remedy


def test_enough_frames_are_fine(recipe, compare):
    facts = compare(recipe.root / "data", recipe.root / "dump", "conv1d1")
    assert describe_ctc(facts, input_layer="conv1d1").status == OK
    assert 4 < facts.frames_per_unit < 6, "six frames a character, and a unit for the start of each text"


def test_a_small_share_is_a_warning(hasty, compare):
    facts = compare(hasty["train_data"], hasty["train_dump"])
    found = describe_ctc(CtcFacts(**{**vars(facts), "num_utts": 1000}), input_layer="conv1d2")
    assert found.status == WARN and "skipped.tsv" in found.remedy


def test_where_nothing_is_trained_on_it_is_a_warning(hasty, compare):
    facts = compare(hasty["train_data"], hasty["train_dump"])
    found = describe_ctc(facts, input_layer="conv1d2", use="only decoded")
    assert found.status == WARN and found.remedy.startswith("only decoded") and "input_layer=linear" in found.remedy


def test_nothing_is_said_of_no_utterances(hasty):
    common = {"text_tokenizer": None, "input_layer": "conv1d2", "frame_rate": 50.0, "basis": "durations"}
    with pytest.raises(DataError, match="far has no utterance"):
        ctc_of_durations(SetFacts("far", 3, {}, is_sampled=False), hasty["train_data"], **common)


def test_durations_tell_the_same_before_there_are_tokens(recipe, hasty, compare):
    of_tokens = compare(hasty["train_data"], hasty["train_dump"])
    facts = SetFacts("train", 3, {"fast000": 8 / 50, "fast001": 18 / 50, "fast002": 36 / 50}, is_sampled=False)
    of_durations = ctc_of_durations(
        facts,
        hasty["train_data"],
        text_tokenizer=TextTokenizer.load(recipe.root / "token_list"),
        input_layer="conv1d2",
        frame_rate=50.0,
        basis="tokens",
    )
    assert of_durations == of_tokens


def test_units_that_the_texts_do_not_give_are_refused(tmp_path):
    write_table(tmp_path / "text", {f"u{n}": f"one two three {n}" for n in range(9)})
    assert try_text_units(tmp_path / "text", BPEConfig(model_type="char")).vocab_size > 10
    with pytest.raises(ConfigError, match="vocab_size"):
        try_text_units(tmp_path / "text", BPEConfig(vocab_size=5000))
