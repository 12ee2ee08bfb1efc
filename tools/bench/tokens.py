"""Semantic tokens of a growing corpus: speed and peak memory of the toolkit against scikit-learn with all in memory.

Usage: python tools/bench/tokens.py [--features mfcc] [--minutes 10 60 600] [--memory_gb 0.2]

Two tables: learning k-means on all frames of the corpus, and tokens of the corpus by k-means that is learned already
(features and assignment). Each cell runs in a process of its own. The audio is a few files of noisy harmonic sound
under many names, so the disk holds little; it is read anew each time. --features hubert takes a HuBERT-base of random
weights: on a CPU give it minutes, not hours.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tokenchain_toolkit.config.tokenizer import CodecConfig, KmeansConfig, SemanticConfig, SslConfig, TokenizerConfig
from tokenchain_toolkit.data.audio import read_audio, write_audio
from tokenchain_toolkit.data.token_dump import ArkWriter
from tokenchain_toolkit.features.interface import FeatureExtractor, build_features
from tokenchain_toolkit.tokenizers.learning import learn_tokenizer
from tokenchain_toolkit.tokenizers.tokenizer import load_tokenizer

SECONDS = 10  # of an utterance
FILES = 30
ITERATIONS = 10
GIB = 2**30
LEARNED = "tokenizer"
PIPELINES = ("scikit-learn, all in memory", "the toolkit")
WORK = {"learning": "k-means learned on all frames", "tokens": "features and assignment"}


def main() -> int:
    """Run every cell, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", choices=("mfcc", "hubert"), default="mfcc", help="what is clustered")
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 60.0, 600.0], help="sizes of the corpus")
    parser.add_argument("--memory_gb", type=float, default=0.2, help="limit of the toolkit's k-means")
    parser.add_argument("--num_clusters", type=int, default=100, help="clusters")
    parser.add_argument("--cell", help=argparse.SUPPRESS)  # one measurement, as JSON: how this script calls itself
    arguments = parser.parse_args()
    if arguments.cell:
        sys.stdout.write(json.dumps(measure(json.loads(arguments.cell))) + "\n")
        return 0
    sys.stdout.write(f"{arguments.features}, {arguments.num_clusters} clusters, {ITERATIONS} iterations, ")
    sys.stdout.write(f"k-means of the toolkit within {arguments.memory_gb:g} GB\n")
    with tempfile.TemporaryDirectory() as folder:
        model = prepare(Path(folder), hubert=arguments.features == "hubert")
        settings = {"folder": folder, "model": model, "num_clusters": arguments.num_clusters}
        settings |= {"memory_gb": arguments.memory_gb}
        learn_tokenizer(configuration(settings), audio_of(Path(folder), FILES * SECONDS / 60), Path(folder) / LEARNED)
        for work, title in WORK.items():
            sys.stdout.write(
                f"\n| {title} | audio (min) | hours per hour | peak memory (GiB) |\n|---|---:|---:|---:|\n"
            )
            for minutes, pipeline in itertools.product(arguments.minutes, PIPELINES):
                cell = {**settings, "work": work, "pipeline": pipeline, "minutes": minutes}
                command = [sys.executable, __file__, "--cell", json.dumps(cell)]
                found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                speed = minutes * 60 / found["seconds"]
                sys.stdout.write(f"| {pipeline} | {minutes:g} | {speed:.1f} | {found['memory'] / GIB:.2f} |\n")
                sys.stdout.flush()
    return 0


def prepare(folder: Path, *, hubert: bool) -> str:
    """Write the audio and, if asked, the model; returns the model's folder or nothing."""
    random = np.random.default_rng(0)
    time_N = np.arange(SECONDS * 16000) / 16000
    for number in range(FILES):
        pitch_N = 120 + 60 * random.random() + 30 * np.sin(2 * np.pi * random.uniform(0.5, 3) * time_N)
        phase_N = 2 * np.pi * np.cumsum(pitch_N) / 16000
        sound_N = sum(np.sin(k * phase_N) * random.random() for k in range(1, 15))
        noisy_N = 0.03 * sound_N + 0.01 * random.standard_normal(len(time_N))
        write_audio(folder / f"{number}.wav", noisy_N.astype(np.float32), sample_rate=16000)
    if not hubert:
        return ""
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    HubertModel(HubertConfig()).save_pretrained(folder / "hubert")
    Wav2Vec2FeatureExtractor().save_pretrained(folder / "hubert")
    return str(folder / "hubert")


def measure(cell: dict) -> dict[str, float]:
    """One pipeline on one size of corpus: seconds, and the largest memory of this process in bytes."""
    wavs = audio_of(Path(cell["folder"]), cell["minutes"])
    ours = cell["pipeline"] == PIPELINES[1]
    began = time.perf_counter()
    if cell["work"] == "learning":
        (learn_in_stream if ours else learn_in_memory)(configuration(cell), wavs)
    else:
        (tokens_in_stream if ours else tokens_in_memory)(Path(cell["folder"]) / LEARNED, wavs)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def audio_of(folder: Path, minutes: float) -> dict[str, str]:
    """So much audio: the same files again and again."""
    count = max(1, round(minutes * 60 / SECONDS))
    return {f"utt{number:06d}": str(folder / f"{number % FILES}.wav") for number in range(count)}


def configuration(settings: dict) -> TokenizerConfig:
    """Semantic tokens alone, learned on all frames."""
    kmeans = KmeansConfig(settings["num_clusters"], 0, memory_gb=settings["memory_gb"], iterations=ITERATIONS)
    kind = "ssl" if settings["model"] else "mfcc"
    semantic = SemanticConfig(kind=kind, ssl=SslConfig(model=settings["model"]), kmeans=kmeans)
    return TokenizerConfig(semantic=semantic, codec=CodecConfig(enabled=False))


def learn_in_memory(config: TokenizerConfig, wavs: dict[str, str]) -> None:
    """All features to scikit-learn at once."""
    from sklearn.cluster import KMeans

    features_ND = np.concatenate(all_features(build_features(config), wavs))
    KMeans(config.semantic.kmeans.num_clusters, random_state=0, max_iter=ITERATIONS, n_init=1).fit(features_ND)


def learn_in_stream(config: TokenizerConfig, wavs: dict[str, str]) -> None:
    """What the stage does."""
    with tempfile.TemporaryDirectory() as folder:
        learn_tokenizer(config, wavs, Path(folder))


def tokens_in_memory(learned: Path, wavs: dict[str, str]) -> None:
    """All features, then scikit-learn's assignment."""
    from sklearn.metrics import pairwise_distances_argmin

    tokenizer = load_tokenizer(learned)
    assert tokenizer.semantic is not None
    features_ND = np.concatenate(all_features(tokenizer.semantic.features, wavs))
    pairwise_distances_argmin(features_ND, tokenizer.semantic.kmeans.centroids_KD)


def tokens_in_stream(learned: Path, wavs: dict[str, str]) -> None:
    """What the stage does, in one process."""
    tokenizer = load_tokenizer(learned)
    with tempfile.TemporaryDirectory() as folder, ArkWriter(Path(folder), rates=None) as writer:
        for utt_id, path in wavs.items():
            writer.add(utt_id, *tokenizer.encode_file(path, name=utt_id))
        writer.finish()


def all_features(features: FeatureExtractor, wavs: dict[str, str]) -> list[np.ndarray]:
    """Features of every utterance."""
    return [features.extract([read_audio(path, sample_rate=16000)])[0] for path in wavs.values()]


if __name__ == "__main__":
    sys.exit(main())
