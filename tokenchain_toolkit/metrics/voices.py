"""Which natural recordings the voice of a synthesised utterance is compared with."""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenchain_toolkit.data.kaldi import DataDir
from tokenchain_toolkit.errors import DataError


@dataclass(frozen=True)
class Voices:
    """What an utterance's voice is compared with: audio of the wanted speaker, and of another one if there is any."""

    own: str
    other: str | None


def choose_voices(
    utt_ids: Iterable[str], reference: DataDir, *, prompts: Mapping[str, str] | None
) -> dict[str, Voices | str]:
    """What each utterance is compared with, or why it cannot be.

    The other speaker and the utterances are drawn at random, but the same for the same utterance id, so that two
    systems are compared with the same voices.

    Args:
        utt_ids: Utterances of ``reference``.
        reference: Natural speech.
        prompts: utt_id -> utterance of ``reference``, by its id or its file, or other audio, whose speaker is wanted;
            None for another utterance of the utterance's own speaker. Other audio may be of anybody, so nobody is known
            to be another speaker. An utterance that is its own prompt cannot be compared.

    Raises:
        DataError: A prompt is missing, or neither an utterance nor a file.
    """
    by_speaker: dict[str, list[str]] = {}
    for utt_id in sorted(reference.speakers):
        by_speaker.setdefault(reference.speakers[utt_id], []).append(utt_id)
    files = not {*(prompts or {}).values()} <= reference.wavs.keys()
    utterances = {Path(path).resolve(): utt_id for utt_id, path in reference.wavs.items()} if files else {}
    chosen: dict[str, Voices | str] = {}
    for utt_id in utt_ids:
        random = np.random.default_rng(zlib.crc32(utt_id.encode()))
        speaker = reference.speakers[utt_id]
        if prompts is None:
            others = [other for other in by_speaker[speaker] if other != utt_id]
            if not others:
                chosen[utt_id] = f"is the only utterance of speaker {speaker}, and there is no --prompts"
                continue
            own = reference.wavs[others[random.integers(len(others))]]
        else:
            prompt = _prompt_of(utt_id, reference, prompts, utterances)
            if prompt == utt_id:
                chosen[utt_id] = "is its own prompt"
                continue
            if prompt is None:
                chosen[utt_id] = Voices(prompts[utt_id], None)
                continue
            own, speaker = reference.wavs[prompt], reference.speakers[prompt]
        strangers = sorted(by_speaker.keys() - {speaker})
        other = None
        if strangers:
            theirs = by_speaker[strangers[random.integers(len(strangers))]]
            other = reference.wavs[theirs[random.integers(len(theirs))]]
        chosen[utt_id] = Voices(own, other)
    return chosen


def _prompt_of(
    utt_id: str, reference: DataDir, prompts: Mapping[str, str], utterances: Mapping[Path, str]
) -> str | None:
    """The prompt's utterance in ``reference``; None if it is audio from elsewhere."""
    if utt_id not in prompts:
        raise DataError(f"{utt_id} has no prompt in the table of --prompts; add its line, or leave --prompts away")
    prompt = prompts[utt_id]
    if prompt in reference.wavs:
        return prompt
    if Path(prompt).is_file():
        return utterances.get(Path(prompt).resolve())
    raise DataError(
        f"{utt_id}: its prompt {prompt} is neither an utterance of {reference.folder} nor an audio file; "
        "mend its line in the table of --prompts"
    )
