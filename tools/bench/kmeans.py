"""Compare k-means learners, and the assignment of frames, on the same features in one run; prints two tables.

Usage: python tools/bench/kmeans.py --data egs2/mini_synth/tokenchain1/data/read_train [--num_clusters 500]

Without --data the features are a random mixture of --dim dimensions, for instance 768 as a HuBERT-base layer has. faiss
takes part where faiss-cpu is installed.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tokenchain_toolkit.config.tokenizer import MfccConfig
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.data.kaldi import read_table
from tokenchain_toolkit.features.mfcc import MfccFeatures
from tokenchain_toolkit.tokenizers.kmeans import Kmeans, learn_kmeans

ITERATIONS = 30
SEEDS = (0, 1, 2)
Learner = Callable[[np.ndarray, int, int], np.ndarray]


def main() -> int:
    """Learn, assign, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="Kaldi data directory; MFCC of it are clustered")
    parser.add_argument("--frames", type=int, default=200_000, help="frames to cluster")
    parser.add_argument("--dim", type=int, default=768, help="dimensions of random features")
    parser.add_argument("--num_clusters", type=int, default=100, help="clusters")
    arguments = parser.parse_args()
    features_ND = mfcc_frames(arguments.data, arguments.frames) if arguments.data else mixture(arguments)
    sys.stdout.write(f"{len(features_ND)} frames of {features_ND.shape[1]}, {arguments.num_clusters} clusters, ")
    sys.stdout.write(f"{torch.get_num_threads()} threads, means of seeds {SEEDS}\n\n")
    sys.stdout.write("| learner | seconds | mean squared distance |\n|---|---:|---:|\n")
    centroids_KD = np.zeros((0, 0), np.float32)
    for name, learn in learners().items():
        seconds, inertias = [], []
        for seed in SEEDS:
            began = time.perf_counter()
            centroids_KD = learn(features_ND, arguments.num_clusters, seed)
            seconds.append(time.perf_counter() - began)
            tokens_N = Kmeans(centroids_KD).assign(features_ND)
            inertias.append(np.square(features_ND - centroids_KD[tokens_N]).sum(axis=1).mean())
        sys.stdout.write(f"| {name} | {np.mean(seconds):.2f} | {np.mean(inertias):.5g} |\n")
    sys.stdout.write("\n| assignment | million frames per second |\n|---|---:|\n")
    for name, assign in assigners(centroids_KD).items():
        assign(features_ND[:1000])
        began = time.perf_counter()
        assign(features_ND)
        rate = len(features_ND) / (time.perf_counter() - began) / 1e6
        sys.stdout.write(f"| {name} | {rate:.2f} |\n")
    return 0


def learners() -> dict[str, Learner]:
    """What can be compared here."""
    found: dict[str, Learner] = {"scikit-learn MiniBatchKMeans": minibatch, "scikit-learn KMeans": lloyd}
    if importlib.util.find_spec("faiss"):
        found["faiss Kmeans"] = faiss_kmeans
    found["KmeansLearner"] = ours
    return found


def minibatch(features_ND: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """scikit-learn, batches of 8,192 frames."""
    from sklearn.cluster import MiniBatchKMeans

    settings = {"batch_size": 8192, "max_iter": ITERATIONS, "n_init": 1, "max_no_improvement": 50}
    learner = MiniBatchKMeans(num_clusters, random_state=seed, **settings).fit(features_ND)
    return learner.cluster_centers_.astype(np.float32)


def lloyd(features_ND: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """scikit-learn, all frames in each iteration."""
    from sklearn.cluster import KMeans

    learner = KMeans(num_clusters, random_state=seed, max_iter=ITERATIONS, n_init=1).fit(features_ND)
    return learner.cluster_centers_.astype(np.float32)


def faiss_kmeans(features_ND: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """faiss, all frames in each iteration."""
    import faiss

    per_cluster = len(features_ND) // num_clusters + 1
    learner = faiss.Kmeans(
        features_ND.shape[1], num_clusters, niter=ITERATIONS, seed=seed + 1, max_points_per_centroid=per_cluster
    )
    learner.train(features_ND)
    return np.asarray(learner.centroids, np.float32)


def ours(features_ND: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """The toolkit's learner on one block."""
    return learn_kmeans(features_ND, num_clusters=num_clusters, seed=seed, iterations=ITERATIONS).result().centroids_KD


def assigners(centroids_KD: np.ndarray) -> dict[str, Callable[[np.ndarray], object]]:
    """Nearest-centroid searches over the same centroids."""
    from sklearn.metrics import pairwise_distances_argmin

    found: dict[str, Callable[[np.ndarray], object]] = {
        "scikit-learn pairwise_distances_argmin": lambda features_ND: pairwise_distances_argmin(
            features_ND, centroids_KD
        )
    }
    if importlib.util.find_spec("faiss"):
        import faiss

        index = faiss.IndexFlatL2(centroids_KD.shape[1])
        index.add(centroids_KD)
        found["faiss IndexFlatL2"] = lambda features_ND: index.search(features_ND, 1)
    return {**found, "Kmeans.assign": Kmeans(centroids_KD).assign}


def mfcc_frames(data: Path, frames: int) -> np.ndarray:
    """MFCC of the first utterances of a set, float32."""
    config = MfccConfig(window_length=640, n_fft=1024, normalize="mean")
    features = MfccFeatures(config, sample_rate=16000, hop_length=320)
    rows: list[np.ndarray] = []
    for path in read_table(data / "wav.scp").values():
        rows += features.extract([read_audio(path, sample_rate=16000)])
        if sum(map(len, rows)) >= frames:
            break
    return np.concatenate(rows)[:frames]


def mixture(arguments: argparse.Namespace) -> np.ndarray:
    """Overlapping Gaussian clusters, five for each that is looked for, float32."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((5 * arguments.num_clusters, arguments.dim)).astype(np.float32)
    chosen = random.integers(len(centres), size=arguments.frames)
    return centres[chosen] + random.standard_normal((arguments.frames, arguments.dim), dtype=np.float32)


if __name__ == "__main__":
    sys.exit(main())
