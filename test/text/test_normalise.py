import pytest

from tokenchain_toolkit.config import text as config
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.text.normalise import NORMALISERS, get_normaliser


@pytest.mark.parametrize("name", NORMALISERS)
@pytest.mark.parametrize("text", ["Déjà  vu,\tall’s well!", "e\u0301t\u00e9\x00 x", "", "'twas the dogs'", "İstanbul"])
def test_a_second_pass_changes_nothing(name: str, text: str) -> None:
    normalise = get_normaliser(name)
    once = normalise(text)
    assert normalise(once) == once


def test_composed_and_decomposed_letters_become_equal() -> None:
    assert get_normaliser("none")("e\u0301") == get_normaliser("none")("\u00e9") == "\u00e9"


def test_case_follows_the_name() -> None:
    assert get_normaliser("lower")("Ab  C") == "ab c"
    assert get_normaliser("upper")("Ab  C") == "AB C"
    assert get_normaliser("none")(" Ab  C ") == "Ab C"


def test_words_drops_punctuation_and_keeps_inner_apostrophes() -> None:
    assert get_normaliser("words")("“Don’t,” he said -- 'go' (now)!") == "don't he said go now"


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="normaliser=shout.*none, lower, upper, words"):
        get_normaliser("shout")


def test_configurations_know_every_normaliser():
    assert tuple(NORMALISERS) == config.NORMALISERS
