"""Do the configurations of a recipe load, and are those there that its stages read."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.schemas import schema_of
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.recipe.commands import StageCommand
from tokenchain_toolkit.recipe.findings import Findings


def check_configurations(root: Path, commands: Sequence[StageCommand]) -> Findings:
    """Load every file that a stage reads, and those of ``conf`` that a stage could be told to read."""
    found = Findings("Configurations")
    read = [Path(name) for command in commands if (name := command.one("config"))]
    for path in dict.fromkeys(read):
        if not (root / path).is_file():
            stage = next(command.stage for command in commands if command.one("config") == str(path))
            remedy = f"copy ../../TEMPLATE/tokenchain1/start/conf/{path.name} and fit it to the corpus"
            found.problems.append(f"{path} is missing, which the stage {stage} reads; {remedy}")
    others = [path.relative_to(root) for path in sorted((root / "conf").glob("*.yaml"))]
    found.problems += configuration_faults(root / path for path in dict.fromkeys([*read, *others]))
    return found


def configuration_faults(paths: Iterable[Path]) -> Iterator[str]:
    """What keeps each of these files from being loaded; nothing of those that are not there or that no stage reads."""
    for path in paths:
        schema = schema_of(path)
        if schema is None or not path.is_file():
            continue
        try:
            load_config(schema, path)
        except ConfigError as error:
            yield f"{error}; mend or remove the key"
