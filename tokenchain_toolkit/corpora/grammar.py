"""Sentences from a phrase-structure grammar.

A grammar maps a symbol in upper case to its alternatives, separated by ``|``; every other word is spoken. An
alternative that starts with a number and ``*`` counts that many times.
"""

import random
from collections.abc import Mapping

from tokenchain_toolkit.errors import ConfigError

Rules = dict[str, list[list[str]]]


def parse_grammar(source: Mapping[str, str]) -> Rules:
    """Split a grammar's alternatives into symbols; ``S`` is where sentences start.

    Raises:
        ConfigError: A symbol is used and has no rule, or has a rule and is not used.
    """
    rules: Rules = {}
    for symbol, alternatives in source.items():
        rules[symbol] = []
        for alternative in alternatives.split("|"):
            parts = alternative.split()
            weight = 1
            if parts[0].endswith("*"):
                weight = int(parts.pop(0)[:-1])
            rules[symbol] += [parts] * weight
    used = {part for choices in rules.values() for parts in choices for part in parts if part.isupper()} | {"S"}
    odd = sorted(used ^ rules.keys())
    if odd:
        raise ConfigError(f"grammar: {', '.join(odd)} without a rule or without a use; add or remove it")
    return rules


def vocabulary(rules: Rules) -> set[str]:
    """All words that a grammar can say."""
    return {part for choices in rules.values() for parts in choices for part in parts if not part.isupper()}


def expand(rules: Rules, symbol: str, generator: random.Random) -> list[str]:
    """Words of one random expansion of ``symbol``."""
    words: list[str] = []
    for part in generator.choice(rules[symbol]):
        words += expand(rules, part, generator) if part.isupper() else [part]
    return words


def draw_sentences(
    rules: Rules, count: int, generator: random.Random, *, taken: set[str], min_words: int = 4, max_words: int = 9
) -> list[str]:
    """Draw sentences that are all different from each other and from those in ``taken``, which grows by them.

    Sentences outside [min_words, max_words], with a word twice in a row or with two equal content words are redrawn.

    Raises:
        ConfigError: The grammar does not hold so many sentences.
    """
    sentences: list[str] = []
    for _ in range(1000 + 200 * count):
        if len(sentences) == count:
            return sentences
        words = expand(rules, "S", generator)
        sentence = " ".join(words)
        content = [word for word in words if len(word) > 4]
        if not min_words <= len(words) <= max_words or sentence in taken or len(set(content)) < len(content):
            continue
        if any(left == right for left, right in zip(words, words[1:], strict=False)):
            continue
        taken.add(sentence)
        sentences.append(sentence)
    if len(sentences) == count:
        return sentences
    raise ConfigError(f"the grammar gave only {len(sentences)} different sentences of {count}; lower --scale")
