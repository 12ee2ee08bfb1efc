"""Datasets: prompts of the same speaker, reproducible; padding; utterances left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tokenchain_toolkit.config.training import DataConfig
from tokenchain_toolkit.data.dataset import TokenDataset, collate
from tokenchain_toolkit.errors import DataError

PROMPTS = DataConfig(min_prompt_frames=2, max_prompt_frames=8)


def find(corpus, prompt_codes_PQ, prompt_P):
    """Utterances of which the prompt is a crop."""
    size = len(prompt_P)
    return {
        index
        for index in range(len(corpus.dump))
        for start in range(corpus.dump.lengths[index] - size + 1)
        if np.array_equal(corpus.dump.semantic_of(index)[start : start + size], prompt_P)
        and np.array_equal(corpus.dump.codes_of(index)[start : start + size], prompt_codes_PQ)
    }


def distinct(make_corpus, speakers):
    """A corpus in which each utterance has tokens of its own, so that a crop tells where it is from."""
    corpus = make_corpus("abcde"[: len(speakers)], speakers=speakers)
    for index in range(len(speakers)):
        corpus.dump.semantic_of(index)[:] = index
        corpus.dump.codes_of(index)[:] = index
    return corpus


def test_a_prompt_is_of_another_utterance_of_the_same_speaker(make_corpus):
    speakers = ["ann", "bob", "ann", "cy", "ann"]
    corpus, origins = distinct(make_corpus, speakers), {index: set() for index in range(5)}
    for epoch in range(12):
        dataset = TokenDataset(corpus, PROMPTS, seed=0, epoch=epoch)
        for index in range(5):
            example = dataset[index]
            assert 2 <= len(example.prompt_P) <= 6  # utterances have six frames
            (origin,) = find(corpus, example.prompt_codes_PQ, example.prompt_P)
            origins[index].add(origin)
    assert origins == {0: {2, 4}, 1: {1}, 2: {0, 4}, 3: {3}, 4: {0, 2}}


@pytest.mark.parametrize("longest", [4, 8, 50])
def test_the_only_utterance_of_a_speaker_is_cut_into_prompt_and_target(make_corpus, longest):
    corpus, lengths = make_corpus(["abc", "bad", "d", "cab de"], speakers=["ann", "bob", "cy", "bob"]), {0: set()}
    prompts = DataConfig(min_prompt_frames=2, max_prompt_frames=longest)
    for epoch in range(30):
        dataset, again = (TokenDataset(corpus, prompts, seed=0, epoch=epoch) for _ in range(2))
        assert dataset.num_alone == 2
        for index in (0, 2):
            whole_T, example = corpus.dump.semantic_of(index), dataset[index]
            assert np.array_equal(np.concatenate([example.prompt_P, example.semantic_T]), whole_T)
            codes_TQ = np.concatenate([example.prompt_codes_PQ, example.codes_TQ])
            assert np.array_equal(codes_TQ, corpus.dump.codes_of(index)) and example.prompt_id == example.utt_id
            assert min(2, len(whole_T) // 2) <= len(example.prompt_P) <= min(longest, len(whole_T) // 2)
            assert np.array_equal(again[index].prompt_P, example.prompt_P)
            lengths.setdefault(index, set()).add(len(example.prompt_P))
        assert len(dataset[1].semantic_T) == corpus.dump.lengths[1] and dataset[1].prompt_id == "utt3"
        positions = np.array([0, 1, 2])
        assert dataset.size_of(positions) == collate([dataset[index] for index in positions]).size
    assert lengths[0] == set(range(2, min(longest, 9) + 1)), "the length is drawn anew every epoch"


def test_without_codes_the_only_utterance_of_a_speaker_is_whole_and_has_no_prompt(make_corpus):
    corpus = make_corpus(["abc", "bad", "cab de"], speakers=["ann", "bob", "bob"])
    corpus.dump = replace(corpus.dump, codes=None)
    dataset = TokenDataset(corpus, PROMPTS, seed=0, epoch=0)
    assert len(dataset[0].prompt_P) == 0 and np.array_equal(dataset[0].semantic_T, corpus.dump.semantic_of(0))
    assert dataset.size_of(np.arange(3)).num_frames == len(corpus.dump.semantic)
    assert len(dataset[1].prompt_P) >= 2 and dataset[1].prompt_id == "utt2"


def test_one_frame_alone_is_all_target(make_corpus):
    corpus = make_corpus(["a"], speakers=["ann"])
    corpus.dump = replace(corpus.dump, offsets=np.array([0, 1]))
    example = TokenDataset(corpus, PROMPTS, seed=0, epoch=0)[0]
    assert (len(example.prompt_P), len(example.semantic_T)) == (0, 1)


def test_prompts_follow_from_seed_epoch_and_index(make_corpus):
    corpus = make_corpus(speakers=["ann"] * 8)

    def prompts(seed, epoch, order=range(8)):
        dataset = TokenDataset(corpus, PROMPTS, seed=seed, epoch=epoch)
        found = {index: dataset[index].prompt_P.tolist() for index in order}
        return [found[index] for index in range(8)]

    assert prompts(0, 3) == prompts(0, 3, order=reversed(range(8)))
    assert prompts(0, 3) != prompts(0, 4) != prompts(1, 4)


def test_the_prompts_utterance_tells_the_pace_of_its_speaker(make_corpus):
    corpus = make_corpus(["abc", "bad", "d"], speakers=["ann", "ann", "bob"])
    dataset = TokenDataset(corpus, PROMPTS, seed=0, epoch=0)
    for index, other in ((0, 1), (1, 0)):
        assert np.array_equal(dataset[index].prompt_text_L, corpus.texts[other])
        assert dataset[index].prompt_utt_frames == corpus.dump.lengths[other]
    alone, unprompted = dataset[2], TokenDataset(corpus, DataConfig(), seed=0, epoch=0)[0]
    assert (len(alone.prompt_text_L), alone.prompt_utt_frames) == (0, 0), "its own length is the answer"
    assert (len(unprompted.prompt_text_L), unprompted.prompt_utt_frames) == (0, 0)


def test_no_prompt_is_asked_for(make_corpus):
    example = TokenDataset(make_corpus(), DataConfig(), seed=0, epoch=0)[0]
    assert len(example.prompt_P) == 0 and example.prompt_codes_PQ.shape == (0, 3)


def test_what_is_left_out_is_neither_an_example_nor_a_prompt(make_corpus):
    corpus = distinct(make_corpus, ["ann"] * 5)
    corpus.skip({1: "too long", 3: "too short"}, max_share=0.5)
    assert corpus.skipped == {"utt1": "too long", "utt3": "too short"}
    for epoch in range(8):
        dataset = TokenDataset(corpus, PROMPTS, seed=0, epoch=epoch)
        assert [dataset[index].utt_id for index in range(len(dataset))] == ["utt0", "utt2", "utt4"]
        assert {int(dataset[index].prompt_P[0]) for index in range(3)} <= {0, 2, 4}
    assert dataset.lengths.tolist() == [6, 6, 6]


def test_leaving_out_too_much_is_refused_and_changes_nothing(make_corpus):
    corpus = make_corpus()
    with pytest.raises(DataError, match="1 of 8 utterances cannot be used.*utt5: too long"):
        corpus.skip({5: "too long"})
    assert len(corpus.usable) == 8 and not corpus.skipped


def test_collate_pads_and_keeps_lengths(make_corpus):
    corpus = make_corpus()
    dataset = TokenDataset(corpus, PROMPTS, seed=0, epoch=0)
    examples = [dataset[index] for index in (1, 2, 0)]
    batch = collate(examples)
    assert batch.utt_ids == ["utt1", "utt2", "utt0"] and len(batch) == 3
    assert batch.semantic_lengths_B.tolist() == [36, 12, 18] and batch.semantic_BT.shape == (3, 36)
    assert batch.codes_BTQ.shape == (3, 36, 3) and batch.prompt_codes_BPQ.shape[:2] == batch.prompt_BP.shape
    assert {t.dtype for t in (batch.semantic_BT, batch.text_BL, batch.prompt_BP, batch.codes_BTQ)} == {torch.int64}
    for row, example in enumerate(examples):
        length = len(example.semantic_T)
        assert batch.semantic_BT[row, :length].tolist() == example.semantic_T.tolist()
        assert batch.codes_BTQ[row, :length].tolist() == example.codes_TQ.tolist()
        assert batch.text_BL[row, : batch.text_lengths_B[row]].tolist() == example.text_L.tolist()
        assert batch.prompt_BP[row, : batch.prompt_lengths_B[row]].tolist() == example.prompt_P.tolist()
    assert int(batch.semantic_BT.min()) >= 0 and int(batch.text_BL.min()) >= 0
