"""k-means: nearest centroids, reproducible learning, plain-array files."""

import numpy as np
import pytest
import torch

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.tokenizers import kmeans as module
from tokenchain_toolkit.tokenizers.kmeans import Kmeans, KmeansLearner, learn_kmeans, load_kmeans, seed_stability


def blobs(clusters=4, per_cluster=50, dim=3, seed=0):
    random = np.random.default_rng(seed)
    centres = 20 * random.standard_normal((clusters, 1, dim))
    return (centres + random.standard_normal((clusters, per_cluster, dim))).reshape(-1, dim).astype(np.float32)


def inertia_of(kmeans, frames_ND):
    return float(np.square(frames_ND - kmeans.centroids_KD[kmeans.assign(frames_ND)]).sum(axis=1).mean())


def test_assignment_is_the_nearest_centroid(monkeypatch):
    monkeypatch.setitem(module.SIMILARITIES_AT_ONCE, "cpu", 64)
    random = np.random.default_rng(1)
    frames_ND = random.standard_normal((150, 5)).astype(np.float32)
    centroids_KD = random.standard_normal((20, 5)).astype(np.float32)
    distances_NK = np.square(frames_ND[:, None] - centroids_KD[None]).sum(axis=2)
    tokens_N = Kmeans(centroids_KD).assign(frames_ND)
    assert tokens_N.dtype == np.int16
    assert np.array_equal(tokens_N, distances_NK.argmin(axis=1))


def test_learning_finds_separated_blobs():
    learner = learn_kmeans(blobs(), num_clusters=4, seed=0, iterations=20)
    tokens = learner.result().assign(blobs()).reshape(4, 50)
    assert all(len(set(row)) == 1 for row in tokens.tolist()) and len(set(tokens[:, 0])) == 4
    assert learner.dead_clusters == 0
    assert learner.inertia == pytest.approx(inertia_of(learner.result(), blobs()), rel=1e-3)


def test_blocks_find_what_the_whole_shows(monkeypatch):
    monkeypatch.setitem(module.SIMILARITIES_AT_ONCE, "cpu", 64)
    frames_ND = np.random.default_rng(0).permutation(blobs(clusters=6, per_cluster=200))
    whole = learn_kmeans(frames_ND, num_clusters=6, seed=0, iterations=20).result()
    learner = KmeansLearner(6, seed=0, iterations=20)
    for block_ND in np.split(frames_ND, 4):
        learner.absorb(block_ND)
    assert learner.counts_K.sum() == len(frames_ND)
    assert inertia_of(learner.result(), frames_ND) == pytest.approx(inertia_of(whole, frames_ND), rel=0.02)


def test_a_checkpoint_goes_on_as_if_nothing_had_happened(tmp_path):
    first_ND, second_ND = np.split(np.random.default_rng(0).permutation(blobs(per_cluster=100)), 2)
    whole, before = KmeansLearner(9, seed=0, iterations=5), KmeansLearner(9, seed=0, iterations=5)
    before.absorb(first_ND)
    before.save(tmp_path / "part", position=7, frames=200)
    after = KmeansLearner(9, seed=0, iterations=5)
    assert after.resume(tmp_path / "part") == (7, 200)
    for learner, blocks in ((whole, (first_ND, second_ND)), (after, (second_ND,))):
        for block_ND in blocks:
            learner.absorb(block_ND)
    assert np.array_equal(whole.result().centroids_KD, after.result().centroids_KD)
    (tmp_path / "part").write_bytes(b"not tensors")
    with pytest.raises(DataError, match="damaged"):
        after.resume(tmp_path / "part")


def test_dead_clusters_move_to_frames_that_need_one():
    frames_ND = blobs(clusters=3, per_cluster=30)
    learner = KmeansLearner(3, seed=0, iterations=20)
    learner.centroids_KD = torch.full((3, 3), 1e6)
    learner.absorb(frames_ND)
    assert learner.dead_clusters == 0 and inertia_of(learner.result(), frames_ND) < 4


def test_stability_is_one_for_clear_clusters_and_less_for_none():
    clear = seed_stability(blobs(), num_clusters=4, seed=0, iterations=20)
    cloud_ND = np.random.default_rng(0).standard_normal((500, 3)).astype(np.float32)
    assert clear == pytest.approx(1) and seed_stability(cloud_ND, num_clusters=9, seed=0, iterations=20) < 0.9


def test_one_seed_gives_one_result():
    first, second, other = (learn_kmeans(blobs(), num_clusters=9, seed=s, iterations=5).result() for s in (3, 3, 4))
    assert np.array_equal(first.centroids_KD, second.centroids_KD)
    assert not np.array_equal(first.centroids_KD, other.centroids_KD)


def test_dead_clusters_are_counted():
    frames_ND = np.repeat(blobs(clusters=2, per_cluster=1), 20, axis=0)
    learner = learn_kmeans(frames_ND, num_clusters=5, seed=0, iterations=3)
    assert learner.dead_clusters == 3


def test_fewer_frames_than_clusters_are_refused():
    with pytest.raises(DataError, match="5 clusters .* 4 frames"):
        learn_kmeans(np.zeros((4, 2), np.float32), num_clusters=5, seed=0, iterations=1)


def test_save_and_load(tmp_path):
    kmeans = Kmeans(blobs())
    kmeans.save(tmp_path / "kmeans.safetensors")
    assert np.array_equal(load_kmeans(tmp_path / "kmeans.safetensors").centroids_KD, kmeans.centroids_KD)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(DataError, match="missing"):
        load_kmeans(tmp_path / "kmeans.safetensors")
    (tmp_path / "kmeans.safetensors").write_bytes(b"not tensors")
    with pytest.raises(DataError, match="damaged"):
        load_kmeans(tmp_path / "kmeans.safetensors")
