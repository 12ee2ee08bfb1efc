"""The settings that come with the recipes: the learning rate gets to its peak early enough, on the whole corpus.

Hours and utterances of the training sets are the published ones of LibriSpeech (Panayotov et al. 2015), TED-LIUM 2
(Rousseau et al. 2014, segments of its Kaldi recipe) and LJSpeech (its page); Mini LibriSpeech has five of LibriSpeech's
hours. AN4, kerstin and the sets that the toolkit makes itself are counted: utterances by their lists, hours by the mean
of those that were at hand.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tokenchain_toolkit.config.grid import StudyConfig
from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.config.schemas import schema_of
from tokenchain_toolkit.planning.amount import typical_seconds
from tokenchain_toolkit.planning.estimates import epoch_of, warmup_fault
from tokenchain_toolkit.tasks.grid_plan import plan_study
from tokenchain_toolkit.tasks.grid_work import TrainChain, TrainModel

RECIPES = Path(__file__).resolve().parents[2] / "egs2"
FRAME_RATE = 50
SETS = {  # name of a set -> hours and utterances
    "an4": {"train_nodev": (0.64, 848)},
    "fsdd": {"train": (1.4, 2500), "valid": (0.11, 200), "speechocean_adapt": (0.026, 30)},
    "kerstin": {"train": (1.55, 1174)},
    "librispeech": {"train_960": (960.9, 281_241)},
    "librispeech_100": {"train_clean_100": (100.6, 28_539)},
    "ljspeech": {"tr_no_dev": (23.0, 12_600)},
    "mini_librispeech": {"train_clean_5": (4.75, 1443)},
    "mini_synth": {"read_train": (2.52, 5000), "talk_train": (1.05, 2500), "read_valid": (0.1, 200)},
    "tedlium2": {"train": (207.0, 92_973), "train_clean_100": (100.6, 28_539)},
}


@cache
def frames_of(recipe, names):
    """Semantic frames of every utterance of these sets."""
    lengths = []
    for name in names:
        hours, count = SETS[recipe][name]
        lengths.append(typical_seconds(hours, mean_seconds=3600 * hours / count) * FRAME_RATE)
    return np.concatenate(lengths).astype(np.int64)


def fault(recipe, names, config):
    """What the doctor would say."""
    updates = epoch_of(frames_of(recipe, names), config).updates * config.training.max_epochs
    return warmup_fault(config, updates)


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
