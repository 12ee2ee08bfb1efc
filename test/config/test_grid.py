"""Settings of a study: what a label changes, and what is refused."""

import pytest

from tokenchain_toolkit.config.grid import RunSettings, StudyConfig, patched, run_settings
from tokenchain_toolkit.config.load import load_config
from tokenchain_toolkit.errors import ConfigError

PAIR = "{train_sets: [a], valid_set: b, asr: {config: x.yaml}, t2s: {config: y.yaml}}"
RUN = {"models": "m", "config": "c.yaml", "train_sets": ["a"], "valid_set": "b", "test_sets": ["t"]}


@pytest.fixture
def load(tmp_path):
    def load_yaml(text, *overrides):
        path = tmp_path / "study.yaml"
        path.write_text(text)
        return load_config(StudyConfig, path, overrides)

    return load_yaml


def test_a_study_loads_with_its_defaults(load):
    study = load(f"models: {{m: {PAIR}}}\ngrids: {{g: {{axes: {{seed: [0, 1]}}}}}}\n", "title=Ours")
    assert study.title == "Ours"
    assert study.models["m"].tokenizer == "mfcc" and study.models["m"].asr.config == "x.yaml"
    assert study.models["m"].decode == [] and study.grids["g"].axes == {"seed": [0, 1]}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("grid: {}", "grid"),
        ("grids: {g: {setings: {}}}", "setings"),
        (f"models: {{m: {PAIR[:-1]}, decodes: [a]}}}}", "decodes"),
        ("models: {m: {train_sets: [a], asr: {config: x}, t2s: {config: y}}}", "valid_set"),
        ("models: {m: {train_sets: [a], valid_set: b, asr: {}, t2s: {config: y}}}", "config"),
        ("models: {m: {train_sets: 3, valid_set: b}}", "train_sets"),
    ],
)
def test_what_is_unknown_or_missing_is_named(load, text, named):
    with pytest.raises(ConfigError, match=named):
        load(text)


def test_a_label_adds_overrides_and_replaces_the_rest():
    settings = {**RUN, "overrides": ["optim.lr=1"]}
    changed = run_settings(patched(settings, {"overrides": ["optim.lr=2"], "train_sets": ["c", "d"]}))
    assert changed.overrides == ["optim.lr=1", "optim.lr=2"]
    assert changed.train_sets == ["c", "d"] and changed.valid_set == "b"
    assert settings["overrides"] == ["optim.lr=1"]
    assert run_settings(patched(RUN, None)) == RunSettings(**RUN)


@pytest.mark.parametrize("values", [{**RUN, "test_set": ["t"]}, {**RUN, "train_sets": "a"}])
def test_settings_that_do_not_fit_are_refused(values):
    with pytest.raises(ConfigError, match="test_set|train_sets"):
        run_settings(values)


def test_a_patch_that_is_no_mapping_is_refused():
    with pytest.raises(ConfigError, match="'optim.lr=1' is not fields of a run"):
        patched(RUN, "optim.lr=1")
