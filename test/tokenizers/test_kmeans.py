"""k-means: nearest centroids, reproducible learning, plain-array files."""

import numpy as np
import pytest

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.tokenizers import kmeans as module
from tokenchain_toolkit.tokenizers.kmeans import Kmeans, learn_kmeans, load_kmeans


def blobs(clusters=4, per_cluster=50, dim=3, seed=0):
    random = np.random.default_rng(seed)
    centres = 20 * random.standard_normal((clusters, 1, dim))
    return (centres + random.standard_normal((clusters, per_cluster, dim))).reshape(-1, dim).astype(np.float32)


def test_assignment_is_the_nearest_centroid(monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 64)
    random = np.random.default_rng(1)
    frames_ND = random.standard_normal((150, 5)).astype(np.float32)
    centroids_KD = random.standard_normal((20, 5)).astype(np.float32)
    distances_NK = np.square(frames_ND[:, None] - centroids_KD[None]).sum(axis=2)
    tokens_N = Kmeans(centroids_KD).assign(frames_ND)
    assert tokens_N.dtype == np.int16
    assert np.array_equal(tokens_N, distances_NK.argmin(axis=1))


def test_learning_finds_separated_blobs():
    kmeans, stats = learn_kmeans(blobs(), num_clusters=4, seed=0, batch_size=64, epochs=20)
    tokens = kmeans.assign(blobs()).reshape(4, 50)
    assert all(len(set(row)) == 1 for row in tokens.tolist()) and len(set(tokens[:, 0])) == 4
    assert stats.dead_clusters == 0 and stats.inertia < 4


def test_one_seed_gives_one_result():
    first, second, other = (
        learn_kmeans(blobs(), num_clusters=9, seed=s, batch_size=64, epochs=5)[0] for s in (3, 3, 4)
    )
    assert np.array_equal(first.centroids_KD, second.centroids_KD)
    assert not np.array_equal(first.centroids_KD, other.centroids_KD)


def test_dead_clusters_are_counted():
    frames_ND = np.repeat(blobs(clusters=2, per_cluster=1), 20, axis=0)
    _, stats = learn_kmeans(frames_ND, num_clusters=5, seed=0, batch_size=40, epochs=3)
    assert stats.dead_clusters == 3


def test_fewer_frames_than_clusters_are_refused():
    with pytest.raises(DataError, match="5 clusters .* 4 frames"):
        learn_kmeans(np.zeros((4, 2), np.float32), num_clusters=5, seed=0, batch_size=4, epochs=1)


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
