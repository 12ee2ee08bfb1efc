"""From the axes of a grid to its runs: every label of one axis with each label of the others, once for each seed."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenchain_toolkit.config.grid import GridSettings, RunSettings, StudyConfig, patched, run_settings
from tokenchain_toolkit.errors import ConfigError

SEED = "seed"
# Folders beside those of the grids: the pretrained pairs, and what jobs have logged.
MODELS, LOGS = "models", "logs"
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        grid: Name of the grid.
        labels: Axis -> label, in the order of the axes, without the seed.
        seed: Seed of the run.
        settings: What it is made from.
        baseline: Name of the run that it is compared with; None for one that others are compared with.
    """

    grid: str
    labels: dict[str, str]
    seed: int
    settings: RunSettings
    baseline: str | None

    @property
    def name(self) -> str:
        """Its folder within the study's."""
        return name_of(self.grid, self.labels, self.seed)

    def overrides(self, study: Path) -> list[str]:
        """Its settings over the YAML file.

        Args:
            study: Folder of the study, which has that of its pretrained pair.
        """
        models = study / MODELS / self.settings.models
        given = [
            text.replace("{models}", str(models)).replace("{study}", str(study)) for text in self.settings.overrides
        ]
        return [*given, f"training.seed={self.seed}"]


def name_of(grid: str, labels: Mapping[str, str], seed: int) -> str:
    """``<grid>/<label>/.../seed<k>``."""
    return "/".join([grid, *labels.values(), f"seed{seed}"])


def cells_of(study: StudyConfig) -> list[Cell]:
    """All runs of a study, in the order of its grids and axes.

    Raises:
        ConfigError: A name cannot be a folder's, an axis, label or pair is unknown, or a setting does not fit.
    """
    _check_names([*study.models, *study.grids], "models and grids")
    for name in (MODELS, LOGS):
        if name in study.grids:
            raise ConfigError(f"grids.{name}: the folder of that name holds something else; name the grid otherwise")
    cells = [cell for name, grid in study.grids.items() for cell in _cells_of_grid(name, grid)]
    for cell in cells:
        _check_pair(cell, study)
    return cells


def _cells_of_grid(name: str, grid: GridSettings) -> list[Cell]:
    """The runs of one grid."""
    where = f"grids.{name}"
    axes = {str(axis): _labels(f"{where}.axes.{axis}", patches) for axis, patches in grid.axes.items() if axis != SEED}
    seeds = _seeds(where, grid.axes.get(SEED, [0]))
    left_out = [_combination(f"{where}.leave_out", entry, axes, seeds) for entry in grid.leave_out]
    compared_with = _combination(f"{where}.baseline", grid.baseline, axes, seeds)
    if SEED in compared_with:
        raise ConfigError(f"{where}.baseline: runs are compared at equal seeds; name no seed")

    def is_run(labels: Mapping[str, str], seed: int) -> bool:
        whole = {**labels, SEED: str(seed)}
        return not any(entry.items() <= whole.items() for entry in left_out)

    cells = []
    for combination in itertools.product(*axes.values()):
        labels = dict(zip(axes, combination, strict=True))
        settings = _settings(where, grid, axes, labels)
        base = {**labels, **compared_with}
        for seed in seeds:
            if is_run(labels, seed):
                compared = bool(compared_with) and base != labels and is_run(base, seed)
                baseline = name_of(name, base, seed) if compared else None
                cells.append(Cell(name, labels, seed, settings, baseline))
    if not cells:
        raise ConfigError(f"{where} holds no run; add labels to its axes, or leave fewer out")
    return cells


def _settings(
    where: str, grid: GridSettings, axes: Mapping[str, Mapping[str, Any]], labels: Mapping[str, str]
) -> RunSettings:
    """Settings of the run with these labels."""
    values = dict(grid.settings)
    try:
        for axis, label in labels.items():
            values = patched(values, axes[axis][label])
        settings = run_settings(values)
    except ConfigError as error:
        at = ", ".join(f"{axis}={label}" for axis, label in labels.items())
        raise ConfigError(f"{where}, {at or 'settings'}: {error}") from error
    if not settings.test_sets:
        raise ConfigError(f"{where}.settings.test_sets names no set, so nothing would be measured")
    untested = set(settings.target_sets) - set(settings.test_sets)
    if untested:
        raise ConfigError(f"{where}.settings.target_sets: {min(untested)} is none of test_sets; add it there")
    return settings


def _labels(where: str, patches: Any) -> dict[str, Any]:
    """Label -> patch of one axis."""
    if not isinstance(patches, Mapping) or not patches:
        raise ConfigError(f"{where}={patches!r}: an axis is labels with what they change, such as {{low: {{...}}}}")
    # YAML reads off, on and numbers as what they look like; a number's label is its text.
    odd = [label for label in patches if not isinstance(label, (str, int, float)) or isinstance(label, bool)]
    if odd:
        raise ConfigError(f"{where}: YAML reads the label {odd[0]} as no text; put it in quotes")
    named = {str(label): patch for label, patch in patches.items()}
    _check_names(list(named), where)
    return named


def _seeds(where: str, seeds: Any) -> list[int]:
    """The numbers of the seed axis."""
    numbers = seeds if isinstance(seeds, Sequence) and not isinstance(seeds, str) else []
    fits = all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in numbers)
    if not numbers or not fits or len(set(numbers)) < len(numbers):
        raise ConfigError(f"{where}.axes.{SEED}={seeds!r}: it is a list of different numbers, such as [0, 1, 2]")
    return list(numbers)


def _combination(
    where: str, entry: Mapping[str, Any], axes: Mapping[str, Mapping[str, Any]], seeds: Sequence[int]
) -> dict[str, str]:
    """Axis -> label as text, checked to exist."""
    known = {**{axis: set(labels) for axis, labels in axes.items()}, SEED: {str(seed) for seed in seeds}}
    named = {str(axis): str(label) for axis, label in entry.items()}
    for axis, label in named.items():
        if axis not in known:
            raise ConfigError(f"{where}: there is no axis {axis}; choose from {', '.join(known)}")
        if label not in known[axis]:
            choices = ", ".join(sorted(known[axis]))
            raise ConfigError(f"{where}: the axis {axis} has no label {label}; choose from {choices}")
    return named


def _check_names(names: Sequence[str], where: str) -> None:
    """Refuse names that cannot be a folder's.

    Raises:
        ConfigError: One is not made of letters, digits, dots, dashes and underscores.
    """
    for name in names:
        if not SAFE_NAME.fullmatch(name):
            raise ConfigError(f"{where}: {name!r} becomes a folder; use letters, digits, dots, dashes and underscores")


def _check_pair(cell: Cell, study: StudyConfig) -> None:
    """Refuse a run whose pair there is not, or whose tokens are others than its pair's."""
    pair = study.models.get(cell.settings.models)
    if pair is None:
        known = ", ".join(study.models) or "none"
        raise ConfigError(f"{cell.name} starts from the models {cell.settings.models}; there are: {known}")
    if pair.folder is None and pair.t2s is None:
        raise ConfigError(
            f"{cell.name} starts from the models {cell.settings.models}, which have no t2s; say how it is trained"
        )
    if pair.tokenizer != cell.settings.tokenizer:
        raise ConfigError(
            f"{cell.name} has tokenizer={cell.settings.tokenizer}, and its models {cell.settings.models} have "
            f"{pair.tokenizer}; name the same"
        )
