"""What a recipe's ``run.sh`` is going to do, as its dry run shows it, and the recipe that it goes on from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.recipe.commands import StageCommand, recipe_commands
from tokenchain_toolkit.recipe.layout import can_be_asked
from tokenchain_toolkit.recipe.sets import TEST, TRAIN, VALID, purposes_of


@dataclass(frozen=True)
class RecipeRun:
    """A recipe's commands.

    Attributes:
        root: Folder of the recipe, which the paths in its commands are relative to.
        commands: Those of its stages, in order.
        source_folder: The recipe that it goes on from (``--source``); None if there is none.
        source: What that recipe does; None if there is none, or it is not there.
    """

    root: Path
    commands: Sequence[StageCommand]
    source_folder: Path | None = None
    source: "RecipeRun | None" = None

    def named(self, *names: str) -> list[StageCommand]:
        """The commands of these names."""
        return [command for command in self.commands if command.name in names]

    def path(self, name: str, option: str) -> Path | None:
        """The file or folder that a command names, of this recipe or else of its source; None if neither has it."""
        for command in self.named(name):
            value = command.one(option)
            if value is not None:
                return self.root / value
        return None if self.source is None else self.source.path(name, option)

    @property
    def roles(self) -> dict[str, str]:
        """Name of each set that is used -> what it is for: training, validation or test."""
        return {folder.name: role for folder, role in purposes_of(self.commands).roles().items()}

    @property
    def data(self) -> Path:
        """Folder of the sets."""
        return self.root / Path(self.trainings[0].options["train_data"][0]).parent

    @property
    def dump(self) -> Path:
        """Folder of the token dumps."""
        return self.root / Path(self.trainings[0].options["train_dump"][0]).parent

    @property
    def trainings(self) -> list[StageCommand]:
        """The commands that train a model."""
        return [command for command in self.commands if "train_dump" in command.options]

    @property
    def has_units(self) -> bool:
        """Whether ASR and T2S work on units instead of frames."""
        return bool(self.named("convert_units"))

    @property
    def wants_gpu(self) -> bool:
        """Whether ``run.sh`` asks for a GPU (``--device cuda``)."""
        return any((command.one("device") or "").startswith("cuda") for command in self.commands)

    def sets_text(self) -> str:
        """Its sets by what they are for."""
        by_role = {role: [name for name, found in self.roles.items() if found == role] for role in (TRAIN, VALID, TEST)}
        return "; ".join(f"{role} {', '.join(names)}" for role, names in by_role.items() if names)


def ask_recipe(root: Path, options: Sequence[str] = ()) -> RecipeRun:
    """Let ``run.sh --dry_run`` tell what it does, and that of its source, too.

    Args:
        root: Folder of the recipe.
        options: Of ``run.sh``.

    Raises:
        DataError: It is no recipe's folder, ``run.sh`` fails, or it trains nothing.
    """
    if not can_be_asked(root):
        raise DataError(
            f"{root.resolve()} is no whole folder of a recipe, egs2/*/tokenchain1; check_recipe says what it lacks"
        )
    commands = recipe_commands(root, options)
    folder = _source_folder(root, commands)
    source = RecipeRun(folder, recipe_commands(folder)) if folder is not None and can_be_asked(folder) else None
    found = RecipeRun(root, commands, folder, source)
    if not found.trainings:
        raise DataError("./run.sh --dry_run shows no training; let run.sh call ./tokenchain.sh with all stages")
    return found


def _source_folder(root: Path, commands: Sequence[StageCommand]) -> Path | None:
    """The folder that ``--source`` names, seen by the text units that validation is given, which are its own."""
    for command in commands:
        token_list = command.one("token_list") if command.name == "validate" else None
        if token_list is not None:
            folder = root / Path(token_list).parents[2]  # of <source>/data/token_list/<tag>
            return None if folder.resolve() == root.resolve() else folder
    return None
