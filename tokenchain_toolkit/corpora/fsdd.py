"""fsdd: strings of real spoken digits, joined from the Free Spoken Digit Dataset.

A string is 1 to 6 recordings of one speaker with pauses of 50 to 200 ms of faint noise between them, at 16 kHz; its
text is the digit words ("three five one"). A recording occurs in many strings, always in another order or company, but
never in two sets:

* ``seen_test``: takes 0-4 of the training speakers (with four speakers 200 recordings, reused in 520 strings);
* ``valid``: takes 45-49 of the training speakers;
* ``train``: their takes 5-44;
* ``unseen_test``: all takes of one speaker who is in no other set;
* ``speechocean_test``: a second domain, digit strings of speechocean762 (other microphones, connected speech, Mandarin
  accents, mostly children), all of it for testing; only where its folder is given;
* ``speechocean_adapt``, ``speechocean_valid``, ``speechocean_heldout``: the same strings divided by speaker (two fifths
  of the speakers, a tenth, the rest), for adapting to them.
"""

import logging
import random
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tokenchain_toolkit.corpora.polyphase import resample_polyphase
from tokenchain_toolkit.corpora.sizes import scaled
from tokenchain_toolkit.data.audio import read_audio, write_audio
from tokenchain_toolkit.data.kaldi import absolute_wavs, read_data_dir, write_data_dir
from tokenchain_toolkit.data.stamp import StageStamp
from tokenchain_toolkit.errors import DataError

logger = logging.getLogger(__name__)

SAMPLE_RATE = 16000
RECORDING_RATE = 8000  # of the dataset
VERSION = 2  # raise it when the same seed gives another corpus
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEST_TAKES, TRAIN_TAKES, VALID_TAKES = range(5), range(5, 45), range(45, 50)
ALL_TAKES = range(50)
STRINGS = {"train": 2500, "valid": 200, "seen_test": 520, "unseen_test": 520}
SECOND_DOMAIN = "speechocean_test"
# Its parts, each with the share of the speakers that lie before its own.
SECOND_DOMAIN_PARTS = {"speechocean_adapt": 0.0, "speechocean_valid": 0.4, "speechocean_heldout": 0.5}
MAX_DIGITS = 6
EDGE_SECONDS = 0.06
PAUSE_SECONDS = (0.05, 0.2)
FLOOR_LEVEL = 1e-3  # standard deviation of the noise under a string, about -60 dB
PEAK = 0.6

Recordings = dict[tuple[str, int, int], Path]  # (speaker, digit, take)


def prepare_fsdd(
    out: Path,
    *,
    fsdd: Path,
    speechocean: Path | None = None,
    unseen_speaker: str = "theo",
    seed: int = 0,
    scale: float = 1.0,
    overwrite: bool = False,
) -> bool:
    """Write the sets of fsdd below ``out``, and their audio below ``out/wav``.

    Args:
        out: Folder of data directories.
        fsdd: Folder with ``recordings/<digit>_<speaker>_<take>.wav``.
        speechocean: Folder with ``train/{wav.scp,text,utt2spk}``, or that data directory itself; None leaves the
            second domain out.
        unseen_speaker: Speaker of ``unseen_test``.
        seed: Seed of the strings and pauses.
        scale: Share of the default numbers of strings.
        overwrite: Write again what is up to date.

    Returns:
        False if everything was up to date.

    Raises:
        DataError: A folder or a recording is missing, or a transcript holds more than digit words.
        ConfigError: ``scale`` is not above 0.
    """
    recordings = find_recordings(fsdd)
    speakers = check_recordings(recordings, fsdd, unseen_speaker=unseen_speaker)
    counts = {name: scaled(count, scale) for name, count in STRINGS.items()}
    second = _second_domain_folder(speechocean)
    second_names = [SECOND_DOMAIN, *SECOND_DOMAIN_PARTS]
    names = [*STRINGS, *(second_names if second else [])]
    tables = [second / name for name in ("wav.scp", "text", "utt2spk")] if second else []
    config = {"corpus": "fsdd", "version": VERSION, "seed": seed, "scale": scale, "unseen_speaker": unseen_speaker}
    audio = out.resolve() / "wav"
    stamp = StageStamp(audio, inputs=[*recordings.values(), *tables], config=config)
    if not stamp.begin(overwrite=overwrite, also=[out / name for name in names]):
        logger.info("fsdd in %s is up to date", out)
        return False
    pools = {"train": TRAIN_TAKES, "valid": VALID_TAKES, "seen_test": TEST_TAKES, "unseen_test": ALL_TAKES}
    for name, takes in pools.items():
        chosen = [unseen_speaker] if name == "unseen_test" else speakers
        strings = draw_strings(chosen, takes, counts[name], random.Random(f"fsdd {name} {seed}"))
        _write_strings(out / name, audio / name, strings, recordings=recordings, seed=seed)
    if second:
        _write_second_domain(out / SECOND_DOMAIN, audio / SECOND_DOMAIN, source=second)
        _divide_second_domain(out)
    else:
        for name in second_names:
            shutil.rmtree(out / name, ignore_errors=True)  # of an earlier run; its audio is gone with the stamp
    stamp.finish(also=[out / name for name in names])
    return True


def find_recordings(fsdd: Path) -> Recordings:
    """List the recordings of a copy of FSDD.

    Raises:
        DataError: There are none.
    """
    recordings: Recordings = {}
    for path in sorted((fsdd / "recordings").glob("*.wav")):
        parts = path.stem.split("_")
        if len(parts) == 3 and parts[0] in "0123456789" and len(parts[0]) == 1 and parts[2].isdigit():
            recordings[parts[1], int(parts[0]), int(parts[2])] = path
    if not recordings:
        raise DataError(
            f"{(fsdd / 'recordings').resolve()} holds no <digit>_<speaker>_<take>.wav; clone "
            "https://github.com/Jakobovski/free-spoken-digit-dataset and set FSDD= in db.sh to the clone"
        )
    return recordings


def check_recordings(recordings: Recordings, fsdd: Path, *, unseen_speaker: str) -> list[str]:
    """Check that every speaker has every take of every digit.

    Returns:
        The training speakers, sorted.

    Raises:
        DataError: A recording is missing, ``unseen_speaker`` is not there, or is the only one.
    """
    speakers = sorted({speaker for speaker, _, _ in recordings})
    if unseen_speaker not in speakers or len(speakers) < 2:
        raise DataError(
            f"{fsdd}: needs --unseen_speaker {unseen_speaker} and at least one more speaker, and has "
            f"{', '.join(speakers)}; name one of several"
        )
    missing = [
        f"{digit}_{speaker}_{take}.wav"
        for speaker in speakers
        for digit in range(10)
        for take in ALL_TAKES
        if (speaker, digit, take) not in recordings
    ]
    if missing:
        raise DataError(
            f"{fsdd / 'recordings'}: {len(missing)} recordings are missing: {', '.join(missing[:5])}"
            f"{' ...' if len(missing) > 5 else ''}; fetch the dataset again, or move that speaker's files away"
        )
    return [speaker for speaker in speakers if speaker != unseen_speaker]


def draw_strings(
    speakers: Sequence[str], takes: Sequence[int], count: int, generator: random.Random
) -> list[tuple[str, list[tuple[int, int]]]]:
    """Draw ``count`` different strings of (digit, take), speakers and lengths in turn.

    Each speaker's recordings are dealt like a shuffled pack of cards, so that all are used about equally often.
    """
    packs: dict[str, list[tuple[int, int]]] = {speaker: [] for speaker in speakers}
    seen: set[tuple[str, tuple[tuple[int, int], ...]]] = set()
    strings: list[tuple[str, list[tuple[int, int]]]] = []
    while len(strings) < count:
        speaker = speakers[len(strings) % len(speakers)]
        pack, string = packs[speaker], []
        for _ in range(generator.randint(1, MAX_DIGITS)):
            if not pack:
                pack += [(digit, take) for digit in range(10) for take in takes]
                generator.shuffle(pack)
            string.append(pack.pop())
        if (speaker, tuple(string)) not in seen:
            seen.add((speaker, tuple(string)))
            strings.append((speaker, string))
    return strings


def join_digits(pieces: Iterable[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """Join recordings at ``SAMPLE_RATE`` with random pauses, over a faint noise.

    Args:
        pieces: Recordings, each of shape (num_samples,); each is brought to the same peak, as their levels differ by
            40 dB.
        generator: Source of pauses and noise.

    Returns:
        Samples, shape (num_samples,).
    """
    edge = round(EDGE_SECONDS * SAMPLE_RATE)
    parts: list[np.ndarray] = [np.zeros(edge, dtype=np.float32)]
    for piece_T in pieces:
        parts.append(piece_T * (PEAK / max(float(np.abs(piece_T).max()), FLOOR_LEVEL)))
        parts.append(np.zeros(round(generator.uniform(*PAUSE_SECONDS) * SAMPLE_RATE), dtype=np.float32))
    parts[-1] = np.zeros(edge, dtype=np.float32)
    joined_T = np.concatenate(parts)
    return joined_T + FLOOR_LEVEL * generator.standard_normal(len(joined_T), dtype=np.float32)


def _write_strings(
    folder: Path,
    audio: Path,
    strings: list[tuple[str, list[tuple[int, int]]]],
    *,
    recordings: Recordings,
    seed: int,
) -> None:
    generator = np.random.default_rng([seed, list(STRINGS).index(folder.name)])
    needed = sorted({(speaker, *one) for speaker, string in strings for one in string})
    sounds = {}
    for key in needed:
        recording_T = read_audio(recordings[key], sample_rate=RECORDING_RATE)
        sounds[key] = resample_polyphase(recording_T, RECORDING_RATE, SAMPLE_RATE)
    wavs, texts, owners, samples = {}, {}, {}, 0
    for number, (speaker, string) in enumerate(strings):
        utt_id = f"{speaker}-{folder.name}-{number:05d}"
        path = audio / f"{utt_id}.wav"
        joined_T = join_digits([sounds[speaker, digit, take] for digit, take in string], generator)
        write_audio(path, joined_T, sample_rate=SAMPLE_RATE)
        wavs[utt_id], owners[utt_id] = str(path), speaker
        texts[utt_id] = " ".join(WORDS[digit] for digit, _ in string)
        samples += len(joined_T)
    write_data_dir(folder, wavs=wavs, texts=texts, speakers=owners)
    _log_set(folder, len(strings), samples)


def _second_domain_folder(speechocean: Path | None) -> Path | None:
    if speechocean is None:
        logger.info("fsdd: no speechocean762 folder given, so the second domain (%s) is left out", SECOND_DOMAIN)
        return None
    for folder in (speechocean / "train", speechocean):
        if (folder / "wav.scp").is_file():
            return folder
    raise DataError(
        f"{speechocean}: neither it nor its train/ holds a wav.scp; set SPEECHOCEAN762_DIGITS= in db.sh to the "
        "folder of speechocean762's digit strings, or leave it empty to do without the second domain"
    )


def _write_second_domain(folder: Path, audio: Path, *, source: Path) -> None:
    """Copy the second domain in, with paths that hold from anywhere and texts in lower case."""
    data = read_data_dir(source)
    wavs, texts, owners, samples = {}, {}, {}, 0
    for old_id, original in absolute_wavs(data).items():
        words = data.texts[old_id].lower().split()
        odd = sorted(set(words) - set(WORDS))
        if odd or not words:
            raise DataError(f"{source / 'text'}: {old_id} holds {odd or 'nothing'}; keep only strings of digit words")
        speaker = f"so{data.speakers[old_id]}"
        utt_id = f"{speaker}-{old_id}"
        samples_T = read_audio(original, sample_rate=SAMPLE_RATE)
        wavs[utt_id] = str(audio / f"{utt_id}.wav")
        write_audio(Path(wavs[utt_id]), samples_T, sample_rate=SAMPLE_RATE)
        texts[utt_id], owners[utt_id] = " ".join(words), speaker
        samples += len(samples_T)
    write_data_dir(folder, wavs=wavs, texts=texts, speakers=owners)
    _log_set(folder, len(wavs), samples)


def _divide_second_domain(out: Path) -> None:
    """Divide the second domain by speaker, the same way every time."""
    data = read_data_dir(out / SECOND_DOMAIN)
    speakers = sorted(set(data.speakers.values()))
    random.Random("fsdd second domain").shuffle(speakers)
    places = {speaker: index / len(speakers) for index, speaker in enumerate(speakers)}
    begins = [*SECOND_DOMAIN_PARTS.values(), 1.0]
    for name, begin, end in zip(SECOND_DOMAIN_PARTS, begins[:-1], begins[1:], strict=True):
        chosen = [utt_id for utt_id, speaker in data.speakers.items() if begin <= places[speaker] < end]
        tables = ({utt_id: table[utt_id] for utt_id in chosen} for table in (data.wavs, data.texts, data.speakers))
        wavs, texts, owners = tables
        write_data_dir(out / name, wavs=wavs, texts=texts, speakers=owners)


def _log_set(folder: Path, utterances: int, samples: int) -> None:
    logger.info("%s: %d utterances, %.2f h", folder, utterances, samples / SAMPLE_RATE / 3600)
