"""What is to be spoken, or said in another voice, looked at as a whole before any work: names, texts, audio files."""

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tokenchain_toolkit.data.audio_scan import AudioRules, scan_audio
from tokenchain_toolkit.data.manifest import read_manifest
from tokenchain_toolkit.data.validate import UTT_ID
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.inference.model_folder import load_text_tokenizer
from tokenchain_toolkit.text.bpe import TextTokenizer

LOG = logging.getLogger(__name__)
Row = tuple[str, str, str]  # utt_id, text or audio file, audio file of the prompt


def text_rows(
    texts: Mapping[str, str],
    prompts: Mapping[str, str],
    *,
    prompt_texts: Mapping[str, str],
    t2s: Path,
    tokenizer: Path,
) -> list[Row]:
    """Every text with its prompt.

    Args:
        texts: utt_id -> what to say.
        prompts: utt_id -> audio file of the wanted voice.
        prompt_texts: Audio file of a prompt -> what is said in it, where it is known.
        t2s: T2S model folder, whose token list must write the texts.
        tokenizer: Folder of the tokenizer, which must be able to encode the prompts.

    Raises:
        DataError: There is no text, or some cannot be spoken: a name that is no file name, a text that is empty or has
            a character that T2S does not know, a prompt that is not there or not usable. All of them are logged.
    """
    rows = _rows(texts, prompts)
    token_list = load_text_tokenizer(t2s, kind="t2s")
    faults = _audio_faults((prompt for *_, prompt in rows), tokenizer)
    said = {path: _text_fault(text, token_list) for path, text in prompt_texts.items()}
    faults |= {path: f"{path}, by the text given for it: {fault}" for path, fault in said.items() if fault}
    _refuse({row[0]: _name_fault(row) or _text_fault(row[1], token_list) or faults.get(row[2]) for row in rows})
    return rows


def recording_rows(wavs: Mapping[str, str], prompts: Mapping[str, str], *, tokenizer: Path) -> list[Row]:
    """Every recording with its prompt.

    Args:
        wavs: utt_id -> audio file of what is said.
        prompts: utt_id -> audio file of the wanted voice.
        tokenizer: Folder of the tokenizer, which must be able to encode both.

    Raises:
        DataError: There is no recording, or some cannot be converted: a name that is no file name, an audio file that
            is not there or not usable. All of them are logged.
    """
    rows = _rows(wavs, prompts)
    faults = _audio_faults((path for row in rows for path in row[1:]), tokenizer)
    _refuse({row[0]: _name_fault(row) or faults.get(row[1]) or faults.get(row[2]) for row in rows})
    return rows


def clean_name(path: str | Path) -> str:
    """A file's name without folder and suffix, as an utterance or a speaker may be called."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(path).stem)
    return name if UTT_ID.fullmatch(name) else f"_{name}"


def speaker_names(prompts: Mapping[str, str]) -> dict[str, str]:
    """utt_id -> speaker, called after the file of the prompt; different files of one name get different numbers."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for prompt in prompts.values():
        path = Path(prompt).resolve()
        if path in names:
            continue
        name, number = clean_name(prompt), 1
        while name in taken:
            number += 1
            name = f"{clean_name(prompt)}_{number}"
        names[path] = name
        taken.add(name)
    return {utt_id: names[Path(prompt).resolve()] for utt_id, prompt in prompts.items()}


def _rows(inputs: Mapping[str, str], prompts: Mapping[str, str]) -> list[Row]:
    """Every input with its prompt, sorted.

    Raises:
        DataError: There are no inputs, or one has no prompt.
    """
    if not inputs:
        raise DataError("there is nothing to speak: the table of the inputs is empty")
    missing = sorted(inputs.keys() - prompts.keys())
    if missing:
        raise DataError(f"{len(missing)} utterances have no prompt, first {missing[0]}; add their lines to --prompts")
    return [(utt_id, value, prompts[utt_id]) for utt_id, value in sorted(inputs.items())]


def _name_fault(row: Row) -> str | None:
    """What is wrong with the name of an utterance, which becomes that of a file."""
    if UTT_ID.fullmatch(row[0]):
        return None
    return "this id cannot be a file name; use A-Z a-z 0-9 _ . - only, beginning with none of . -"


def _text_fault(text: str, token_list: TextTokenizer) -> str | None:
    """Why T2S cannot be given a text."""
    unknown = token_list.unknown_characters(text)
    if unknown:
        shown = " ".join(f"{character!r} (U+{ord(character):04X})" for character in unknown)
        return f"the token list does not know {shown}; write the text without, or see --normaliser"
    if not token_list.encode(text):
        return "there is no text to speak; give some words, or leave it out"
    return None


def _audio_faults(paths: Iterable[str], tokenizer: Path) -> dict[str, str]:
    """Why a tokenizer cannot encode files; those that it can are left out. Each file is read once."""
    semantic = read_manifest(tokenizer / "manifest.json")["semantic"]
    sample_rate, hop_length = semantic["sample_rate"], round(semantic["sample_rate"] / semantic["frame_rate"])
    rules = AudioRules(min_seconds=0, max_seconds=float("inf"), allow_resample=True)
    faults = {}
    for path in dict.fromkeys(paths):
        audio = scan_audio(path, rules=rules)
        if audio.problems:
            what, remedy = audio.problems[0]
            faults[path] = f"{path} {what}; {remedy.partition(', or remove')[0]}"  # there are no tables here
        elif round(audio.seconds * sample_rate) < hop_length:
            lasts, frame = 1000 * audio.seconds, 1000 * hop_length / sample_rate
            faults[path] = f"{path} lasts {lasts:.1f} ms, less than one frame of {frame:g} ms; take a longer recording"
    return faults


def _refuse(found: Mapping[str, str | None]) -> None:
    """Name all utterances that have a fault.

    Raises:
        DataError: There are some.
    """
    faults = [f"{utt_id}: {fault}" for utt_id, fault in found.items() if fault]
    if not faults:
        return
    for fault in faults[1:]:
        LOG.error("%s", fault)
    others = ", the others are named above" if len(faults) > 1 else ""
    raise DataError(f"{len(faults)} of {len(found)} utterances cannot be spoken, so none is{others}; first {faults[0]}")
