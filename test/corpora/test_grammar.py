import random
import re
import subprocess
import sys

import pytest

from tokenchain_toolkit.corpora.grammar import draw_sentences, parse_grammar, vocabulary
from tokenchain_toolkit.corpora.mini_synth import DOMAINS, draw_texts
from tokenchain_toolkit.errors import ConfigError


def test_no_sentence_occurs_twice_in_the_whole_corpus():
    sentences = [sentence for texts in draw_texts(seed=0, scale=1.0).values() for sentence in texts]
    assert len(sentences) == sum(count for domain in DOMAINS for count in domain.utterances.values())
    assert len(set(sentences)) == len(sentences)


def test_sentences_have_four_to_nine_plain_words():
    for texts in draw_texts(seed=1, scale=0.1).values():
        for sentence in texts:
            assert re.fullmatch(r"[a-z']+( [a-z']+){3,8}", sentence)


def test_texts_follow_from_the_seed_in_another_process_too():
    code = "from tokenchain_toolkit.corpora.mini_synth import draw_texts; import sys; "
    code += "sys.stdout.write(repr(draw_texts(seed=3, scale=0.01)))"
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert elsewhere == repr(draw_texts(seed=3, scale=0.01))
    assert elsewhere != repr(draw_texts(seed=4, scale=0.01))


def test_training_text_holds_every_word_of_the_tests():
    texts = draw_texts(seed=0, scale=1.0)
    for domain in DOMAINS:
        train = {word for sentence in texts[f"{domain.name}_train"] for word in sentence.split()}
        assert train == vocabulary(parse_grammar(domain.grammar))


def test_domains_share_no_voice():
    variants = [voice.split("+")[1] for domain in DOMAINS for voice in domain.voices]
    assert len(set(variants)) == len(variants)


@pytest.mark.parametrize("source", [{"S": "the DOG runs home"}, {"S": "we all run home", "CAT": "cat"}])
def test_a_symbol_without_rule_or_use_is_named(source):
    with pytest.raises(ConfigError, match="DOG|CAT"):
        parse_grammar(source)


def test_a_grammar_that_is_too_small_says_so():
    rules = parse_grammar({"S": "one two three four | 3* five six seven eight"})
    assert len(draw_sentences(rules, 2, random.Random(0), taken=set())) == 2
    with pytest.raises(ConfigError, match="only 2 different"):
        draw_sentences(rules, 3, random.Random(0), taken=set())
