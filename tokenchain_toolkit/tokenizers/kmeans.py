"""k-means: semantic tokens are the nearest centroids. Shapes: N or T frames, D features, K clusters."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import atomic_path

ROWS_AT_ONCE = 16384  # Bounds the (rows, K) matrix of similarities for long audio.


@dataclass(frozen=True)
class Kmeans:
    """Centroids, float32 of shape (K, D)."""

    centroids_KD: np.ndarray

    def assign(self, features_ND: np.ndarray) -> np.ndarray:
        """Index of the nearest centroid of each frame, int16 of shape (N,)."""
        # PyTorch's product, because numpy's takes all cores whatever share of them a job has.
        centroids_KD = torch.from_numpy(self.centroids_KD)
        half_norms_K = 0.5 * centroids_KD.square().sum(dim=1)
        nearest_N = np.empty(len(features_ND), np.int16)
        for start in range(0, len(features_ND), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            # |x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2): the smallest distance is the largest bracket.
            features_RD = torch.from_numpy(np.ascontiguousarray(features_ND[rows], dtype=np.float32))
            nearest_N[rows] = (features_RD @ centroids_KD.T - half_norms_K).argmax(dim=1).numpy()
        return nearest_N

    def save(self, path: Path) -> None:
        """Write ``kmeans.safetensors``."""
        from safetensors.numpy import save

        with atomic_path(path) as temporary:
            temporary.write_bytes(save({"centroids": self.centroids_KD}))


@dataclass(frozen=True)
class KmeansStats:
    """How well the clusters fit the frames they were learned from.

    Attributes:
        inertia: Mean squared distance of a frame to its centroid.
        dead_clusters: Clusters that no frame belongs to.
    """

    inertia: float
    dead_clusters: int


def load_kmeans(path: Path) -> Kmeans:
    """Read ``kmeans.safetensors``.

    Raises:
        DataError: It is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise DataError(f"{path} is missing; run learn_tokenizer")
    try:
        return Kmeans(centroids_KD=load_file(path)["centroids"])
    except (SafetensorError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}); run learn_tokenizer again with --overwrite") from error


def learn_kmeans(
    features_ND: np.ndarray, *, num_clusters: int, seed: int, batch_size: int, epochs: int
) -> tuple[Kmeans, KmeansStats]:
    """Mini-batch k-means from a k-means++ start.

    Args:
        features_ND: Frames, float32.
        num_clusters: K.
        seed: Of the start and the order of the batches.
        batch_size: Frames per step.
        epochs: Most passes over the frames.

    Raises:
        DataError: There are fewer frames than clusters.
    """
    from sklearn.cluster import MiniBatchKMeans

    if len(features_ND) < num_clusters:
        raise DataError(
            f"{num_clusters} clusters cannot be learned from {len(features_ND)} frames; "
            "give more audio, or ask for fewer clusters"
        )
    learner = MiniBatchKMeans(
        num_clusters, random_state=seed, batch_size=batch_size, max_iter=epochs, n_init=1, max_no_improvement=50
    )
    kmeans = Kmeans(centroids_KD=learner.fit(features_ND).cluster_centers_.astype(np.float32))
    tokens_N = kmeans.assign(features_ND)
    inertia = float(np.square(features_ND - kmeans.centroids_KD[tokens_N]).sum(axis=1).mean())
    return kmeans, KmeansStats(inertia=inertia, dead_clusters=num_clusters - len(np.unique(tokens_N)))
