"""Probes find what is in the tokens, and only that."""

import numpy as np
import pytest

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics.probes import content_probe, speaker_probe

CLUSTERS = 12


def test_a_speaker_who_has_clusters_of_their_own_is_found_and_others_are_not():
    random = np.random.default_rng(0)
    speakers = ["ann", "bob"] * 30
    told = [random.integers(0, 6, 50) + 6 * (name == "bob") for name in speakers]
    untold = [random.integers(0, CLUSTERS, 50) for _ in speakers]
    accuracy, chance = speaker_probe(told, speakers, num_clusters=CLUSTERS)
    assert accuracy == 1 and chance == 0.5
    assert speaker_probe(untold, speakers, num_clusters=CLUSTERS)[0] < 0.75


def test_letters_that_stand_in_the_tokens_are_read_and_others_are_not():
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("abcd"), 6)) for _ in range(300)]
    told = [np.array(["abcd".index(one) * 3 + n // 2 for one in text for n in range(6)]) for text in texts]
    untold = [random.integers(0, CLUSTERS, 36) for _ in texts]
    assert content_probe(told, texts, num_clusters=CLUSTERS, epochs=15) < 0.1
    assert content_probe(untold, texts, num_clusters=CLUSTERS, epochs=3) > 0.5
    again = [content_probe(told[:60], texts[:60], num_clusters=CLUSTERS, epochs=2) for _ in range(2)]
    assert again[0] == again[1]


def test_sets_that_are_too_small_are_named():
    with pytest.raises(DataError, match="two speakers"):
        speaker_probe([np.zeros(5, int)] * 9, ["ann"] * 5 + ["bob"] * 4, num_clusters=CLUSTERS)
    with pytest.raises(DataError, match="ten utterances"):
        content_probe([np.zeros(5, int)] * 9, ["a"] * 9, num_clusters=CLUSTERS)
