"""Batches: a partition within bounds, decided by seed and epoch, the same for any number of devices."""

from types import SimpleNamespace

import numpy as np
import pytest

from tokenchain_toolkit.config.training import DataConfig, TrainingConfig
from tokenchain_toolkit.data.batching import make_batches, padding_share
from tokenchain_toolkit.data.module import FixedBatches, TokenDataModule

LENGTHS = np.random.default_rng(0).integers(10, 400, 237)
BOUNDS = {"batch_frames": 2000, "max_batch_size": 30}


def as_lists(batches):
    return [batch.tolist() for batch in batches]


@pytest.mark.parametrize("seed", range(5))
def test_batches_are_a_partition_within_bounds(seed):
    batches = make_batches(LENGTHS, **BOUNDS, seed=seed, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(237))
    assert all(LENGTHS[batch].max() * len(batch) <= 2000 and len(batch) <= 30 for batch in batches)
    assert padding_share(LENGTHS, batches) < 0.1


def test_an_utterance_longer_than_the_bound_is_alone():
    batches = make_batches(np.array([50, 3000, 60]), **BOUNDS, seed=0, epoch=0)
    assert sorted(map(sorted, as_lists(batches))) == [[0, 2], [1]]


def test_seed_and_epoch_decide():
    def batches(seed, epoch):
        return as_lists(make_batches(LENGTHS, **BOUNDS, seed=seed, epoch=epoch))

    assert batches(0, 1) == batches(0, 1)
    assert {tuple(sorted(batch)) for batch in batches(0, 1)} != {tuple(sorted(batch)) for batch in batches(0, 2)}
    assert batches(0, 1) != batches(1, 1)


def test_batches_are_not_in_order_of_length():
    longest = [LENGTHS[batch].max() for batch in make_batches(LENGTHS, **BOUNDS, seed=0, epoch=0)]
    assert longest != sorted(longest) and longest != sorted(longest, reverse=True)


@pytest.mark.parametrize("world_size", [2, 8])
def test_the_devices_shares_make_up_the_batch_and_none_is_empty(world_size):
    lengths = np.append(LENGTHS, [1900, 1950, 2500])  # each fills a batch alone
    batches = make_batches(lengths, **BOUNDS, min_batch_size=world_size, seed=0, epoch=0)
    shares = [list(FixedBatches(batches, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert {len(share) for share in shares} == {len(batches)}
    for batch, parts in zip(batches, zip(*shares, strict=True), strict=True):
        assert all(parts)
        assert sorted(sum(parts, [])) == sorted(batch.tolist())


@pytest.mark.parametrize("count", [1, 2, 9, 31])
def test_small_corpora_are_batched_whole(count):
    batches = make_batches(np.full(count, 100), **BOUNDS, min_batch_size=2, seed=0, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert all(len(batch) >= min(count, 2) for batch in batches)


def test_the_loader_counts_prompts_and_validates_on_the_same_batches(make_corpus):
    corpus = make_corpus()
    data = TokenDataModule(
        corpus,
        corpus,
        data=DataConfig(min_prompt_frames=5, max_prompt_frames=10),
        training=TrainingConfig(batch_frames=120),
    )
    first, second = ([batch.utt_ids for batch in data.val_dataloader()] for _ in range(2))
    assert first == second and sorted(sum(first, [])) == corpus.dump.utt_ids
    for batch in data.train_dataloader():
        assert len(batch) == 1 or (int(batch.semantic_lengths_B.max()) + 10) * len(batch) <= 120


def test_training_batches_follow_the_epoch_and_are_shared_out(make_corpus):
    corpus = make_corpus()
    data = TokenDataModule(corpus, corpus, data=DataConfig(), training=TrainingConfig(batch_frames=100))

    def utterances(epoch, rank=0, world_size=1):
        data.trainer = SimpleNamespace(current_epoch=epoch, global_rank=rank, world_size=world_size)
        return [batch.utt_ids for batch in data.train_dataloader()]

    assert utterances(0) == utterances(0) != utterances(1)
    shares = zip(utterances(1), utterances(1, 0, 2), utterances(1, 1, 2), strict=True)
    assert all(sorted(whole) == sorted(first + second) for whole, first, second in shares)
