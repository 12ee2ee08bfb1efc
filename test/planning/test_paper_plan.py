"""The cost plan: operations over speed, by GPUs; what is measured, counted and assumed is told apart."""

from dataclasses import replace

import pytest
import yaml

from tokenchain_toolkit.bin import plan_cost
from tokenchain_toolkit.files import read_json
from tokenchain_toolkit.planning.paper_plan import CORPORA, MODELS, Speed, gpu_speed, load_paper_settings, plan_paper
from tokenchain_toolkit.planning.plan_table import plan_table
from tokenchain_toolkit.planning.probe import StepMeasure

TINY = {"hidden_dim": 8, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 8}
TINY_ASR = {
    **{"embed_dim": 8, "encoder_dim": 8, "encoder_blocks": 1, "attention_heads": 2, "cgmlp_units": 8},
    **{"cgmlp_kernel": 3, "merge_kernel": 3, "feed_forward_units": 8, "decoder_layers": 1, "decoder_units": 8},
}


def measured(name="asr", device="CPU, 2 threads", **changes):
    figures = {"num_parameters": 10**9, "num_steps": 3, "frames": 1000, "seconds": 2.0, "kept_bytes": 1e5, "flops": 1e9}
    return StepMeasure(name, device, "bf16-mixed", **{**figures, **changes})


@pytest.fixture(scope="module")
def settings():
    return load_paper_settings(plan_cost.PAPER)


def test_more_gpus_take_less_time_by_their_scaling(settings):
    plans = plan_paper(settings, [measured()], [Speed(50.0, 0.8, is_measured=False)], gpu_bytes=80e9)
    assert [plan.corpus for plan in plans] == [corpus.name for corpus in CORPORA]
    one, four, eight = plans[0].placements
    assert one.hours_per_epoch / four.hours_per_epoch == pytest.approx(4 * 0.8)
    assert one.hours_per_epoch / eight.hours_per_epoch == pytest.approx(8 * 0.8)
    assert one.hours == one.hours_per_epoch * plans[0].epochs and plans[0].epochs == 70
    # About 100 hours at 50 frames a second, a little more with padding, at 1 GFLOP a frame and 50 TFLOP a second.
    assert one.hours_per_epoch * 3600 == pytest.approx(100.6 * 3600 * 50 * 1e9 / 50e12, rel=0.1)
    assert not any(plan.fault for plan in plans)
    assert plans[1].flops / plans[0].flops == pytest.approx(960.9 / 100.6, rel=0.02)


def test_a_learning_rate_that_rises_for_too_long_is_named(settings):
    asr = replace(settings.asr, optim=replace(settings.asr.optim, warmup_steps=15_000))
    plans = plan_paper(replace(settings, asr=asr), [measured()], [Speed(50.0, 0.9, is_measured=False)], gpu_bytes=80e9)
    assert "warmup_steps=15000" in plans[0].fault and not plans[1].fault
    assert f"{plans[0].corpus}, ASR: {plans[0].fault}" in plan_table(plans)


def test_memory_falls_with_the_share_of_a_gpu_and_passes_make_it_fit(settings):
    (plan, *_) = plan_paper(settings, [measured()], [Speed(50.0, 0.9, is_measured=False)], gpu_bytes=21e9)
    one, _, eight = plan.placements
    assert one.memory_bytes == 16 * 10**9 + 1e5 * 70_000 and one.device_frames == 50_000
    assert eight.memory_bytes == 16 * 10**9 + 1e5 * 8_750 and eight.device_frames == 0
    (plan, *_) = plan_paper(settings, [measured()], [Speed(50.0, 0.9, is_measured=False)], gpu_bytes=15e9)
    assert {placement.device_frames for placement in plan.placements} == {None}


def test_the_speed_is_what_the_user_says_or_what_a_gpu_was_measured_at():
    assert gpu_speed(measured(), 33.0, 0.9) == Speed(33.0, 0.9, is_measured=False)
    assert not gpu_speed(measured(), None, 0.9).is_measured
    found = gpu_speed(measured(device="A100", seconds=0.02), None, 0.9)
    assert found.is_measured and found.tflops == pytest.approx(1e9 * 1000 / 0.02 / 1e12)


def test_a_plan_is_measured_counted_and_told(tmp_path, capsys):
    models = {"asr": TINY_ASR, "t2s": TINY, "chain": {}, "s2a": {**TINY, "conv_kernel": 3}}
    for name, values in models.items():
        training = {"accelerator": "cpu", "precision": "32-true", "batch_frames": 2000, "max_epochs": 2}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"model": values, "training": training}))
    options = ["--seconds", "0.1", "--tflops", "12.5", "--scaling", "0.5", "--json", str(tmp_path / "plan.json")]
    assert plan_cost.main(["--conf", str(tmp_path), *options]) == 0
    text, found = capsys.readouterr().out, read_json(tmp_path / "plan.json")
    assert "assumed:  12.5 TFLOP a second" in text and "50% of it" in text and "TED-LIUM 2" in text
    assert [each["name"] for each in found["measured"]] == list(MODELS) and len(found["plans"]) == 12
    assert all(each["flops"] > 0 for each in found["measured"])
    chain, parts = found["measured"][2], found["measured"][:2]
    assert chain["num_parameters"] == sum(each["num_parameters"] for each in parts)
