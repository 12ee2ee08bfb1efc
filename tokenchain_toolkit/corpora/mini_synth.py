"""mini_synth: a corpus that the machine speaks itself, in two domains.

``read`` has clear everyday sentences; ``talk`` has other voices, a faster rate, conversational wording and noise, and
is the domain that a model trained on ``read`` is carried to. No sentence occurs twice, neither
within a set nor across sets. All sets of a domain have the same voices; the domains share none.

Beside the Kaldi tables each set has a file ``phones``: lines ``utt_id start_seconds end_seconds phone``, in order, with
no gap from 0 to the end of the audio; phones are eSpeak NG's mnemonics without stress marks, pauses are ``sil``.
``data/wav/voices`` maps each speaker to its voice.

The same seed and scale give the same bytes on the same machine, whatever the number of jobs: each speaker of a set is
one job in a fresh process, because eSpeak NG carries state from one utterance to the next.
"""

import hashlib
import logging
import multiprocessing
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.corpora.espeak import Espeak, Speech, find_loader
from tokenchain_toolkit.corpora.grammar import draw_sentences, parse_grammar
from tokenchain_toolkit.corpora.mini_synth_text import READ, TALK
from tokenchain_toolkit.corpora.polyphase import resample_polyphase
from tokenchain_toolkit.corpora.sizes import scaled
from tokenchain_toolkit.data.audio import write_audio
from tokenchain_toolkit.data.kaldi import write_data_dir, write_table
from tokenchain_toolkit.data.stamp import StageStamp
from tokenchain_toolkit.files import write_text

logger = logging.getLogger(__name__)

SAMPLE_RATE = 16000
VERSION = 2  # raise it when the same sentences get another sound
EDGE_SECONDS = 0.06
NOISE_CORNER_HZ = 60.0  # the noise is flat below
SPEECH_FLOOR = 0.02  # of the peak; below it the edges of an utterance count as silence


@dataclass(frozen=True)
class Domain:
    """One domain: its grammar, its voices, and how they speak.

    ``utterances`` of each set, in the order in which sentences are drawn: test comes first, so that another amount of
    training data leaves it as it is.
    """

    name: str
    grammar: dict[str, str]
    voices: tuple[str, ...]
    words_per_minute: tuple[int, int]
    snr_db: tuple[float, float]
    utterances: dict[str, int]


DOMAINS = (
    Domain(
        name="read",
        grammar=READ,
        voices=(
            *("en-us+m1", "en-us+m2", "en-us+m3", "en-us+m4", "en-us+Andy", "en-us+Alex", "en-us+Lee", "en-us+Michael"),
            *("en-us+f1", "en-us+f4", "en-us+Annie", "en-us+linda", "en-us+steph", "en-us+belinda"),
            *("en-gb-x-rp+m7", "en-gb-x-rp+Andrea", "en-us-nyc+Denis", "en-us-nyc+shelby"),
        ),
        words_per_minute=(150, 195),
        snr_db=(45.0, 55.0),  # a floor under the pauses: digital silence has no logarithm
        utterances={"test": 520, "valid": 200, "train": 5000},
    ),
    Domain(
        name="talk",
        grammar=TALK,
        voices=(
            *("en-us+m5", "en-us+m6", "en-us+m8", "en-us+Reed", "en-us+edward", "en-us+max"),
            *("en-us+anika", "en-us+aunty", "en-us+grandma", "en-us-nyc+Gene"),
        ),
        words_per_minute=(175, 220),
        snr_db=(10.0, 20.0),
        utterances={"test": 520, "valid": 200, "train": 2500},
    ),
)
SET_NAMES = tuple(f"{domain.name}_{part}" for domain in DOMAINS for part in domain.utterances)


@dataclass(frozen=True)
class SpeakerJob:
    """All utterances of one speaker in one set."""

    domain: Domain
    speaker: str
    voice: str
    seed: str
    folder: Path
    texts: dict[str, str]


@dataclass(frozen=True)
class SpokenUtterance:
    """What the tables need to know of one written utterance."""

    utt_id: str
    seconds: float
    phone_lines: list[str]


def prepare_mini_synth(
    out: Path, *, seed: int = 0, scale: float = 1.0, num_jobs: int = 2, overwrite: bool = False
) -> bool:
    """Write the six sets of mini_synth below ``out``, and their audio below ``out/wav``.

    Args:
        out: Folder of data directories.
        seed: Seed of sentences, voices and noise.
        scale: Share of the default numbers of utterances.
        num_jobs: Processes; the result does not depend on it.
        overwrite: Write again what is up to date.

    Returns:
        False if everything was up to date.

    Raises:
        MissingDependencyError: espeakng-loader is not installed.
        ConfigError: ``scale`` is not above 0, or asks for more sentences than a grammar holds.
    """
    find_loader()
    sentences = draw_texts(seed=seed, scale=scale)
    audio = out.resolve() / "wav"
    texts_hash = hashlib.sha256(repr(sentences).encode()).hexdigest()  # another grammar makes the audio stale
    config = {"corpus": "mini_synth", "version": VERSION, "seed": seed, "texts": texts_hash}
    stamp = StageStamp(audio, inputs=[], config=config)
    if not stamp.begin(overwrite=overwrite, also=[out / name for name in SET_NAMES]):
        logger.info("mini_synth in %s is up to date", out)
        return False
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "scipy.signal", "scipy.fft"])
    with context.Pool(num_jobs, maxtasksperchild=1) as pool:
        for domain in DOMAINS:
            for part in domain.utterances:
                name = f"{domain.name}_{part}"
                jobs = list(_speaker_jobs(domain, part, sentences[name], seed=seed, folder=audio / name))
                spoken = [one for many in pool.imap(_speak, jobs, chunksize=1) for one in many]
                _write_set(out / name, jobs, spoken)
    write_table(
        audio / "voices", {_speaker(domain, i): voice for domain in DOMAINS for i, voice in enumerate(domain.voices)}
    )
    stamp.finish(also=[out / name for name in SET_NAMES])
    return True


def draw_texts(*, seed: int, scale: float) -> dict[str, list[str]]:
    """Sentences of every set, all different."""
    taken: set[str] = set()
    texts: dict[str, list[str]] = {}
    for domain in DOMAINS:
        generator = random.Random(f"mini_synth {domain.name} {seed}")
        rules = parse_grammar(domain.grammar)
        for part, count in domain.utterances.items():
            texts[f"{domain.name}_{part}"] = draw_sentences(rules, scaled(count, scale), generator, taken=taken)
    return texts


def _speaker(domain: Domain, index: int) -> str:
    return f"{domain.name}{index + 1:02d}"


def _speaker_jobs(domain: Domain, part: str, sentences: list[str], *, seed: int, folder: Path) -> Iterator[SpeakerJob]:
    """Deal the sentences of one set out to the domain's speakers in turn."""
    for index, voice in enumerate(domain.voices):
        speaker = _speaker(domain, index)
        numbers = range(index, len(sentences), len(domain.voices))
        texts = {f"{speaker}-{part}-{number:05d}": sentences[number] for number in numbers}
        if texts:
            yield SpeakerJob(domain, speaker, voice, f"mini_synth {part} {speaker} {seed}", folder, texts)


def _speak(job: SpeakerJob) -> list[SpokenUtterance]:
    """Synthesise and write all utterances of one job; runs in a fresh process."""
    espeak = Espeak()
    # A speaker keeps a rate and a pitch of its own through all sets.
    manner = random.Random(f"mini_synth {job.speaker}")
    espeak.set_voice(
        job.voice,
        rate=manner.randint(*job.domain.words_per_minute),
        pitch=manner.randint(40, 60),
        pitch_range=manner.randint(35, 65),
    )
    choose = random.Random(job.seed)
    noise_generator = np.random.default_rng(choose.getrandbits(64))
    spoken = []
    for utt_id, text in job.texts.items():
        samples_T, phones = _at_our_rate(espeak.say(text), espeak.sample_rate)
        samples_T *= choose.uniform(0.3, 0.7) / np.abs(samples_T).max()
        samples_T += coloured_noise(samples_T, snr_db=choose.uniform(*job.domain.snr_db), generator=noise_generator)
        write_audio(job.folder / f"{utt_id}.wav", samples_T, sample_rate=SAMPLE_RATE)
        lines = [f"{utt_id} {start:.4f} {end:.4f} {phone}\n" for start, end, phone in phones]
        spoken.append(SpokenUtterance(utt_id, len(samples_T) / SAMPLE_RATE, lines))
    return spoken


def _at_our_rate(speech: Speech, rate: int) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """Resample, give both edges ``EDGE_SECONDS`` of silence, and move the phone times along.

    Returns:
        Samples, shape (num_samples,), and phones as (start, end, phone) in seconds.
    """
    samples_T = resample_polyphase(speech.samples_T, rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(samples_T) > SPEECH_FLOOR * np.abs(samples_T).max())
    first, last, edge = int(loud[0]), int(loud[-1]) + 1, round(EDGE_SECONDS * SAMPLE_RATE)
    padded_T = np.pad(samples_T, edge)[first : last + 2 * edge]
    seconds = len(padded_T) / SAMPLE_RATE
    offset = EDGE_SECONDS - first / SAMPLE_RATE
    return padded_T, phone_intervals([(start / rate + offset, phone) for start, phone in speech.phones], seconds)


def phone_intervals(starts: list[tuple[float, str]], seconds: float) -> list[tuple[float, float, str]]:
    """Turn phone starts into intervals that cover [0, ``seconds``]; pauses in a row become one."""
    starts = [(0.0, "sil"), *((min(max(start, 0.0), seconds), phone) for start, phone in starts), (seconds, "")]
    intervals: list[tuple[float, float, str]] = []
    for (start, phone), (end, _) in zip(starts, starts[1:], strict=False):
        if intervals and intervals[-1][2] == phone == "sil":
            intervals[-1] = (intervals[-1][0], end, phone)
        elif end > start:
            intervals.append((start, end, phone))
    return intervals


def coloured_noise(samples_T: np.ndarray, *, snr_db: float, generator: np.random.Generator) -> np.ndarray:
    """Noise between white and red for ``samples_T``, at ``snr_db`` below its mean power.

    Returns:
        Noise, shape (num_samples,).
    """
    from scipy.fft import irfft, next_fast_len, rfft

    length = next_fast_len(len(samples_T), real=True)  # a prime length takes ten times as long
    spectrum_F = rfft(generator.standard_normal(length, dtype=np.float32))
    slope = generator.uniform(0.25, 0.75)  # 0.5 is pink: power falls with 1/f
    bins_F = np.arange(len(spectrum_F), dtype=np.float32)
    spectrum_F /= np.maximum(bins_F, length * NOISE_CORNER_HZ / SAMPLE_RATE) ** np.float32(slope)
    noise_T = irfft(spectrum_F, n=length)[: len(samples_T)]
    power = np.mean(np.square(samples_T, dtype=np.float64)) * 10 ** (-snr_db / 10)
    return (noise_T * np.sqrt(power / np.mean(noise_T**2))).astype(np.float32)


def _write_set(folder: Path, jobs: list[SpeakerJob], spoken: list[SpokenUtterance]) -> None:
    texts = {utt_id: text for job in jobs for utt_id, text in job.texts.items()}
    write_data_dir(
        folder,
        wavs={utt_id: str(job.folder / f"{utt_id}.wav") for job in jobs for utt_id in job.texts},
        texts=texts,
        speakers={utt_id: job.speaker for job in jobs for utt_id in job.texts},
    )
    ordered = sorted(spoken, key=lambda one: one.utt_id)
    write_text(folder / "phones", "".join(line for one in ordered for line in one.phone_lines))
    hours = sum(one.seconds for one in spoken) / 3600
    logger.info("%s: %d utterances, %.2f h", folder, len(texts), hours)
