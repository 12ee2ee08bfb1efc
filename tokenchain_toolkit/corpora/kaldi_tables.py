"""Data directories that others wrote, as Kaldi and ESPnet have them: ``<set>/{wav.scp,text,utt2spk}`` in one folder.

Audio is used where it lies, or brought to 16 kHz if that is asked for; a relative path is looked for beside the tables
and in the folder above them. Ids that do not begin with their speaker get the speaker in front. Texts stay as they are,
but for control characters and spaces. The set ``held_out`` is made of some speakers of the training set, which then
lacks them.
"""

from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.corpora.utterances import Utterance, hold_out_speakers, write_sets
from tokenchain_toolkit.data.kaldi import absolute_wavs, read_data_dir
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.text.normalise import tidy

HELD_OUT = "held_out"
TABLE = "wav.scp"


def prepare_kaldi(
    out: Path,
    *,
    root: Path,
    train_set: str,
    valid_set: str,
    test_sets: Sequence[str],
    resample: bool = False,
    num_jobs: int = 2,
    overwrite: bool = False,
) -> bool:
    """Write the chosen sets below ``out``.

    Args:
        out: Folder of data directories.
        root: Folder of those that others wrote.
        train_set: Name of a folder in ``root``.
        valid_set: The same, or ``held_out``.
        test_sets: Names of folders in ``root``.
        resample: Write the audio at 16 kHz below ``out/wav``.
        num_jobs: Files resampled at the same time.
        overwrite: Write again what is up to date.

    Returns:
        False if everything was up to date.

    Raises:
        DataError: A set is not there or not as it must be.
        ConfigError: ``out`` is ``root``, or ``held_out`` is asked for elsewhere than for validation.
    """
    if out.resolve() == root.resolve():
        raise ConfigError(f"{root} would be written over; name another folder with --out")
    if HELD_OUT in (train_set, *test_sets):
        raise ConfigError(f"{HELD_OUT} is for validation; name it as --valid_set alone")
    names = [name for name in dict.fromkeys([train_set, valid_set, *test_sets]) if name != HELD_OUT]
    sets = {name: read_tables(root / name) for name in names}
    if valid_set == HELD_OUT:
        sets[train_set], sets[HELD_OUT] = hold_out_speakers(sets[train_set])
    return write_sets(out, sets, corpus="kaldi", resample=resample, num_jobs=num_jobs, overwrite=overwrite)


def read_tables(folder: Path) -> list[Utterance]:
    """The utterances of one data directory, sorted by id.

    Raises:
        DataError: It is none, its audio is not in files of one utterance each, or the tables do not fit together.
    """
    if not (folder / TABLE).is_file():
        there = sorted(path.parent.name for path in folder.parent.glob(f"*/{TABLE}"))
        raise DataError(
            f"{folder.absolute()} holds no {TABLE}; {folder.parent} has the sets {', '.join(there) or 'none'}: choose "
            "among them with --train_set, --valid_set and --test_sets, or mend --root"
        )
    if (folder / "segments").is_file():
        raise DataError(
            f"{folder / 'segments'}: utterances are parts of recordings; write each into a file of its own first, such "
            "as with Kaldi's extract-segments or ESPnet's format_wav_scp.sh, and leave segments out"
        )
    data = read_data_dir(folder)
    piped = [utt_id for utt_id, path in data.wavs.items() if path.endswith("|")]
    if piped:
        raise DataError(
            f"{folder / TABLE}: the audio of {len(piped)} utterances, such as {piped[0]}, is made by a command, and "
            "commands are never run; write it into files first, such as with ESPnet's format_wav_scp.sh"
        )
    wavs, owners = absolute_wavs(data), data.speakers
    utterances = [
        Utterance(_speaker_first(utt_id, owners[utt_id]), owners[utt_id], tidy(text), Path(wavs[utt_id]))
        for utt_id, text in data.texts.items()
    ]
    return sorted(utterances, key=lambda each: each.utt_id)


def _speaker_first(utt_id: str, speaker: str) -> str:
    return utt_id if utt_id.startswith(speaker) else f"{speaker}-{utt_id}"
