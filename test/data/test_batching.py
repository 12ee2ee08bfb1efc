"""Batches: a partition within bounds, decided by seed and epoch, the same for any number of devices."""

from types import SimpleNamespace

import numpy as np
import pytest

from tokenchain_toolkit.config.training import DataConfig, TrainingConfig
from tokenchain_toolkit.data.batching import make_batches, padding_share
from tokenchain_toolkit.data.dataset import TokenDataset
from tokenchain_toolkit.data.module import BatchShares, TokenDataModule
from tokenchain_toolkit.errors import ConfigError

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


@pytest.mark.parametrize("speakers", [None, [*"abcdefgg"]])  # the latter's first six are cut into prompt and target
@pytest.mark.parametrize(("num_devices", "num_passes"), [(2, 1), (1, 3), (2, 2)])
def test_the_shares_make_up_the_batch_and_know_its_size(make_corpus, num_devices, num_passes, speakers):
    lengths_of_prompts = DataConfig(min_prompt_frames=2, max_prompt_frames=9)
    dataset = TokenDataset(make_corpus(speakers=speakers), lengths_of_prompts, seed=0, epoch=0)
    batches = [np.array([0, 3, 5, 1, 7]), np.array([2, 4, 6, 0])]
    settings = {"num_devices": num_devices, "num_passes": num_passes}
    devices = [list(BatchShares(dataset, batches, rank=rank, **settings)) for rank in range(num_devices)]
    whole = list(BatchShares(dataset, batches))
    for number, batch in enumerate(whole):
        shares = [share for each in devices for share in each[number * num_passes : (number + 1) * num_passes]]
        assert sorted(name for share in shares for name in share.utt_ids) == sorted(batch.utt_ids)
        assert {share.semantic_BT.shape[1] for share in shares} == {batch.semantic_BT.shape[1]}
        frames, units = (sum(int(n.sum()) for n in column) for column in zip(*map(lengths, shares), strict=True))
        for share in shares:
            assert (share.size.num_utts, share.size.num_frames, share.size.num_units) == (len(batch), frames, units)
            assert share.size.semantic_targets == (frames + len(batch)) / (num_devices * num_passes)


def lengths(batch):
    return batch.semantic_lengths_B, batch.text_lengths_B


def test_fewer_utterances_than_shares_are_refused(make_corpus):
    dataset = TokenDataset(make_corpus(), DataConfig(), seed=0, epoch=0)
    with pytest.raises(ConfigError, match="a batch of 3 utterances cannot be shared out to 2 devices in 2 passes"):
        BatchShares(dataset, [np.arange(8), np.arange(3)], num_devices=2, num_passes=2)


@pytest.mark.parametrize("shares", [2, 8])
def test_no_share_is_empty(shares):
    lengths = np.append(LENGTHS, [1900, 1950, 2500])  # each fills a batch alone
    batches = make_batches(lengths, **BOUNDS, min_batch_size=shares, seed=0, epoch=0)
    assert min(map(len, batches)) >= shares and sum(map(len, batches)) == len(lengths)


@pytest.mark.parametrize("epoch", range(6))
def test_what_is_too_few_for_all_shares_joins_its_neighbour_and_nothing_else_moves(epoch):
    one = as_lists(make_batches(LENGTHS, **BOUNDS, seed=0, epoch=epoch))
    several = as_lists(make_batches(LENGTHS, **BOUNDS, min_batch_size=5, seed=0, epoch=epoch))
    assert [batch for batch in several if batch in one] == [batch for batch in one if batch in several]
    assert len(several) >= len(one) - 1 and sum(batch not in one for batch in several) == len(one) - len(several)


def test_batches_do_not_depend_on_the_devices_that_share_them(make_corpus, caplog):
    corpus = make_corpus()
    data = TokenDataModule(
        corpus, corpus, data=DataConfig(), training=TrainingConfig(batch_frames=100, min_batch_size=4)
    )

    def batches(world_size, epoch):
        data.trainer = SimpleNamespace(current_epoch=epoch, global_rank=0, world_size=world_size)
        return as_lists(data.train_dataloader().dataset.batches)

    for epoch in range(5):
        assert batches(1, epoch) == batches(2, epoch) == batches(4, epoch)
    data.training.min_batch_size = 1
    assert any(batches(1, epoch) != batches(4, epoch) for epoch in range(5))


def test_a_device_takes_its_share_in_as_many_passes_as_it_needs():
    training = TrainingConfig(batch_frames=100_000, device_frames=15_000)
    assert [training.num_passes(devices) for devices in (1, 2, 4, 8)] == [7, 4, 2, 1]
    assert TrainingConfig(batch_frames=100_000).num_passes(1) == 1


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
