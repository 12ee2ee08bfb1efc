"""The settings that come with the recipes: the learning rate gets to its peak early enough, on the whole corpus."""

import re
from pathlib import Path

import pytest

from tokenchain_toolkit.config.grid import StudyConfig
from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.schemas import schema_of
from tokenchain_toolkit.planning.corpus_sizes import SETS, frames_of_sets, published_sets
from tokenchain_toolkit.planning.estimates import epoch_of, warmup_fault
from tokenchain_toolkit.tasks.grid_plan import plan_study
from tokenchain_toolkit.tasks.grid_work import TrainChain, TrainModel

RECIPES = Path(__file__).resolve().parents[2] / "egs2"
FRAME_RATE, ENCODEC_RATE = 50, 75


def updates_of(recipe, names, config, frame_rate=FRAME_RATE):
    """Of a whole run."""
    frames = frames_of_sets(recipe, names, frame_rate=frame_rate)
    return epoch_of(frames, config).updates * config.training.max_epochs


def fault(recipe, names, config):
    """What the doctor would say."""
    return warmup_fault(config, updates_of(recipe, names, config))


def test_published_sets_have_their_own_hours_and_numbers():
    roles = {"train": "training", "train_clean_100": "training", "dev": "validation", "test": "test"}
    sets = {each.name: each for each in published_sets("tedlium2", roles)}
    assert [sets[name].num_utts for name in ("train", "train_clean_100")] == [92_973, 28_539]
    assert [sets[name].hours for name in roles] == pytest.approx([207, 100.6, 9.228, 9.228], rel=1e-3)
    assert not published_sets("tedlium2", {**roles, "talks_of_ours": "training"})
    assert not published_sets("ours", roles)


def experiments():
    """Recipe and configuration of each of its trainings."""
    confs = (path for name in SETS for path in sorted((RECIPES / name / "tokenchain1" / "conf").glob("*.yaml")))
    return [pytest.param(path, id=f"{path.parts[-4]}-{path.stem}") for path in confs if is_training(path)]


def is_training(path):
    return path.stem.startswith(("train_", "chain_"))


def test_every_recipe_is_here():
    made = {path.name for path in RECIPES.iterdir() if (path / "tokenchain1" / "run.sh").is_file()}
    assert made <= SETS.keys() and len(experiments()) > 40


@pytest.mark.parametrize("path", experiments())
def test_the_learning_rate_of_a_recipe_gets_to_its_peak_in_time(path):
    recipe = path.parts[-4]
    (name, *_) = SETS[recipe]
    assert not fault(recipe, (name,), load_config(schema_of(path), path))


@pytest.mark.parametrize(("model", "frame_rate"), [("asr", FRAME_RATE), ("t2s", FRAME_RATE), ("s2a", ENCODEC_RATE)])
def test_the_large_recipe_says_how_many_updates_it_makes_and_what_of_them_is_warmup(model, frame_rate):
    recipe = RECIPES / "librispeech" / "tokenchain1"
    path = recipe / "conf" / f"train_{model}.yaml"
    config = load_config(schema_of(path), path)
    updates = updates_of("librispeech", ("train_960",), config, frame_rate)
    stated = re.search(rf"{model.upper()} ([\d,]+)000\b", (recipe / "run.sh").read_text())
    assert updates == pytest.approx(1000 * int(stated[1].strip(",")), rel=0.005)
    assert 0.015 < config.optim.warmup_steps / updates < 0.035


def studies():
    """Every study of a recipe."""
    paths = (path for name in SETS for path in sorted((RECIPES / name / "tokenchain1" / "conf").glob("study*.yaml")))
    return [pytest.param(path, id=f"{path.parts[-4]}-{path.stem}") for path in paths if schema_of(path) is StudyConfig]


@pytest.mark.parametrize("path", studies())
def test_so_it_does_in_a_study(path, monkeypatch):
    recipe = path.parts[-4]
    monkeypatch.chdir(path.parents[1])
    works = plan_study(load_config(StudyConfig, path), out=Path("exp/study")).chosen
    trainings = [work for work in works if isinstance(work, TrainModel | TrainChain)]
    without_seed = {work.name.partition("/seed")[0]: work for work in trainings}
    names = {name: tuple(each.data.name for each in work.sets.train) for name, work in without_seed.items()}
    found = {name for name, work in without_seed.items() if fault(recipe, names[name], work.config)}
    assert trainings and not found
