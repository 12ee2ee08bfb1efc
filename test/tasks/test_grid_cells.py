"""From axes to runs: every combination, its settings, what it is compared with, and what is refused."""

from pathlib import Path

import pytest

from tokenchain_toolkit.config.grid import GridSettings, ModelSettings, PairSettings, StudyConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.tasks.grid_cells import cells_of

RUN = {"models": "m", "config": "c.yaml", "train_sets": ["a"], "valid_set": "b", "test_sets": ["t"]}
AXES = {
    "feedback": {"none": {"overrides": ["f=none"]}, "argmax": {"overrides": ["f=argmax", "w={models}/x"]}},
    "share": {0.1: {"train_sets": ["few"]}, "all": None},
    "seed": [3, 5],
}


@pytest.fixture
def expand():
    """A function that gives the runs of one grid, by name; keywords replace its fields."""

    def run(name="g", **changes):
        grid = GridSettings(**{"settings": {**RUN, "overrides": ["e=2"]}, "axes": AXES, **changes})
        model = ModelSettings(config="x.yaml")
        pair = PairSettings(train_sets=["a"], valid_set="b", asr=model, t2s=model)
        return {cell.name: cell for cell in cells_of(StudyConfig(models={"m": pair}, grids={name: grid}))}

    return run


def test_each_label_meets_each_other_in_the_order_of_the_axes(expand):
    assert list(expand()) == [
        *("g/none/0.1/seed3", "g/none/0.1/seed5", "g/none/all/seed3", "g/none/all/seed5"),
        *("g/argmax/0.1/seed3", "g/argmax/0.1/seed5", "g/argmax/all/seed3", "g/argmax/all/seed5"),
    ]
    assert list(expand(axes={})) == ["g/seed0"]


def test_a_run_has_the_settings_of_its_labels(expand):
    cell = expand()["g/argmax/0.1/seed5"]
    assert cell.labels == {"feedback": "argmax", "share": "0.1"} and cell.seed == 5
    assert cell.settings.train_sets == ["few"] and cell.settings.test_sets == ["t"]
    assert cell.overrides(Path("m/n")) == [
        "e=2",
        "f=argmax",
        "w=m/n/models/m/x",
        "training.seed=5",
    ]


def test_a_run_is_compared_with_that_of_the_baselines_label_and_its_own_other_labels(expand):
    cells = expand(baseline={"feedback": "none"})
    assert cells["g/argmax/0.1/seed5"].baseline == "g/none/0.1/seed5"
    assert cells["g/none/0.1/seed5"].baseline is None
    assert {cell.baseline for cell in expand().values()} == {None}


def test_combinations_are_left_out_and_not_compared_with(expand):
    left_out = [{"feedback": "argmax", "share": 0.1}, {"feedback": "none", "seed": 3}]
    cells = expand(baseline={"feedback": "none"}, leave_out=left_out)
    assert list(cells) == ["g/none/0.1/seed5", "g/none/all/seed5", "g/argmax/all/seed3", "g/argmax/all/seed5"]
    assert cells["g/argmax/all/seed3"].baseline is None
    assert cells["g/argmax/all/seed5"].baseline == "g/none/all/seed5"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {**RUN, "test_set": ["t"]}}, "grids.g, feedback=none, share=0.1: .*test_set"),
        ({"axes": {"feedback": {"x": {"overides": []}}}}, "grids.g, feedback=x: .*overides"),
        ({"settings": {"models": "m"}}, "grids.g, feedback=none.*missing"),
        ({"settings": {**RUN, "models": "other"}}, "starts from the models other; there are: m"),
        ({"settings": {**RUN, "tokenizer": "hubert"}}, "tokenizer=hubert, and its models m have mfcc"),
        ({"settings": {**RUN, "test_sets": []}}, "test_sets names no set"),
        ({"settings": {**RUN, "target_sets": ["u"]}}, "target_sets: u is none of test_sets"),
        ({"axes": {"feedback": {"a/b": {}}}}, "'a/b' becomes a folder"),
        ({"axes": {"feedback": {"..": {}}}}, "'..' becomes a folder"),
        ({"axes": {"feedback": {False: {}}}}, "YAML reads the label False as no text"),
        ({"axes": {"feedback": ["a"]}}, "an axis is labels with what they change"),
        ({"axes": {"seed": 3}}, "axes.seed=3: it is a list"),
        ({"axes": {"seed": [0, 0]}}, "list of different numbers"),
        ({"axes": {"seed": [0, "a"]}}, "list of different numbers"),
        ({"baseline": {"feed": "none"}}, "grids.g.baseline: there is no axis feed; choose from feedback, share, seed"),
        ({"baseline": {"feedback": "soft"}}, "axis feedback has no label soft; choose from argmax, none"),
        ({"baseline": {"seed": 3}}, "name no seed"),
        ({"leave_out": [{"seed": 4}]}, "grids.g.leave_out: the axis seed has no label 4"),
        ({"leave_out": [{}]}, "grids.g holds no run"),
        ({"name": "models"}, "grids.models: the folder of that name holds something else"),
        ({"name": "../g"}, "'../g' becomes a folder"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(expand, changes, message):
    with pytest.raises(ConfigError, match=message):
        expand(**changes)
