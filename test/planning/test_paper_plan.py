"""The cost plan: operations over speed, by GPUs; what is measured, counted and assumed is told apart."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tokenchain_toolkit.bin import plan_cost
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.planning.corpus_sizes import SETS
from tokenchain_toolkit.planning.experiments import recipe_experiments
from tokenchain_toolkit.planning.paper_plan import Speed, gpu_speed, hours_of_all, plan_experiments
from tokenchain_toolkit.planning.plan_table import plan_table
from tokenchain_toolkit.planning.probe import StepMeasure

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "egs2" / "TEMPLATE" / "tokenchain1"
TINY = {"hidden_dim": 8, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 8}
TINY_ASR = {
    **{"embed_dim": 8, "encoder_dim": 8, "encoder_blocks": 1, "attention_heads": 2, "cgmlp_units": 8},
    **{"cgmlp_kernel": 3, "merge_kernel": 3, "feed_forward_units": 8, "decoder_layers": 1, "decoder_units": 8},
}
SLOW = Speed(50.0, 0.8, is_measured=False)


def measured(name="asr", device="CPU, 2 threads", **changes):
    figures = {"num_parameters": 10**9, "num_steps": 3, "frames": 1000, "seconds": 2.0, "update_seconds": 0.0}
    figures |= {"fixed_bytes": 0.0, "kept_bytes": 1e5, "flops": 1e9}
    return StepMeasure(name, device, "bf16-mixed", **{**figures, **changes})


@pytest.fixture(scope="module")
def paper():
    """The experiments of the paper's recipes."""
    return [each for root in plan_cost.PAPER for each in recipe_experiments(root)]


def plan(experiments, measure=None, speed=SLOW, gpu_bytes=80e9):
    keys = [each.model for each in experiments]
    measures, speeds = dict.fromkeys(keys, measure or measured()), dict.fromkeys(keys, speed)
    return plan_experiments(experiments, measures, speeds, gpu_bytes=gpu_bytes)


@pytest.fixture(scope="module")
def plans(paper):
    """Of all of them, whatever the model alike."""
    return plan(paper)


def chosen(plans, **wanted):
    """Those plans that have these values."""
    return [each for each in plans if all(getattr(each, name) == value for name, value in wanted.items())]


def test_more_gpus_take_less_time_by_their_scaling(plans):
    one, four, eight = plans[0].placements
    assert one.hours_per_epoch / four.hours_per_epoch == pytest.approx(4 * 0.8)
    assert one.hours_per_epoch / eight.hours_per_epoch == pytest.approx(8 * 0.8)
    assert one.hours == one.hours_per_epoch * plans[0].epochs and plans[0].epochs == 70
    # About 100 hours at 50 frames a second, a little more with padding, at 1 GFLOP a frame and 50 TFLOP a second.
    assert one.hours_per_epoch * 3600 == pytest.approx(100.6 * 3600 * 50 * 1e9 / 50e12, rel=0.1)
    assert not any(each.fault for each in plans)
    small, large = (chosen(plans, recipe=name, names=("asr",)) for name in ("librispeech_100", "librispeech"))
    assert large[0].flops / small[0].flops == pytest.approx(960.9 / 100.6, rel=0.02)


def test_s2a_is_planned_at_the_rate_of_its_codes(paper):
    """EnCodec has 75 frames a second, HuBERT 50."""
    (s2a,) = (each for each in paper if each.kind == "s2a" and each.recipe == "librispeech_100")
    assert (s2a.sizes.frame_rate, s2a.sizes.acoustic_rate, s2a.sizes.num_quantizers) == (50.0, 75.0, 8)
    same = replace(s2a.config, data=replace(s2a.config.data, min_prompt_frames=0, max_prompt_frames=0))
    (at_75, at_50) = plan([replace(s2a, config=same), replace(s2a, config=same, kind="t2s")])
    assert at_75.flops / at_50.flops == pytest.approx(1.5, rel=0.02)
    assert at_75.updates / at_50.updates == pytest.approx(1.5, rel=0.02)


def test_the_adaptation_is_planned_as_the_recipe_runs_it(plans):
    """Chains alone, with replay, by the recipe's own configuration; TED-LIUM trains no ASR, T2S or S2A."""
    run = chosen(plans, recipe="tedlium2", part="run.sh")
    assert {name for each in run for name in each.names} == {"chain_baseline", "chain_st_argmax"}
    for each in run:
        assert each.train_sets == ("train", "train_clean_100") and each.epochs == 10 and each.runs == 1
        assert each.hours_of_speech == pytest.approx(207.0 + 100.6, rel=0.01)


def test_every_training_of_a_study_is_counted(plans):
    """Each of the settings below has three seeds."""
    grids = {name: sum(each.runs for each in chosen(plans, part=f"study.sh, {name}")) for name in GRIDS}
    assert grids == GRIDS
    without_replay = chosen(plans, part="study.sh, adaptation", train_sets=("train",))
    assert sum(each.runs for each in without_replay) == 15
    # What a temperature is does not change what a run costs.
    (annealed,) = (each for each in without_replay if "none/argmax_annealed" in each.names)
    assert annealed.names == ("none/argmax_0.5", "none/argmax_1", "none/argmax_annealed") and annealed.runs == 9


GRIDS = {"models": 1, "feedback": 21, "adaptation": 30}


def test_an_evaluation_that_the_hours_leave_out_is_named(plans):
    told = [line for line in plan_table(plans).splitlines() if "not in these hours" in line]
    assert [line.partition(": ")[0] for line in told] == [
        "librispeech_100, study.sh, feedback",
        "tedlium2, run.sh",
        "tedlium2, study.sh, adaptation",
    ]
    assert "21 times in a run 400 utterances of each of 2 sets are recognised by joint, and 100 drawn" in told[0]


def test_all_that_the_tables_compare_is_planned(paper):
    """Every row of the paper's corpora: the chains of its recipe's run, the grid of its study."""
    tables = yaml.safe_load((ROOT / "tokenchain_toolkit/report/paper_tables.yaml").read_text())["tables"]
    rows = [row for table in tables for row in table["rows"] if not row.get("stand_in")]
    planned = {(each.recipe, each.part, name) for each in paper for name in each.names}
    for row in rows:
        if row.get("studied"):
            labels = "/".join(row["studied"]["arm"].values())
            assert (row["recipe"], f"study.sh, {row['studied']['grid']}", labels) in planned
        else:
            assert (row["recipe"], "run.sh", row["scored"].get("experiment", "chain_st_argmax")) in planned


def test_a_model_is_measured_once_however_many_experiments_have_it(paper):
    kinds = {each.model: each.kind for each in paper}
    # Chains without a link, with straight-through argmax, and with Gumbel noise.
    assert sorted(kinds.values()) == ["asr", "chain", "chain", "chain", "s2a", "t2s"]


def test_the_sum_is_that_of_all_runs(plans):
    (last,) = (line for line in plan_table(plans).splitlines() if line.startswith("all runs"))
    assert str(sum(each.runs for each in plans)) in last.split()
    hours = sum(each.runs * each.placements[0].hours for each in plans)
    assert f"{hours / 24:,.0f}"[:2] in last.replace(",", "")


def test_a_run_of_a_study_has_one_gpu_and_several_run_at_once(paper):
    experiments = [each for each in paper if each.recipe == "librispeech_100" and each.kind == "chain"]
    plans = plan(experiments, gpu_bytes=1e12)
    (studied,) = (each for each in plans if each.part == "study.sh, feedback" and "st_gumbel" in each.names)
    one, *others = studied.placements
    assert all((each.hours, each.memory_bytes) == (one.hours, one.memory_bytes) for each in others)
    assert [hours_of_all([studied], place) for place in range(3)] == pytest.approx(
        [one.hours * runs for runs in (15, 15 / 4, 15 / 8)]
    )
    # Fewer runs than GPUs take as long as the longest of them.
    assert hours_of_all([replace(studied, runs=2)], 2) == one.hours
    (alone,) = (each for each in plans if each.part == "run.sh" and "chain_baseline" in each.names)
    assert alone.placements[2].hours < alone.placements[0].hours / 6
    assert alone.placements[2].memory_bytes < alone.placements[0].memory_bytes
    assert hours_of_all([alone, studied], 2) == alone.placements[2].hours + hours_of_all([studied], 2)


def test_a_learning_rate_that_rises_for_too_long_is_named(paper):
    hasty = [
        replace(each, config=replace(each.config, optim=replace(each.config.optim, warmup_steps=15_000)))
        for each in paper
        if each.kind == "asr" and each.part == "run.sh"
    ]
    plans = plan(hasty)
    assert "warmup_steps=15000" in plans[0].fault and not plans[1].fault
    assert f"librispeech_100, asr: {plans[0].fault}" in plan_table(plans)


def test_memory_falls_with_the_share_of_a_gpu_and_passes_make_it_fit(paper):
    (found, *_) = plan(paper[:1], measured(fixed_bytes=1e9), gpu_bytes=22e9)
    one, _, eight = found.placements
    assert one.memory_bytes == 17 * 10**9 + 1e5 * 70_000 and one.device_frames == 50_000
    assert eight.memory_bytes == 17 * 10**9 + 1e5 * 8_750 and eight.device_frames == 0
    (found, *_) = plan(paper[:1], gpu_bytes=15e9)
    assert {placement.device_frames for placement in found.placements} == {None}


def test_the_speed_is_what_the_user_says_or_what_a_gpu_was_measured_at():
    assert gpu_speed(measured(), 33.0, 0.9) == Speed(33.0, 0.9, is_measured=False)
    assert not gpu_speed(measured(), None, 0.9).is_measured
    found = gpu_speed(measured(device="A100", seconds=0.02), None, 0.9)
    assert found.is_measured and found.tflops == pytest.approx(1e9 * 1000 / 0.02 / 1e12)


def test_sets_of_unknown_size_are_named(paper):
    with pytest.raises(ConfigError, match="size of more is not known"):
        plan([replace(paper[0], train_sets=("more",))])


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A recipe of tiny models on sets of known size."""
    monkeypatch.setitem(SETS, "mine", {"train": (0.1, 40)})
    root = tmp_path / "mine" / "tokenchain1"
    (root / "conf").mkdir(parents=True)
    (root / "local").mkdir()
    for name in ("tokenchain.sh", "path.sh", "cmd.sh", "db.sh"):
        (root / name).symlink_to(TEMPLATE / name)
    (root / "local/data.sh").touch()
    (root / "run.sh").write_text('./tokenchain.sh "$@"\n')
    models = {"train_asr": TINY_ASR, "train_t2s": TINY, "train_s2a": {**TINY, "conv_kernel": 3}}
    models |= {"chain_baseline": {"feedback": "none"}, "chain_st_argmax": {}}
    for name, values in models.items():
        training = {"accelerator": "cpu", "precision": "32-true", "batch_frames": 2000, "max_epochs": 2}
        (root / "conf" / f"{name}.yaml").write_text(yaml.safe_dump({"model": values, "training": training}))
    for name in ("tokenizer", "bpe", "decode_asr", "decode_t2s", "synthesize"):
        (root / "conf" / f"{name}.yaml").write_text("{}\n")
    return root


def test_a_plan_is_measured_counted_and_told(small, tmp_path, capsys):
    options = ["--seconds", "0.1", "--tflops", "12.5", "--scaling", "0.5", "--json", str(tmp_path / "plan.json")]
    assert plan_cost.main([str(small), *options]) == 0
    text, found = capsys.readouterr().out, read_json(tmp_path / "plan.json")
    assert "assumed:  12.5 TFLOP a second" in text and "50% of it" in text and "train (0.1 h)" in text
    names = [each["name"] for each in found["measured"]]
    assert sorted(names) == ["asr", "chain, none", "chain, st_argmax", "s2a", "t2s"] and len(found["plans"]) == 5
    assert all(each["flops"] > 0 for each in found["measured"])
    parameters = {each["name"]: each["num_parameters"] for each in found["measured"]}
    assert parameters["chain, none"] == parameters["asr"] + parameters["t2s"]


def test_some_models_can_be_chosen(small, tmp_path, capsys):
    assert (
        plan_cost.main([str(small), "--seconds", "0.1", "--models", "t2s", "--json", str(tmp_path / "plan.json")]) == 0
    )
    assert [each["names"] for each in read_json(tmp_path / "plan.json")["plans"]] == [["t2s"]]
    capsys.readouterr()
