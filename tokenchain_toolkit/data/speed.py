"""Speed perturbation (Ko et al. 2015): copies of a data directory whose audio is played faster or slower.

The copies name the same audio files; ``utt2speed`` says how fast each utterance is played, and extraction plays it so.
Tempo and pitch change together.
"""

from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.data.kaldi import read_data_dir, read_table, write_data_dir, write_table
from tokenchain_toolkit.errors import ConfigError, DataError

SPEEDS = "utt2speed"
SLOWEST, FASTEST = 0.5, 2.0


def perturb_speed(source: Path, out: Path, *, speeds: Sequence[float]) -> int:
    """Write a data directory with every utterance at every speed.

    Utterances and speakers of another speed than 1 get the prefix ``sp<speed>-``: another pitch is another voice.

    Args:
        source: Data directory.
        out: Where to write.
        speeds: Factors, such as 0.9, 1 and 1.1.

    Returns:
        Number of utterances.

    Raises:
        DataError: ``source`` is incomplete, or perturbed already.
        ConfigError: A speed is out of range or stands twice.
    """
    if len(set(speeds)) < len(speeds) or not all(SLOWEST <= speed <= FASTEST for speed in speeds):
        raise ConfigError(f"--speeds {list(speeds)}: give different factors between {SLOWEST} and {FASTEST}")
    if (source / SPEEDS).is_file():
        raise DataError(f"{source} is perturbed already; name the directory that it was made from")
    data = read_data_dir(source)
    wavs, texts, speakers, factors = {}, {}, {}, {}
    for speed in speeds:
        prefix = "" if speed == 1 else f"sp{speed:g}-"
        for utt_id, path in data.wavs.items():
            name = prefix + utt_id
            wavs[name], texts[name] = path, data.texts[utt_id]
            speakers[name], factors[name] = prefix + data.speakers[utt_id], f"{speed:g}"
    write_data_dir(out, wavs=wavs, texts=texts, speakers=speakers)
    write_table(out / SPEEDS, factors)
    return len(wavs)


def read_speeds(folder: Path, utt_ids: Sequence[str]) -> dict[str, float]:
    """Speed of each utterance of a data directory; 1 where it has no ``utt2speed``.

    Raises:
        DataError: ``utt2speed`` misses an utterance, or holds something else than factors.
    """
    if not (folder / SPEEDS).is_file():
        return dict.fromkeys(utt_ids, 1.0)
    table = read_table(folder / SPEEDS)
    speeds = {}
    for utt_id in utt_ids:
        try:
            speeds[utt_id] = float(table[utt_id])
        except (KeyError, ValueError) as error:
            raise DataError(
                f"{folder / SPEEDS}: no factor for {utt_id}; run perturb_speed again, or remove the file"
            ) from error
    return speeds
