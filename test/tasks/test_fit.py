"""Training runs: a killed one goes on as if nothing had happened, bad losses stop it, checkpoints are averaged."""

import math
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch

from tokenchain_toolkit.config.chain import BalanceConfig, UnpairedConfig
from tokenchain_toolkit.config.training import OptimConfig, TrainingConfig
from tokenchain_toolkit.data.unpaired import UnpairedData
from tokenchain_toolkit.errors import ConfigError, TrainingError
from tokenchain_toolkit.tasks.base import build_optimizer, learning_rate
from tokenchain_toolkit.tasks.epoch_log import EpochLog
from tokenchain_toolkit.tasks.fit import (
    announce_idle_gpus,
    average_checkpoints,
    check_gpus,
    choose_precision,
    take_part,
)

TASKS = ["asr", "t2s", "s2a", "chain"]


class Killed(Exception):
    """Stands for a power cut."""


@pytest.fixture(params=TASKS)
def make_task(request):
    return request.getfixturevalue(f"make_{request.param}_task")


def kill_at(task, epoch, batch):
    """Let the task die at a batch of an epoch, both from 0."""
    whole = task.training_step

    def step(data, batch_idx):
        if (task.current_epoch, batch_idx) == (epoch, batch):
            raise Killed
        return whole(data, batch_idx)

    task.training_step = step
    return task


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert not [name for name in expected if not torch.equal(found[name], expected[name])]


@pytest.mark.parametrize("average_best", [0, 2])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(make_task, run_fit, tmp_path, average_best):
    expected, expected_rows = run_fit(make_task(average_best=average_best), tmp_path / "whole")
    with pytest.raises(Killed):
        run_fit(kill_at(make_task(average_best=average_best), epoch=2, batch=1), tmp_path / "killed")
    found, rows = run_fit(make_task(average_best=average_best), tmp_path / "killed")
    assert_same(found, expected)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert rows == expected_rows


def test_epochs_that_are_no_better_are_not_lost_in_a_kill(make_asr_task, run_fit, tmp_path):
    def run(task):
        whole, started = task.on_train_epoch_start, []
        task.on_train_epoch_start = lambda: (started.append(task.current_epoch), whole())
        task.monitor = "train/loss"
        task.monitor_mode = "max"  # the first epoch stays the best one
        try:
            run_fit(task, tmp_path)
        except Killed:
            pass
        return started

    assert run(kill_at(make_asr_task(average_best=1), epoch=3, batch=0)) == [0, 1, 2, 3]
    assert run(make_asr_task(average_best=1)) == [3]


def test_a_run_killed_after_its_last_epoch_gives_the_same_weights(make_asr_task, run_fit, tmp_path):
    expected, expected_rows = run_fit(make_asr_task(), tmp_path)
    found, rows = run_fit(make_asr_task(), tmp_path)
    assert_same(found, expected)
    assert rows == expected_rows


def test_a_resumed_chain_remembers_its_balance(make_chain_task, run_fit, tmp_path):
    whole = make_chain_task()
    run_fit(whole, tmp_path / "whole")
    with pytest.raises(Killed):
        run_fit(kill_at(make_chain_task(), epoch=3, batch=0), tmp_path / "killed")
    resumed = make_chain_task()
    _, rows = run_fit(resumed, tmp_path / "killed")
    assert resumed.loss_history == whole.loss_history and len(whole.loss_history) == 4
    weights = [(float(row["train/asr_weight"]), float(row["train/rec_weight"])) for row in rows]
    assert weights[0] == weights[1] == (1, 1) and (1, 1) not in weights[2:]
    assert all(sum(pair) == pytest.approx(2, abs=1e-4) for pair in weights)


@pytest.mark.parametrize("training", ["joint", "alternating"])
@pytest.mark.parametrize("feedback", ["st_gumbel", "score_function"])
def test_a_killed_chain_goes_on_with_speech_and_text_alone(
    make_chain_task, make_corpus, run_fit, tmp_path, feedback, training
):
    settings = UnpairedConfig(1.0, 1.0, feedback=feedback, labels="text", reading="free_running")
    texts = [(f"text{index}", np.array([2, 3, 4, 2] * 2)[: 3 + index % 6]) for index in range(7)]
    unpaired = UnpairedData(speech=make_corpus(), texts=texts, speech_ratio=1.0, text_ratio=1.0)

    def task():
        settings.sampling.max_frames_per_token = 8.0
        balance, model = BalanceConfig(kind="uncertainty"), {"t2s_training": training}
        return make_chain_task("none", balance=balance, model=model, unpaired=settings, average_best=0)

    expected, expected_rows = run_fit(task(), tmp_path / "whole", unpaired)
    with pytest.raises(Killed):
        run_fit(kill_at(task(), epoch=2, batch=1), tmp_path / "killed", unpaired)
    found, rows = run_fit(task(), tmp_path / "killed", unpaired)
    assert_same(found, expected)
    assert rows == expected_rows


def test_the_seed_decides_weights_and_run(make_task, run_fit, tmp_path):
    def run(seed, name):
        return run_fit(make_task(seed=seed, max_epochs=1), tmp_path / name)

    torch.rand(7)
    first, rows = run(1, "first")
    torch.rand(3)  # What other code draws in between does not matter.
    again, again_rows = run(1, "again")
    assert_same(again, first)
    assert rows == again_rows != run(2, "other")[1]


def test_the_initial_weights_follow_from_the_seed(make_asr_task):
    def weight(seed):
        return make_asr_task(seed=seed).asr.decoder.embed[0].weight

    assert torch.equal(weight(1), weight(1)) and not torch.equal(weight(1), weight(2))


def test_a_loss_that_is_not_finite_names_utterances(make_asr_task, run_fit, tmp_path):
    task = make_asr_task()
    task.asr.embed.weight.data.fill_(math.nan)
    with pytest.raises(TrainingError, match=r"loss of epoch 0, step 0 is nan; .* first utt\d.* lower optim.lr"):
        run_fit(task, tmp_path)


def test_averaging_takes_the_mean_of_weights_and_the_first_of_counts(tmp_path):
    for index in range(3):
        weights = {"a.w": torch.tensor([1.0, 2.0]) * index, "a.steps": torch.tensor(index)}
        torch.save({"state_dict": weights}, tmp_path / f"{index}.ckpt")
    mean = average_checkpoints([tmp_path / f"{index}.ckpt" for index in range(3)])
    assert mean["a.w"].tolist() == [1.0, 2.0] and mean["a.steps"].item() == 0


def test_a_run_averages_its_best_epochs(make_asr_task, run_fit, tmp_path):
    state, rows = run_fit(make_asr_task(average_best=2), tmp_path)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("epoch*.ckpt"))
    assert len(kept) == 2
    kept_accuracy = [float(rows[int(name[5:8])]["valid/accuracy"]) for name in kept]
    assert min(kept_accuracy) >= sorted(float(row["valid/accuracy"]) for row in rows)[-2]
    assert_same(state, average_checkpoints([tmp_path / "checkpoints" / name for name in kept]))


def test_take_part_strips_the_prefix():
    state = {"asr.a": torch.zeros(1), "asr.b.c": torch.ones(1), "t2s.a": torch.ones(2)}
    assert take_part(state, "asr.").keys() == {"a", "b.c"}


def test_warmup_rises_to_the_peak_and_falls_as_the_root():
    config = OptimConfig(lr=0.4, warmup_steps=10, schedule="warmup_inverse_sqrt")
    rates = [learning_rate(config, step=step, progress=0.0) for step in (1, 5, 10, 40)]
    assert rates == pytest.approx([0.04, 0.2, 0.4, 0.2])


def test_cosine_falls_from_the_peak_to_the_final_rate():
    config = OptimConfig(lr=0.4, warmup_steps=10, schedule="warmup_cosine", final_lr_ratio=0.1)
    rates = [learning_rate(config, step=100, progress=progress) for progress in (0.0, 0.5, 1.0, 1.2)]
    assert rates == pytest.approx([0.4, 0.22, 0.04, 0.04])
    assert learning_rate(config, step=5, progress=0.0) == pytest.approx(0.2)


def test_the_rate_of_each_epoch_is_logged(make_asr_task, run_fit, tmp_path):
    _, rows = run_fit(make_asr_task(), tmp_path)
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < 0.3 * rates[0]


def test_unknown_choices_name_their_key():
    with pytest.raises(ConfigError, match="optim.schedule=step: choose"):
        learning_rate(OptimConfig(schedule="step"), step=1, progress=0.0)
    with pytest.raises(ConfigError, match="optim.name=sgd: choose one of adam, adamw"):
        build_optimizer(OptimConfig(name="sgd"), [])


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_precision_that_is_given_is_kept(precision):
    assert choose_precision(TrainingConfig(precision=precision)) == precision


@pytest.mark.parametrize("fast", [False, True])
def test_auto_precision_follows_the_hardware(monkeypatch, fast):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    expected = "bf16-mixed" if fast else "32-true"
    assert choose_precision(TrainingConfig(accelerator="cpu")) == expected


def test_bf16_trains_every_task(make_task, run_fit, tmp_path):
    state, rows = run_fit(make_task(precision="bf16-mixed", max_epochs=1), tmp_path)
    assert all(torch.isfinite(value).all() for value in state.values())
    assert math.isfinite(float(rows[0]["valid/loss"]))


def test_every_device_asks_for_the_metrics_and_the_first_writes_them(tmp_path):
    # Asking reduces over the devices: one that does not ask would leave the others waiting.
    for rank in (1, 0):
        asked = mock.PropertyMock(return_value={"train/loss": torch.tensor(2.0)})
        trainer = mock.MagicMock(is_global_zero=rank == 0, current_epoch=0, global_step=3, max_epochs=1)
        trainer.optimizers = [mock.Mock(param_groups=[{"lr": 0.1}])]
        type(trainer).callback_metrics = asked
        EpochLog(tmp_path / f"{rank}.csv").on_train_epoch_end(trainer, mock.Mock())
        assert asked.called
    assert [path.name for path in tmp_path.iterdir()] == ["0.csv"]


@pytest.mark.parametrize(("present", "accelerator", "devices"), [(0, "auto", 2), (4, "auto", 8), (4, "gpu", 5)])
def test_more_devices_than_there_are_gpus_are_refused(monkeypatch, present, accelerator, devices):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: present)
    with pytest.raises(
        ConfigError, match=f"training.devices={devices} .* finds {present} GPUs here; .*accelerator=cpu"
    ):
        check_gpus(TrainingConfig(devices=devices, accelerator=accelerator))
    check_gpus(TrainingConfig(devices=max(present, 1), accelerator=accelerator))
    check_gpus(TrainingConfig(devices=devices, accelerator="cpu"))


def test_a_run_that_leaves_gpus_idle_says_so(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)

    def told(used, kind):
        caplog.clear()
        with caplog.at_level("INFO"):
            announce_idle_gpus(
                SimpleNamespace(num_devices=used, strategy=SimpleNamespace(root_device=torch.device(kind)))
            )
        return caplog.text

    assert "1 of the 8 GPUs" in told(1, "cuda") and "--num_gpus 8" in told(1, "cuda")
    assert not told(8, "cuda") and not told(1, "cpu")
