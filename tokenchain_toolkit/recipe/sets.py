"""Do the sets of a recipe fit each other: ids, paths, characters, and what training and test have in common.

What is wrong within one data directory says ``data/validate.py``; this is what it cannot know of one directory alone,
and what the recipes ask for beyond it.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.data.kaldi import read_rows
from tokenchain_toolkit.data.validate import TABLES
from tokenchain_toolkit.errors import DataError, counted
from tokenchain_toolkit.recipe.commands import StageCommand
from tokenchain_toolkit.recipe.findings import Findings
from tokenchain_toolkit.text.bpe import SPACE

Row = tuple[int, str, str]  # line number, utt_id, value
TRAIN, VALID, TEST = "training", "validation", "test"
EXAMPLES = 3
WITHIN_WORDS = "'’-‐_<>"  # and what marks are written with, such as <unk>
UNSEEN = ("Cc", "Cf", "Zl", "Zp", "Zs")  # of Unicode: control and formatting characters, ends of lines, spaces
JOINERS = "\u200c\u200d"  # which some scripts are written with


@dataclass(frozen=True)
class RecipeSet:
    """One data directory, what it is for, and the rows of its tables; a table that cannot be read has none."""

    folder: Path
    role: str
    wavs: list[Row]
    texts: list[Row]
    speakers: list[Row]


@dataclass(frozen=True)
class Purposes:
    """The data directories that a recipe names for each purpose.

    Attributes:
        train: What models are trained on.
        valid: What models are chosen by.
        checked: The arguments of validation: of each of the others that is made here once, and the test sets.
        eval: What chains are evaluated on after every epoch.
    """

    train: Sequence[Path]
    valid: Sequence[Path]
    checked: Sequence[Path]
    eval: Sequence[Path] = ()

    def roles(self) -> dict[Path, str]:
        """Data directory -> what it is for, in the order of the purposes; training before validation before test."""
        roles: dict[Path, str] = {}
        for role, folders in ((TRAIN, self.train), (VALID, self.valid), (TEST, self.checked)):
            for folder in folders:
                roles.setdefault(folder, role)
        return roles


def purposes_of(commands: Sequence[StageCommand]) -> Purposes:
    """What the stages name their sets for."""

    def named(option: str) -> list[Path]:
        return list(dict.fromkeys(Path(folder) for one in commands for folder in one.options.get(option, ())))

    checked = [Path(folder) for command in commands if command.name == "validate" for folder in command.arguments]
    return Purposes(named("train_data"), named("valid_data"), checked, named("eval_data"))


def check_purposes(purposes: Purposes) -> Findings:
    """No set is named for training and for something else; one for validation and test is said."""
    found = Findings("Sets")
    for folder, times in Counter(purposes.checked).items():
        if times > 1 and folder not in purposes.train and folder not in purposes.valid:
            found.problems.append(f"{folder} is named {times} times as a test set; once is enough in run.sh")
    for folder in purposes.train:
        if folder in (*purposes.valid, *purposes.eval) or purposes.checked.count(folder) > 1:
            what = f"{folder} is the training set and named for validation or test, too"
            found.problems.append(f"{what}; name another set there in run.sh")
    for folder in [one for one in purposes.valid if one not in purposes.train]:
        if folder in purposes.eval or purposes.checked.count(folder) > 1:
            what = f"{folder} is named for validation and test: models are chosen by it, so its figures are no test"
            found.warnings.append(f"{what} on unseen speech; fine if this is meant")
    return found


def read_set(root: Path, folder: Path, role: str) -> RecipeSet:
    """Read the tables that can be read; what is wrong with the others, validation says."""
    tables = []
    for name in TABLES:
        try:
            tables.append([row for row in read_rows(root / folder / name) if row[1]])
        except DataError:
            tables.append([])
    return RecipeSet(folder, role, *tables)


def check_ids_and_paths(sets: Sequence[RecipeSet]) -> Findings:
    """Ids begin with their speaker; paths hold from anywhere."""
    found = Findings("Ids and paths")
    for one in sets:
        for number, utt_id, speaker in one.speakers:
            if speaker and not utt_id.startswith(speaker):
                what = f"{one.folder}/utt2spk:{number}: {utt_id}: the id does not begin with its speaker, {speaker}"
                found.problems.append(f"{what}; name it {speaker}-{utt_id} in all tables")
        for number, utt_id, path in one.wavs:
            if path and not Path(path).is_absolute() and not path.endswith("|"):
                what = f"{one.folder}/wav.scp:{number}: {utt_id}: {path} is a relative path, which holds here alone"
                found.problems.append(f"{what}; write {Path(path).resolve()}")
    return found


def check_texts(sets: Sequence[RecipeSet], *, required_characters: str | None = "") -> Findings:
    """One case, all as it is said, no characters that cannot be seen, and none that the text units cannot write.

    Args:
        sets: All of them.
        required_characters: Characters that the text units have even if no training text has them; None where the
            text units are there already.
    """
    found = Findings("Texts")
    for one in sets:
        for number, utt_id, text in one.texts:
            unseen = sorted(filter(_is_unseen, set(text)))
            if unseen:
                named = ", ".join(f"U+{ord(c):04X}" for c in unseen)
                what = f"{one.folder}/text:{number}: {utt_id}: characters that cannot be seen or stand for a space"
                found.problems.append(f"{what}: {named}; take them out in local/data.sh")
        found.warnings += _not_as_spoken(one)
    found.problems += _mixed_case(sets)
    # A text in the other case is one problem, not one for each of its letters.
    known = {c for one in sets if one.role == TRAIN for _, _, text in one.texts for c in text.lower()}
    for one in sets:
        if one.role != TRAIN and known and required_characters is not None:
            found.problems += _characters_not_in_training(one, known | set(required_characters.lower()))
    return found


def _is_unseen(character: str) -> bool:
    """Is it a control or formatting character that no script needs, or the text units' own sign for a space?"""
    return character == SPACE or (unicodedata.category(character) in UNSEEN and character not in (" ", *JOINERS))


def _not_as_spoken(one: RecipeSet) -> Iterator[str]:
    """Digits and punctuation, which no one says: the words of a text are then not those that are heard."""
    for what, is_such, remedy in (
        ("digits", str.isdigit, "write numbers as words in local/data.sh"),
        (
            "punctuation",
            _is_punctuation,
            "take it out in local/data.sh, or it counts as part of the words",
        ),
    ):
        places = [(number, text) for number, _, text in one.texts if any(map(is_such, text))]
        if places:
            signs = " ".join(map(repr, sorted({c for _, text in places for c in text if is_such(c)})))
            lines = ", ".join(f"line {number}" for number, _ in places[:EXAMPLES])
            yield f"{one.folder}/text: {what} in {counted(len(places), 'text')} ({lines}): {signs}; {remedy}"


def _is_punctuation(character: str) -> bool:
    """Is it a sign between words, rather than within one as apostrophe and hyphen are?"""
    return unicodedata.category(character).startswith("P") and character not in WITHIN_WORDS


def _mixed_case(sets: Sequence[RecipeSet]) -> Iterator[str]:
    """Where upper and lower case stand, if both do anywhere."""
    lower, upper = (_first_with(sets, is_case) for is_case in (str.islower, str.isupper))
    if lower and upper:
        what = f"the texts mix cases, lower in {lower} and upper in {upper}, which makes two words of one"
        yield f"{what}; write all in one case in local/data.sh"


def _first_with(sets: Sequence[RecipeSet], is_case: Callable[[str], bool]) -> str | None:
    """Place of the first text with a letter of this case."""
    for one in sets:
        for number, _, text in one.texts:
            if any(map(is_case, text)):
                return f"{one.folder}/text:{number}"
    return None


def _characters_not_in_training(one: RecipeSet, known: set[str]) -> Iterator[str]:
    """Characters of a set that the text units, which are learned from the training set, cannot write."""
    places: dict[str, list[str]] = {}
    for number, _, text in one.texts:
        for character in sorted(c for c in set(text) if not (known.issuperset(c.lower()) or _is_unseen(c))):
            places.setdefault(character, []).append(f"line {number}")
    digits = {character: found for character, found in places.items() if character.isdigit()}
    others = {character: found for character, found in places.items() if not character.isdigit()}
    for characters, what, remedy in (
        (digits, "digits", "write numbers as words in local/data.sh, as they are spoken"),
        (others, "characters", "take them out in local/data.sh, or set required_characters in conf/bpe.yaml"),
    ):
        if characters:
            named = " ".join(map(repr, sorted(characters)))
            lines = ", ".join(next(iter(characters.values()))[:EXAMPLES])
            yield f"{one.folder}/text: {what} that no training text has: {named} (the first in {lines}); {remedy}"


def check_overlap(sets: Sequence[RecipeSet]) -> Findings:
    """Training shares no utterance with validation and test, and is larger than validation.

    What else is shared should be meant: utterances of validation and test, texts and speakers of training with either.
    """
    found = Findings("Training, validation and test")
    sets = sorted(sets, key=lambda one: (TRAIN, VALID, TEST).index(one.role))
    for index, one in enumerate(sets):
        for other in sets[index + 1 :]:
            if one.role == other.role:
                continue
            if (one.role, other.role) == (TRAIN, VALID) and len(one.wavs) < len(other.wavs):
                more = f"{other.folder} (validation) has {len(other.wavs)} utterances and {one.folder} {len(one.wavs)}"
                found.warnings.append(f"{more}; fine if this is meant, else the two are swapped in run.sh")
            both = _shared_utterances(one, other)
            if one.role != TRAIN:
                chosen = f"models are chosen by them, so the figures of {other.folder} are no test on unseen speech"
                found.warnings += [f"{what}; {chosen}; fine if this is meant" for what in both]
                continue
            found.problems += [f"{what}; take them out of one of them in local/data.sh" for what in both]
            shared = sorted({row[2] for row in one.speakers} & {row[2] for row in other.speakers} - {""})
            if shared:
                what = f"{other.folder} has {counted(len(shared), 'speaker')} of {one.folder}: {_some(shared)}"
                found.warnings.append(f"{what}; fine if this is meant, else keep all of a speaker in one set")
            found.warnings += _shared_texts(one, other)
    return found


def _shared_texts(train: RecipeSet, other: RecipeSet) -> Iterator[str]:
    """A tenth or more of the texts of another set that stand word for word in training, too."""
    known = {text for _, _, text in train.texts}
    shared = [utt_id for _, utt_id, text in other.texts if text and text in known]
    if 10 * len(shared) >= len(other.texts) > 0:
        share = f"{len(shared)} of {counted(len(other.texts), 'text')}"
        what = f"{other.folder}: {share} stand word for word in {train.folder}, too"
        meant = "fine if this is meant, else keep a text in one set, or a model that knows texts by heart looks good"
        yield f"{what}: {_some(shared)}; {meant}"


def _some(names: Sequence[str]) -> str:
    """The first names of a list."""
    return ", ".join(names[:EXAMPLES]) + (" ..." if len(names) > EXAMPLES else "")


def _shared_utterances(one: RecipeSet, other: RecipeSet) -> Iterator[str]:
    """The same ids, or the same recordings, in two sets of different purpose."""
    ids = sorted({row[1] for row in one.wavs} & {row[1] for row in other.wavs})
    files = {path: utt_id for _, utt_id, path in other.wavs}
    recordings = [f"{utt_id} and {files[path]}" for _, utt_id, path in one.wavs if path and path in files]
    for what, shared in (("utterances", ids), ("recordings", recordings)):
        if shared:
            both = f"{other.folder} ({other.role}) and {one.folder} ({one.role})"
            yield f"{both} share {len(shared)} {what}: {_some(shared)}"
            return
