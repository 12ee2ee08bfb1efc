"""How well the spectral codec rebuilds speech it has not learned from, beside what else could make its sound.

Usage: python tools/bench/codec.py --train_data DIR --test_data DIR [DIR ...] [--utts 40] [--steps 1500]
           [--variants NAME ...] [--recogniser pocketsphinx]

Every variant learns on the same training set (a Kaldi directory) and rebuilds the same test utterances, spread evenly
over the test sets. `mel` is the codec with the mel bands inverted, `head` with its network, `phases` with one that
takes the place of Griffin-Lim, too; `unquantized` leaves the codes out; `world` analyses and makes speech by WORLD
without any quantization, which bounds what codes of its features could give. Needs the extra metrics (pesq, pystoi,
pyworld, pocketsphinx).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from phase_head import PhaseHead

from tokenchain_toolkit.config.tokenizer import CodecConfig, HeadConfig, TokenizerConfig
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.data.kaldi import read_data_dir
from tokenchain_toolkit.features.framing import mel_matrix
from tokenchain_toolkit.metrics.error_rate import word_error_rate
from tokenchain_toolkit.metrics.recognisers import Recogniser, load_recogniser
from tokenchain_toolkit.metrics.reconstruction import measure_reconstruction
from tokenchain_toolkit.text.normalise import get_normaliser
from tokenchain_toolkit.tokenizers.head_training import HeadExample, train_head
from tokenchain_toolkit.tokenizers.spectral_head import SpectralHead
from tokenchain_toolkit.tokenizers.spectral_rvq import (
    LogMel,
    SpectralRvq,
    learn_spectral_rvq,
    new_head,
    spectral_settings,
)

RATE, HOP = 16000, 320
FRAMES_TO_LEARN = 150_000
Rebuild = Callable[[np.ndarray], np.ndarray]

# Codec settings of each variant; its name begins with what makes the sound.
OF_RECIPES = {"num_quantizers": 8, "codebook_size": 256}
CODECS = {
    "mel": {},
    "mel 128 bands": {"num_mels": 128},
    "mel, plain Griffin-Lim": {"griffin_lim_momentum": 0.0},
    "mel, 100 iterations": {"griffin_lim_iterations": 100},
    "head": {},
    "head 128 bands": {"num_mels": 128},
    "head 8 x 1024": {"codebook_size": 1024},
    "head 12 x 1024": {"codebook_size": 1024, "num_quantizers": 12},
    "phases": {},
}
WORLD = {"world, 5 ms": 5.0, "world, 20 ms": 20.0}
UNQUANTIZED = "mel, unquantized"
VARIANTS = (UNQUANTIZED, *WORLD, *CODECS)


@dataclass(frozen=True)
class Test:
    """What is rebuilt, and the recogniser that reads it, if one is to."""

    samples: list[np.ndarray]
    texts: list[str]
    recogniser: Recogniser | None

    @property
    def seconds(self) -> float:
        """How long it all lasts."""
        return sum(map(len, self.samples)) / RATE


def main() -> int:
    """Measure every variant, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train_data", type=Path, required=True, help="Kaldi directory to learn from")
    parser.add_argument("--test_data", type=Path, nargs="+", required=True, help="Kaldi directories to rebuild")
    parser.add_argument("--utts", type=int, default=40, help="utterances to rebuild of each test set")
    parser.add_argument("--steps", type=int, default=HeadConfig().steps, help="updates of the head")
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS, help="what is measured")
    parser.add_argument("--recogniser", help="pocketsphinx, a local folder or a hub id; none measures no WER")
    arguments = parser.parse_args()
    training = [read_audio(path, sample_rate=RATE) for path in read_data_dir(arguments.train_data).wavs.values()]
    recogniser = load_recogniser(arguments.recogniser) if arguments.recogniser else None
    test = read_test(arguments.test_data, count=arguments.utts, recogniser=recogniser)
    sys.stdout.write(
        f"learned from {sum(map(len, training)) / RATE / 60:.1f} min, {len(test.samples)} utterances "
        f"({test.seconds / 60:.1f} min) rebuilt, head trained for {arguments.steps} updates\n\n"
        "| variant | kbit/s | learning (s) | PESQ | STOI | mel distance (dB) | gross pitch error | WER (%) | decoding, "
        "times real time |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    )
    report(test, "natural", test.samples, kilobits=0.0, learning=0.0, speed=None)
    for name in arguments.variants:
        start = time.process_time()
        rebuild, kilobits = make(name, training, steps=arguments.steps)
        learning, start = time.process_time() - start, time.process_time()
        rebuilt = [rebuild(samples_N) for samples_N in test.samples]
        speed = test.seconds / (time.process_time() - start)
        report(test, name, rebuilt, kilobits=kilobits, learning=learning, speed=speed)
    return 0


def read_test(folders: Sequence[Path], *, count: int, recogniser: Recogniser | None) -> Test:
    """Audio and texts of utterances spread evenly over each set."""
    samples, texts = [], []
    for folder in folders:
        data = read_data_dir(folder)
        names = sorted(data.wavs)
        for index in np.unique(np.linspace(0, len(names) - 1, min(count, len(names))).astype(int)):
            samples.append(read_audio(data.wavs[names[index]], sample_rate=RATE))
            texts.append(data.texts[names[index]])
    return Test(samples, texts, recogniser)


def make(name: str, training: Sequence[np.ndarray], *, steps: int) -> tuple[Rebuild, float]:
    """What rebuilds an utterance, and its kbit/s."""
    if name in WORLD:
        return lambda samples_N: world(samples_N, frame_ms=WORLD[name]), 0.0
    settings = replace(CodecConfig(), **OF_RECIPES | CODECS.get(name, {}))
    config = TokenizerConfig(codec=replace(settings, head=HeadConfig(steps=steps)))
    if name == UNQUANTIZED:
        frames = LogMel(spectral_settings(config))
        return lambda samples_N: frames.synthesize(frames.analyse(samples_N)), 0.0
    codec = learn_codebooks(config, training)
    kilobits = float(settings.num_quantizers * np.log2(settings.codebook_size) * RATE / HOP / 1000)
    if name.startswith("mel"):
        return lambda samples_N: codec.decode([codec.encode(samples_N)])[0], kilobits
    if name.startswith("phases"):
        phases = learn_head(codec, training, config.codec.head, phases=True)
        return lambda samples_N: speak(phases, codec.dequantize(codec.encode(samples_N))), kilobits
    whole = SpectralRvq(codec.codebooks_QKM, codec.settings, learn_head(codec, training, config.codec.head))
    return lambda samples_N: whole.decode([whole.encode(samples_N)])[0], kilobits


def learn_codebooks(config: TokenizerConfig, training: Sequence[np.ndarray]) -> SpectralRvq:
    """The codec without a head."""
    analysis = LogMel(spectral_settings(config))
    frames_NM = np.concatenate([analysis.analyse(samples_N) for samples_N in training])
    chosen = np.random.default_rng(0).permutation(len(frames_NM))[:FRAMES_TO_LEARN]
    return learn_spectral_rvq(frames_NM[chosen], config)


def learn_head(
    codec: SpectralRvq, training: Sequence[np.ndarray], config: HeadConfig, *, phases: bool = False
) -> SpectralHead:
    """Its head, or one that gives phases, too."""
    head = new_head(config, codec.settings)
    if phases:
        mel_FM = mel_matrix(n_fft=codec.settings.n_fft, num_mels=codec.settings.num_mels, sample_rate=RATE)
        torch.manual_seed(config.seed)
        head = PhaseHead(config, mel_FM=mel_FM, hop_length=HOP)
    examples = [HeadExample(codec.dequantize(codec.encode(samples_N)), samples_N) for samples_N in training]
    with tempfile.TemporaryDirectory() as folder:
        train_head(head, examples, config=config, checkpoint=Path(folder) / "partial")
    return head


@torch.inference_mode()
def speak(head: PhaseHead, log_mel_TM: np.ndarray) -> np.ndarray:
    """Audio of one utterance."""
    return head.synthesize(torch.from_numpy(log_mel_TM)[None])[0].numpy()


def world(samples_N: np.ndarray, *, frame_ms: float) -> np.ndarray:
    """Analysis and synthesis by WORLD (Morise et al. 2016)."""
    import pyworld

    samples = samples_N.astype(np.float64)
    pitch_T, time_T = pyworld.dio(samples, RATE, frame_period=frame_ms)
    pitch_T = pyworld.stonemask(samples, pitch_T, time_T, RATE)
    envelope_TF = pyworld.cheaptrick(samples, pitch_T, time_T, RATE)
    aperiodicity_TF = pyworld.d4c(samples, pitch_T, time_T, RATE)
    made_N = pyworld.synthesize(pitch_T, envelope_TF, aperiodicity_TF, RATE, frame_ms)
    return made_N[: len(samples_N)].astype(np.float32)


def report(
    test: Test, name: str, rebuilt: Sequence[np.ndarray], *, kilobits: float, learning: float, speed: float | None
) -> None:
    """Write one line of the table."""
    sound = measure_reconstruction(test.samples, list(rebuilt), original_rate=RATE, rebuilt_rate=RATE)
    words, times = "–", "–" if speed is None else f"{speed:.0f}"
    if test.recogniser is not None:
        normalise = get_normaliser("words")
        read = test.recogniser.transcribe([np.clip(samples_N, -1, 1) for samples_N in rebuilt])
        references = {str(index): normalise(text) for index, text in enumerate(test.texts)}
        rate = word_error_rate(references, {str(index): normalise(text) for index, text in enumerate(read)})
        words = f"{100 * rate.value:.1f} [{100 * rate.ci_low:.1f}, {100 * rate.ci_high:.1f}]"
    sys.stdout.write(
        f"| {name} | {kilobits:.1f} | {learning:.0f} | {sound.pesq:.2f} | {sound.stoi:.3f} | "
        f"{sound.mel_distance:.2f} | {sound.gross_pitch_error:.3f} | {words} | {times} |\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    torch.set_num_threads(1)  # as a job of a recipe that has as many jobs as cores
    sys.exit(main())
