"""Semantic tokens of a growing corpus: speed and peak memory of the toolkit against scikit-learn with all in memory.

Usage: python tools/bench/tokens.py [--features mfcc] [--minutes 10 60 600] [--memory_gb 0.2]

Both pipelines learn k-means on all frames, then assign all of them; each cell runs in a process of its own. The audio
is a few files of noisy harmonic sound under many names, so the disk holds little; it is read anew each time.
--features hubert takes a HuBERT-base of random weights: on a CPU give it minutes, not hours.
"""

import argparse
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
from tokenchain_toolkit.features.interface import build_features

SECONDS = 10  # of an utterance
FILES = 30
ITERATIONS = 10
GIB = 2**30
PIPELINES = ("scikit-learn, all in memory", "learn_tokenizer and Tokenizer.encode_file")


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
    sys.stdout.write(f"k-means of the toolkit within {arguments.memory_gb:g} GB\n\n")
    sys.stdout.write("| pipeline | audio (min) | hours per hour | peak memory (GiB) |\n|---|---:|---:|---:|\n")
    with tempfile.TemporaryDirectory() as folder:
        model = prepare(Path(folder), hubert=arguments.features == "hubert")
        for minutes in arguments.minutes:
            for pipeline in PIPELINES:
                cell = {"pipeline": pipeline, "minutes": minutes, "folder": folder, "model": model}
                cell |= {"num_clusters": arguments.num_clusters, "memory_gb": arguments.memory_gb}
                command = [sys.executable, __file__, "--cell", json.dumps(cell)]
                found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                speed = minutes * 60 / found["seconds"]
                sys.stdout.write(f"| {pipeline} | {minutes:g} | {speed:.0f} | {found['memory'] / GIB:.2f} |\n")
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
    folder = Path(cell["folder"])
    count = max(1, round(cell["minutes"] * 60 / SECONDS))
    wavs = {f"utt{number:06d}": str(folder / f"{number % FILES}.wav") for number in range(count)}
    ssl = SslConfig(model=cell["model"])
    kmeans = KmeansConfig(
        num_clusters=cell["num_clusters"], max_frames=0, memory_gb=cell["memory_gb"], iterations=ITERATIONS
    )
    semantic = SemanticConfig(kind="ssl" if cell["model"] else "mfcc", ssl=ssl, kmeans=kmeans)
    config = TokenizerConfig(semantic=semantic, codec=CodecConfig(enabled=False))
    began = time.perf_counter()
    if cell["pipeline"] == PIPELINES[0]:
        in_memory(config, wavs)
    else:
        streamed(config, wavs)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def in_memory(config: TokenizerConfig, wavs: dict[str, str]) -> list[np.ndarray]:
    """All features in a list, all of them to scikit-learn, then every utterance's tokens."""
    from sklearn.cluster import KMeans

    features = build_features(config)
    rows = [features.extract([read_audio(path, sample_rate=config.sample_rate)])[0] for path in wavs.values()]
    learner = KMeans(config.semantic.kmeans.num_clusters, random_state=0, max_iter=ITERATIONS, n_init=1)
    learner.fit(np.concatenate(rows))
    return [learner.predict(features_TD).astype(np.int16) for features_TD in rows]


def streamed(config: TokenizerConfig, wavs: dict[str, str]) -> None:
    """What the stages do, in one process: learn from a stream, then read every utterance once more."""
    from tokenchain_toolkit.tokenizers.learning import learn_tokenizer
    from tokenchain_toolkit.tokenizers.tokenizer import load_tokenizer

    with tempfile.TemporaryDirectory() as folder:
        learn_tokenizer(config, wavs, Path(folder))
        tokenizer = load_tokenizer(Path(folder))
        for utt_id, path in wavs.items():
            tokenizer.encode_file(path, name=utt_id)


if __name__ == "__main__":
    sys.exit(main())
