"""Whether a folder holds the corpus, or the pretrained model, that a variable of ``db.sh`` is to name."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from tokenchain_toolkit.corpora.librispeech import SETS, subsets_of
from tokenchain_toolkit.corpora.tedlium import find_release
from tokenchain_toolkit.errors import DataError

HOLDS = {  # variable -> what stage 1 reads of its folder
    "AN4": ("etc/an4_train.transcription", "etc/an4_test.transcription", "wav/an4_clstk", "wav/an4test_clstk"),
    "FSDD": ("recordings",),
    "KERSTIN": ("verified/metadata.csv",),
    "LJSPEECH": ("metadata.csv", "wavs"),
    "SPEECHOCEAN762_DIGITS": ("train/wav.scp", "train/text", "train/utt2spk"),
}
LIBRISPEECHES = ("LIBRISPEECH", "MINI_LIBRISPEECH")
RELEASES = ("TEDLIUM2",)
PRETRAINED = {  # variable -> files of the model; a pattern stands for one file or several
    "HUBERT_BASE": ("config.json", "*.safetensors"),
    "ENCODEC_24KHZ": ("config.json", "*.safetensors"),
    "SPEECHTOKENIZER": ("config.json", "SpeechTokenizer.pt"),
}
FOLDERS_ALONE = ("SPEECHTOKENIZER",)  # those that no name on a hub stands for


def lacking(name: str, folder: Path, sets: Iterable[str]) -> list[str]:
    """What the stages need and the folder does not hold; nothing if the variable is none of these.

    Args:
        name: Variable of ``db.sh``.
        folder: That it names.
        sets: That ``run.sh`` names, which say what of LibriSpeech is needed.
    """
    if name in RELEASES:
        try:
            find_release(folder)
        except DataError:
            return ["TEDLIUM_release2/{train,dev,test}/{sph,stm}"]
        return []
    if name in PRETRAINED:
        return [each for each in PRETRAINED[name] if not any(folder.glob(each))]
    wanted = subsets_of(each for each in sets if each in SETS) if name in LIBRISPEECHES else HOLDS.get(name, ())
    return [each for each in wanted if not (folder / each).exists()]


def nearby_corpus(name: str, folder: Path, missing: Collection[str], sets: Iterable[str]) -> Path | None:
    """A folder in it, or the one around it, that lacks less: the usual slip is a level too high or too low."""
    counts = {}
    for each in (*sorted(each for each in folder.iterdir() if os.path.isdir(each)), folder.parent):
        try:
            counts[each] = len(lacking(name, each, sets))
        except OSError:  # not ours to read
            continue
    best = min(counts, key=lambda each: counts[each], default=None)
    return best if best is not None and counts[best] < len(missing) else None
