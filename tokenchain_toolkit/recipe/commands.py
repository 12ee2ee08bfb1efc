"""The commands of a recipe's stages, as its own ``run.sh --dry_run`` shows them."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tokenchain_toolkit.data.audio_scan import AudioRules
from tokenchain_toolkit.errors import ConfigError, DataError

PACKAGE = "tokenchain_toolkit.bin."
HEADING = "== stage "
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class StageCommand:
    """One command of the toolkit.

    Attributes:
        stage: Name of the stage that runs it.
        name: Such as ``extract_tokens``.
        arguments: Those before the first option.
        options: Option without dashes -> its values.
    """

    stage: str
    name: str
    arguments: tuple[str, ...]
    options: dict[str, tuple[str, ...]]

    def one(self, option: str) -> str | None:
        """The value of an option that has one; None if it is not given."""
        values = self.options.get(option, ())
        return values[0] if values else None


def recipe_commands(root: Path, options: Sequence[str] = ()) -> list[StageCommand]:
    """Ask a recipe for the commands of all stages; none is run.

    Args:
        root: Folder of the recipe.
        options: Of ``run.sh``, beside ``--dry_run``.

    Raises:
        DataError: ``run.sh`` fails.
    """
    environment = {**os.environ, "VENV": os.environ.get("VENV") or sys.prefix}
    try:
        done = subprocess.run(
            ["bash", "run.sh", "--dry_run", *options],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"./run.sh --dry_run cannot be run ({error}); mend run.sh") from error
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()[-1]
        raise DataError(f"./run.sh --dry_run fails: {told}; mend run.sh")
    commands = parse_commands(done.stdout.splitlines())
    if not commands:
        raise DataError("./run.sh --dry_run shows no commands; let run.sh call ./tokenchain.sh as its last command")
    return commands


def parse_commands(lines: Sequence[str]) -> list[StageCommand]:
    """Commands from what a dry run shows: headings of stages and commands as a shell would read them."""
    commands, stage = [], ""
    for line in lines:
        if line.startswith(HEADING):
            stage = line.rpartition(" ")[2]
            continue
        words = shlex.split(line) if line.startswith("python3 ") else []
        if len(words) > 2 and words[1] == "-m" and words[2].startswith(PACKAGE):
            commands.append(_command(stage, words[2].removeprefix(PACKAGE), words[3:]))
    return commands


def audio_rules_of(commands: Sequence[StageCommand]) -> AudioRules:
    """What audio must be like by the options of the stage validate.

    Raises:
        ConfigError: A threshold is no number.
    """
    rules = AudioRules()
    for options in (command.options for command in commands if command.name == "validate"):
        for name in ("sample_rate", "min_seconds", "max_seconds"):
            if given := options.get(name):
                try:
                    rules = replace(rules, **{name: type(getattr(rules, name))(given[-1])})
                except ValueError as error:
                    what = f"validate gets --{name} {given[-1]}, which is no number that it takes"
                    raise ConfigError(f"{what}; mend --validate_args in run.sh") from error
        rules = replace(rules, allow_resample="allow_resample" in options)
    return rules


def _command(stage: str, name: str, words: Sequence[str]) -> StageCommand:
    """One command, its words sorted to the options before them."""
    arguments: list[str] = []
    options: dict[str, list[str]] = {}
    values = arguments
    for word in words:
        if word.startswith("--"):
            option, equals, value = word.removeprefix("--").partition("=")
            values = options.setdefault(option, [])
            values += [value] if equals else []
        else:
            values.append(word)
    return StageCommand(stage, name, tuple(arguments), {option: tuple(given) for option, given in options.items()})
