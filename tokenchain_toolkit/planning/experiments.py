"""The trainings of a recipe, those of its run and those of its study, as its own files say."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tokenchain_toolkit.config.asr import ASRConfig
from tokenchain_toolkit.config.chain import BalanceConfig, ChainConfig, TemperatureConfig
from tokenchain_toolkit.config.grid import StudyConfig
from tokenchain_toolkit.config.load import config_dict, load_config
from tokenchain_toolkit.config.s2a import S2AConfig
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.config.training import CommonConfig
from tokenchain_toolkit.files import working_in
from tokenchain_toolkit.planning.recipe import Settings, TokenSizes, expected_sizes, load_settings
from tokenchain_toolkit.planning.recipe_run import RecipeRun, ask_recipe
from tokenchain_toolkit.planning.trainees import Trainee, asr_trainee, chain_trainee, s2a_trainee, t2s_trainee
from tokenchain_toolkit.tasks.grid_plan import plan_study
from tokenchain_toolkit.tasks.grid_work import TrainChain, TrainModel

RUN, STUDY = "run.sh", "study.sh"
STUDY_FILE = Path("conf/study.yaml")
# What run.sh is to be given for all rows of the paper's tables (report/paper_tables.yaml).
RUN_OPTIONS = {"librispeech_100": ("--chains", "baseline st_argmax st_gumbel")}
# About 2.9 words a second and 1.3 of 5000 units a word (assumed), at 50 frames a second.
FRAMES_PER_UNIT = 13.0


@dataclass(frozen=True)
class Halves:
    """The configurations of the ASR and T2S that a chain starts from."""

    asr: ASRConfig
    t2s: T2SConfig


@dataclass(frozen=True)
class Experiment:
    """Trainings that differ in nothing that they cost by, such as the seed.

    Attributes:
        recipe: Name of the recipe.
        part: What runs it: ``run.sh``, or ``study.sh`` with the grid's name.
        names: Of the trainings.
        kind: ``asr``, ``t2s``, ``chain`` or ``s2a``.
        config: Of the experiment.
        halves: What a chain starts from, and what the ASR's input layer is read of.
        sizes: Numbers of tokens.
        train_sets: Names of the training sets, which are joined.
        runs: How many trainings.
        eval_sets: How many sets are evaluated after every epoch.
    """

    recipe: str
    part: str
    names: tuple[str, ...]
    kind: str
    config: CommonConfig
    halves: Halves
    sizes: TokenSizes
    train_sets: tuple[str, ...]
    runs: int = 1
    eval_sets: int = 0

    @property
    def model(self) -> str:
        """A key that is the same for experiments whose steps cost the same for each frame."""
        config = self.config
        if isinstance(config, ChainConfig):
            model = replace(config.model, temperature=TemperatureConfig(), balance=BalanceConfig())
            parts = [config_dict(each) for each in (model, self.halves.asr.model, self.halves.t2s.model)]
        else:
            parts = [config_dict(config.model)]  # type: ignore[attr-defined]
        return json.dumps([self.kind, *parts, config_dict(config.data), config_dict(self.sizes)], sort_keys=True)

    def trainee(self) -> Trainee:
        """Its model, with random weights."""
        config, halves, sizes = self.config, self.halves, self.sizes
        if isinstance(config, ChainConfig):
            return chain_trainee(f"chain, {config.model.feedback}", config, halves.asr, halves.t2s, sizes)
        if isinstance(config, S2AConfig):
            return s2a_trainee(config, sizes)
        if isinstance(config, T2SConfig):
            return t2s_trainee(config, sizes)
        assert isinstance(config, ASRConfig)
        return asr_trainee(config, sizes)


def recipe_experiments(root: Path) -> list[Experiment]:
    """The trainings of a recipe's run and study; those that cost the same are one.

    Args:
        root: Folder of the recipe, ``egs2/<name>/tokenchain1``.

    Raises:
        DataError: ``run.sh`` does not tell what it does.
        ConfigError: A configuration does not load, or is one of another recipe that is not there.
    """
    name = root.resolve().parent.name
    run = ask_recipe(root, RUN_OPTIONS.get(name, ()))
    settings = load_settings(run)
    sizes = expected_sizes(settings, None, FRAMES_PER_UNIT)
    found = list(_of_run(name, run, settings, sizes))
    if (root / STUDY_FILE).is_file():
        found += _of_study(name, root, settings, sizes)
    merged: dict[str, Experiment] = {}
    for each in found:
        key = json.dumps([each.part, each.model, each.train_sets, config_dict(each.config.training) | {"seed": 0}])
        before = merged.get(key)
        names = each.names if before is None else tuple(dict.fromkeys(before.names + each.names))
        merged[key] = replace(each, names=names, runs=each.runs + (before.runs if before else 0))
    return list(merged.values())


def _of_run(recipe: str, run: RecipeRun, settings: Settings, sizes: TokenSizes) -> Iterator[Experiment]:
    """The trainings of ``run.sh``."""
    halves = Halves(settings.asr, settings.t2s)
    configs: dict[str, CommonConfig | None] = {"asr": settings.asr, "t2s": settings.t2s, "s2a": settings.s2a}
    for command in run.trainings:
        name, kind = Path(command.one("out") or "").name, command.name.removeprefix("train_")
        config = settings.chains[name] if kind == "chain" else configs[kind]
        sets = tuple(Path(folder).name for folder in command.options["train_data"])
        if config is not None:
            num_evaluated = len(command.options.get("eval_data", ()))
            yield Experiment(recipe, RUN, (name,), kind, config, halves, sizes, sets, eval_sets=num_evaluated)


def _of_study(recipe: str, root: Path, settings: Settings, sizes: TokenSizes) -> Iterator[Experiment]:
    """The trainings of ``study.sh``."""
    with working_in(root):
        works = plan_study(load_config(StudyConfig, STUDY_FILE), out=Path("exp/study")).chosen
    made = {work.folder: work.config for work in works if isinstance(work, TrainModel)}
    for work in works:
        if not isinstance(work, TrainModel | TrainChain):
            continue
        grid, _, name = work.name.partition("/")
        halves, kind = Halves(settings.asr, settings.t2s), name.rpartition("/")[2]
        if isinstance(work, TrainChain):
            asr, t2s = made.get(work.asr, settings.asr), made.get(work.t2s, settings.t2s)
            assert isinstance(asr, ASRConfig) and isinstance(t2s, T2SConfig)
            halves, kind, name = Halves(asr, t2s), "chain", name.rpartition("/seed")[0]
        sets = tuple(folders.data.name for folders in work.sets.train)
        part, num_evaluated = f"{STUDY}, {grid}", len(work.sets.evaluate) if isinstance(work, TrainChain) else 0
        yield Experiment(recipe, part, (name,), kind, work.config, halves, sizes, sets, eval_sets=num_evaluated)
