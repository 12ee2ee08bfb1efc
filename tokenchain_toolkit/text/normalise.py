"""Named text normalisers; scores and token lists carry the name of the one that they used."""

import unicodedata
from collections.abc import Callable

from tokenchain_toolkit.errors import ConfigError

Normaliser = Callable[[str], str]

APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'"})


def tidy(text: str) -> str:
    """Unicode NFC, control characters as spaces, single spaces between words, none at the ends."""
    visible = "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)
    return " ".join(unicodedata.normalize("NFC", visible).split())


def lower(text: str) -> str:
    """Lower case, tidied."""
    return tidy(text.lower())


def upper(text: str) -> str:
    """Upper case, tidied."""
    return tidy(text.upper())


def words(text: str) -> str:
    """Lower case without punctuation: letters, combining marks, digits and the apostrophes within words.

    For comparing with a recogniser that writes case and punctuation of its own.
    """
    characters = lower(text).translate(APOSTROPHES)
    kept = "".join(
        character if character == "'" or unicodedata.category(character)[0] in "LMN" else " "
        for character in characters
    )
    return " ".join(word for word in (word.strip("'") for word in kept.split()) if word)


NORMALISERS: dict[str, Normaliser] = {"none": tidy, "lower": lower, "upper": upper, "words": words}


def get_normaliser(name: str) -> Normaliser:
    """The normaliser of that name.

    Raises:
        ConfigError: There is none.
    """
    if name not in NORMALISERS:
        raise ConfigError(f"normaliser={name}: no such normaliser; choose one of {', '.join(NORMALISERS)}")
    return NORMALISERS[name]
