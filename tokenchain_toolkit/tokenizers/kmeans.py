"""k-means: semantic tokens are the nearest centroids. Shapes: N or T frames, D features, K clusters."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import atomic_path

SIMILARITIES_AT_ONCE = {"cpu": 2**18, "cuda": 2**26}  # Of the (rows, K) matrix; a megabyte stays in a core's cache.
START_FRAMES, START_FRAMES_PER_CLUSTER = 10_000, 20  # The start looks at so many frames, or so many per cluster.
REPLACEMENT_FRAMES = 100_000  # Frames that dead clusters choose from.
STANDSTILL = 5e-4  # Relative change of the inertia at which the clusters stand still.


@dataclass(frozen=True)
class Kmeans:
    """Centroids, float32 of shape (K, D)."""

    centroids_KD: np.ndarray

    def assign(self, features_ND: np.ndarray) -> np.ndarray:
        """Index of the nearest centroid of each frame, int16 of shape (N,)."""
        search = _NearestCentroid(torch.from_numpy(self.centroids_KD))
        nearest_N = np.empty(len(features_ND), np.int16)
        for start in range(0, len(features_ND), search.rows_at_once):
            rows = slice(start, start + search.rows_at_once)
            features_RD = torch.from_numpy(np.ascontiguousarray(features_ND[rows], dtype=np.float32))
            nearest_N[rows] = search(features_RD)[0].numpy()
        return nearest_N

    def save(self, path: Path) -> None:
        """Write ``kmeans.safetensors``."""
        from safetensors.numpy import save

        with atomic_path(path) as temporary:
            temporary.write_bytes(save({"centroids": self.centroids_KD}))


def load_kmeans(path: Path) -> Kmeans:
    """Read ``kmeans.safetensors``.

    Raises:
        DataError: It is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise DataError(f"{path} is missing; name a folder that learn_tokenizer has written")
    try:
        return Kmeans(centroids_KD=load_file(path)["centroids"])
    except (SafetensorError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}); run learn_tokenizer again with --overwrite") from error


class KmeansLearner:
    """k-means over a stream of blocks of frames, in PyTorch.

    The first block is clustered by Lloyd's algorithm from a k-means++ start. Every later one moves the centroids by the
    same algorithm, in which all frames of the blocks before it count as lying on their centroids: memory holds one
    block, however long the stream is. In the only block of a small corpus this is Lloyd's algorithm itself.

    Args:
        num_clusters: K.
        seed: Of the start, and of the frames that dead clusters move to.
        iterations: Most passes over a block; fewer once the clusters stand still.
        device: Torch device.
    """

    def __init__(self, num_clusters: int, *, seed: int, iterations: int, device: str = "cpu"):
        self.num_clusters = num_clusters
        self.seed = seed
        self.iterations = iterations
        self.device = device
        self.centroids_KD: torch.Tensor | None = None
        self.counts_K = torch.zeros(num_clusters, dtype=torch.float64)
        self.inertia = float("nan")

    def absorb(self, block_ND: np.ndarray) -> None:
        """Move the centroids by a block of frames, float32.

        Raises:
            DataError: It is the first one and has fewer frames than there are clusters.
        """
        block = torch.from_numpy(block_ND)
        centroids_KD = self._start(block_ND) if self.centroids_KD is None else self.centroids_KD
        before_K, pulls_KD = self.counts_K, self.counts_K[:, None] * centroids_KD.double()
        generator = torch.Generator().manual_seed(self.seed + int(before_K.sum()))
        self.inertia = float("inf")
        for _ in range(self.iterations):
            assigned = _assign_and_sum(block, centroids_KD, device=self.device)
            total_K = before_K + assigned.counts_K
            moved_KD = ((pulls_KD + assigned.sums_KD) / total_K.clamp_min(1)[:, None]).float()
            dead_K = total_K == 0
            moved_KD[dead_K] = _replacements(
                block, assigned.distances_N, int(dead_K.sum()), centroids_KD[dead_K], generator
            )
            previous, self.inertia = self.inertia, float(assigned.distances_N.double().mean())
            centroids_KD, self.counts_K = moved_KD, total_K
            if not dead_K.any() and abs(previous - self.inertia) <= STANDSTILL * self.inertia:
                break
        self.centroids_KD = centroids_KD

    @property
    def dead_clusters(self) -> int:
        """Clusters that no frame belongs to."""
        return int((self.counts_K == 0).sum())

    def result(self) -> "Kmeans":
        """The clusters found so far."""
        assert self.centroids_KD is not None
        return Kmeans(self.centroids_KD.numpy())

    def save(self, path: Path, *, position: int, frames: int) -> None:
        """Write a checkpoint, with the place in the stream where the next block begins."""
        from safetensors.torch import save_file

        assert self.centroids_KD is not None
        tensors = {"centroids": self.centroids_KD, "counts": self.counts_K}
        tensors |= {"place": torch.tensor([position, frames]), "inertia": torch.tensor(self.inertia)}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary)

    def resume(self, path: Path) -> tuple[int, int]:
        """Go on from a checkpoint; returns its place in the stream and the frames before it.

        Raises:
            DataError: It is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            tensors = load_file(path)
            self.centroids_KD, self.counts_K = tensors["centroids"], tensors["counts"]
            position, frames = tensors["place"].tolist()
            self.inertia = float(tensors["inertia"])
        except (SafetensorError, KeyError, ValueError) as error:
            raise DataError(f"{path} is damaged ({error}); remove it to learn from the beginning") from error
        return position, frames

    def _start(self, block_ND: np.ndarray) -> torch.Tensor:
        """k-means++ over a sample of the first block."""
        from sklearn.cluster import kmeans_plusplus

        if len(block_ND) < self.num_clusters:
            raise DataError(
                f"{self.num_clusters} clusters cannot be learned from {len(block_ND)} frames; "
                "give more audio, or ask for fewer clusters"
            )
        random = np.random.default_rng(self.seed)
        wanted = max(START_FRAMES_PER_CLUSTER * self.num_clusters, START_FRAMES)
        rows = random.choice(len(block_ND), min(wanted, len(block_ND)), replace=False)
        centroids_KD, _ = kmeans_plusplus(block_ND[rows], self.num_clusters, random_state=self.seed)
        return torch.from_numpy(np.ascontiguousarray(centroids_KD, dtype=np.float32))


class _NearestCentroid:
    """Nearest centroids of blocks of at most ``rows_at_once`` frames, by one matrix product each.

    |x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2): the smallest distance is the largest bracket.
    """

    def __init__(self, centroids_KD: torch.Tensor):
        self.centroids_DK = centroids_KD.T.contiguous()
        self.minus_half_norms_K = -0.5 * centroids_KD.square().sum(dim=1)
        device = centroids_KD.device
        self.rows_at_once = max(64, SIMILARITIES_AT_ONCE.get(device.type, 2**18) // len(centroids_KD))
        self.brackets_RK = torch.empty(self.rows_at_once, len(centroids_KD), device=device)

    def __call__(self, features_RD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Index of the nearest centroid of each frame, and the brackets of all, which the next call overwrites."""
        # PyTorch's product, because numpy's takes all cores whatever share of them a job has; numpy's argmax is faster.
        brackets_RK = self.brackets_RK[: len(features_RD)]
        torch.addmm(self.minus_half_norms_K, features_RD, self.centroids_DK, out=brackets_RK)
        on_cpu = brackets_RK.device.type == "cpu"
        nearest_R = torch.from_numpy(brackets_RK.numpy().argmax(1)) if on_cpu else brackets_RK.argmax(1)
        return nearest_R, brackets_RK


@dataclass(frozen=True)
class _Assignment:
    """Frames per cluster, their sums, and the squared distance of each frame to its centroid."""

    counts_K: torch.Tensor
    sums_KD: torch.Tensor
    distances_N: torch.Tensor


def _assign_and_sum(block_ND: torch.Tensor, centroids_KD: torch.Tensor, *, device: str) -> _Assignment:
    """One assignment of all frames of a block; the sums are float64."""
    on_device_KD = centroids_KD.to(device)
    search = _NearestCentroid(on_device_KD)
    sums_KD = torch.zeros(centroids_KD.shape, dtype=torch.float64)
    counts_K = torch.zeros(len(centroids_KD), dtype=torch.float64)
    distances_N = torch.empty(len(block_ND))
    for start in range(0, len(block_ND), search.rows_at_once):
        rows_RD = block_ND[start : start + search.rows_at_once].to(device)
        nearest_R, brackets_RK = search(rows_RD)
        best_R = brackets_RK.gather(1, nearest_R[:, None])[:, 0]
        sums_KD += torch.zeros_like(on_device_KD).index_add_(0, nearest_R, rows_RD).double().cpu()
        counts_K += torch.bincount(nearest_R, minlength=len(centroids_KD)).double().cpu()
        distances_N[start : start + search.rows_at_once] = (rows_RD.square().sum(1) - 2 * best_R).clamp_min(0).cpu()
    return _Assignment(counts_K, sums_KD, distances_N)


def _replacements(
    block_ND: torch.Tensor, distances_N: torch.Tensor, count: int, old_CD: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Frames for dead clusters to move to: the likelier, the farther they are from their centroid (as k-means++ does).

    Where no frame is off its centroid, there are fewer different frames than clusters, and the old ones stay.
    """
    rows_R = torch.randint(len(block_ND), (min(len(block_ND), REPLACEMENT_FRAMES),), generator=generator)
    weights_R = distances_N[rows_R]
    if not count or int((weights_R > 0).sum()) < count:
        return old_CD
    return block_ND[rows_R[torch.multinomial(weights_R, count, generator=generator)]]


def learn_kmeans(features_ND: np.ndarray, *, num_clusters: int, seed: int, iterations: int) -> KmeansLearner:
    """k-means over frames in memory, float32.

    Args:
        features_ND: Frames.
        num_clusters: K.
        seed: Of the start.
        iterations: Most passes.

    Raises:
        DataError: There are fewer frames than clusters.
    """
    learner = KmeansLearner(num_clusters, seed=seed, iterations=iterations)
    learner.absorb(features_ND)
    return learner


def seed_stability(features_ND: np.ndarray, *, num_clusters: int, seed: int, iterations: int) -> float:
    """How much the clusters owe to the seed: adjusted mutual information of two clusterings, 1 if they are the same."""
    from sklearn.metrics import adjusted_mutual_info_score

    first, second = (
        learn_kmeans(features_ND, num_clusters=num_clusters, seed=each, iterations=iterations).result()
        for each in (seed, seed + 1)
    )
    return float(adjusted_mutual_info_score(first.assign(features_ND), second.assign(features_ND)))
