"""The whole check of a recipe's folder, in the order in which a recipe comes into being."""

from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.text import BPEConfig
from tokenchain_toolkit.data.validate import validate_data_dir
from tokenchain_toolkit.errors import ConfigError, DataError
from tokenchain_toolkit.recipe.commands import StageCommand, audio_rules_of, recipe_commands
from tokenchain_toolkit.recipe.configurations import check_configurations
from tokenchain_toolkit.recipe.findings import Findings
from tokenchain_toolkit.recipe.layout import can_be_asked, check_layout
from tokenchain_toolkit.recipe.outputs import check_outputs
from tokenchain_toolkit.recipe.sets import (
    Purposes,
    RecipeSet,
    check_ids_and_paths,
    check_overlap,
    check_purposes,
    check_texts,
    purposes_of,
    read_set,
)


def check_recipe(root: Path, *, num_jobs: int = 2) -> list[Findings]:
    """Check a recipe; calls its ``run.sh --dry_run`` to learn its sets, and writes nothing but validation's stamps.

    Args:
        root: Folder of the recipe, which must be the working directory: paths in a recipe are relative to it.
        num_jobs: Audio files read at the same time.

    Returns:
        What was found, by respect; of the files alone where these do not let ``run.sh`` say what else there is, and
        nothing of the contents of sets where there is none.
    """
    layout = check_layout(root)
    if not can_be_asked(root):
        return [layout]
    try:
        commands = recipe_commands(root)
    except DataError as error:
        layout.problems.append(str(error))
        return [layout]
    purposes = purposes_of(commands)
    roles = purposes.roles()
    sets = [read_set(root, folder, role) for folder, role in roles.items() if (root / folder).is_dir()]
    found = [layout, check_configurations(root, commands), _check_sets(root, purposes)]
    if sets:
        found += [
            _check_data(root, sets, commands, num_jobs=num_jobs),
            check_ids_and_paths(sets),
            check_texts(sets, required_characters=_required_characters(root, commands)),
            check_overlap(sets),
        ]
    return [*found, check_outputs(root, commands, roles)]


def _required_characters(root: Path, commands: Sequence[StageCommand]) -> str:
    """Characters that the text units are to have whatever the training texts hold; none if that cannot be read."""
    for command in commands:
        path = command.one("config")
        if command.name == "train_bpe" and path:
            try:
                return load_config(BPEConfig, root / path).required_characters
            except ConfigError:  # said where configurations are checked
                return ""
    return ""


def _check_sets(root: Path, purposes: Purposes) -> Findings:
    """Every set that run.sh names is there, and for one purpose."""
    found = check_purposes(purposes)
    for folder in purposes.roles():
        if not (root / folder).is_dir():
            there = ", ".join(sorted(path.parent.name for path in (root / folder.parent).glob("*/wav.scp"))) or "none"
            what = f"{folder} is missing, which run.sh names ({folder.parent} has: {there})"
            remedy = "let local/data.sh write it and run ./run.sh --stage data --stop_stage data, or mend run.sh"
            found.problems.append(f"{what}; {remedy}")
    return found


def _check_data(root: Path, sets: list[RecipeSet], commands: Sequence[StageCommand], *, num_jobs: int) -> Findings:
    """What validation says of each set, asked as the recipe's stage asks it."""
    found = Findings("Data")
    try:
        rules = audio_rules_of(commands)
    except ConfigError as error:
        found.problems.append(str(error))
        return found
    for one in sets:
        report = validate_data_dir(root / one.folder, rules=rules, num_jobs=num_jobs)
        found.problems += report.problems
        found.warnings += report.warnings
    return found
