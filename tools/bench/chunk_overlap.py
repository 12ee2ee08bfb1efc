"""How much overlap chunks of an SSL model need: change of its features and tokens against the whole, by overlap.

Usage: python tools/bench/chunk_overlap.py --audio long.wav [--model FOLDER] [--layer 9]

Without --model a HuBERT-base-size model of random weights is used: it has the convolutions' reach of the real one, and
attention that is spread wider than a trained one's.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tokenchain_toolkit.config.tokenizer import SslConfig
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.features.ssl import SslFeatures
from tokenchain_toolkit.tokenizers.kmeans import learn_kmeans

OVERLAPS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0)
NUM_CLUSTERS = 100


def main() -> int:
    """Extract with every overlap, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="audio file of at least a minute")
    parser.add_argument("--model", help="local folder or hub id")
    parser.add_argument("--layer", type=int, default=9, help="layer")
    parser.add_argument("--chunk_seconds", type=float, default=15.0, help="length of a chunk")
    arguments = parser.parse_args()
    samples_N = read_audio(arguments.audio, sample_rate=16000)
    with tempfile.TemporaryDirectory() as folder:
        whole = SslConfig(
            model=arguments.model or random_hubert(Path(folder)), layer=arguments.layer, chunk_seconds=1e9
        )
        expected_TD = extract(whole, samples_N)
        kmeans = learn_kmeans(expected_TD, num_clusters=NUM_CLUSTERS, seed=0, iterations=20).result()
        sys.stdout.write(f"{len(samples_N) / 16000:.0f} s of audio in chunks of {arguments.chunk_seconds:g} s\n\n")
        sys.stdout.write("| overlap (s) | relative feature error | other tokens |\n|---:|---:|---:|\n")
        for overlap in OVERLAPS:
            chunked = replace(whole, chunk_seconds=arguments.chunk_seconds, overlap_seconds=overlap)
            found_TD = extract(chunked, samples_N)
            error = np.sqrt(np.square(found_TD - expected_TD).mean() / np.square(expected_TD).mean())
            other = (kmeans.assign(found_TD) != kmeans.assign(expected_TD)).mean()
            sys.stdout.write(f"| {overlap:g} | {error:.2e} | {100 * other:.2f} % |\n")
    return 0


def extract(config: SslConfig, samples_N: np.ndarray) -> np.ndarray:
    """Features of one utterance."""
    return SslFeatures(config, sample_rate=16000, hop_length=320).extract([samples_N])[0]


def random_hubert(folder: Path) -> str:
    """A HuBERT-base of random weights, saved as the library saves it."""
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    HubertModel(HubertConfig()).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return str(folder)


if __name__ == "__main__":
    sys.exit(main())
