"""Schedules: interface temperature, loss balance, masks of S2A."""

import itertools
import math

import pytest
import torch

from tokenchain_toolkit.config.chain import TEMPERATURE_SCHEDULES, BalanceConfig, TemperatureConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models.loss_balance import dynamic_weight_average, loss_weights, uncertainty_weighted
from tokenchain_toolkit.models.mask_schedule import cosine_mask_ratio, masked_counts
from tokenchain_toolkit.models.temperature import temperature_at


@pytest.mark.parametrize("schedule", sorted(set(TEMPERATURE_SCHEDULES) - {"constant"}))
@pytest.mark.parametrize(("start", "end"), [(2.0, 0.5), (0.25, 1.0)])
def test_temperature_goes_from_start_to_end_without_turning_back(schedule, start, end):
    config = TemperatureConfig(schedule=schedule, start=start, end=end)
    values = [temperature_at(config, step / 20, num_epochs=4) for step in range(21)]
    assert values[0] == pytest.approx(start) and values[-1] == pytest.approx(end)
    direction = math.copysign(1, end - start)
    assert all(direction * (after - before) > 0 for before, after in itertools.pairwise(values))
    assert (
        temperature_at(config, -0.1, num_epochs=4) == values[0]
        and temperature_at(config, 1.7, num_epochs=4) == values[-1]
    )


def test_constant_temperature_stays_at_start():
    config = TemperatureConfig(schedule="constant", start=0.7, end=9.0)
    assert {temperature_at(config, step / 5, num_epochs=4) for step in range(6)} == {0.7}


@pytest.mark.parametrize("schedule", sorted(set(TEMPERATURE_SCHEDULES) - {"constant"}))
def test_by_epoch_the_temperature_moves_between_epochs_alone_and_the_last_one_has_the_end(schedule):
    config = TemperatureConfig(schedule=schedule, start=2.0, end=0.5, by="epoch")
    # 0.3 * 10 and the like are not whole in floating point.
    for num_epochs in (1, 4, 10):
        by_epoch = [
            {temperature_at(config, (epoch + step / 7) / num_epochs, num_epochs=num_epochs) for step in range(7)}
            for epoch in range(num_epochs)
        ]
        assert all(len(values) == 1 for values in by_epoch)
        assert by_epoch[0] == {2.0} and (num_epochs == 1 or list(by_epoch[-1]) == [pytest.approx(0.5)])
        assert len({value for values in by_epoch for value in values}) == num_epochs


def test_exponential_temperature_falls_by_equal_factors():
    config = TemperatureConfig(schedule="exponential", start=2.0, end=0.5)
    assert temperature_at(config, 0.5, num_epochs=4) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"schedule": "step"}, "temperature.schedule=step"),
        ({"by": "hour"}, "temperature.by=hour"),
        ({"end": 0.0}, "temperature.end"),
        ({"start": -1.0}, "start"),
    ],
)
def test_an_impossible_temperature_names_its_key(changes, key):
    with pytest.raises(ConfigError, match=key):
        temperature_at(TemperatureConfig(**changes), 0.5, num_epochs=4)


@pytest.mark.parametrize("history", [[], [[3.0, 5.0]]])
def test_the_first_two_epochs_are_weighted_equally(history):
    assert dynamic_weight_average(history, temperature=2.0) == [1.0, 1.0]


def test_weights_are_those_worked_out_by_hand():
    # r = (2/4, 5/5); lambda_1 = 2 exp(1/4) / (exp(1/4) + exp(1/2)).
    first = 2 * math.exp(0.25) / (math.exp(0.25) + math.exp(0.5))
    history = [[9.0, 9.0], [4.0, 5.0], [2.0, 5.0]]
    assert dynamic_weight_average(history, temperature=2.0) == pytest.approx([first, 2 - first])


def test_weights_sum_to_the_number_of_losses_and_favour_the_slower():
    weights = dynamic_weight_average([[4.0, 4.0, 4.0], [1.0, 3.0, 400.0]], temperature=0.1)
    assert sum(weights) == pytest.approx(3) and weights == sorted(weights)
    flat = dynamic_weight_average([[4.0, 4.0], [1.0, 3.0]], temperature=1e6)
    assert flat == pytest.approx([1, 1], abs=1e-5)


def test_learned_variances_settle_where_each_weighted_loss_is_a_half():
    losses = [torch.tensor(2.0), torch.tensor(0.25)]
    log_variances_K = torch.tensor([4.0, 0.5]).log().requires_grad_()  # s = log 2 L
    uncertainty_weighted(losses, log_variances_K).backward()
    torch.testing.assert_close(log_variances_K.grad, torch.zeros(2))
    weights_K = (-log_variances_K.detach()).exp()
    torch.testing.assert_close(weights_K * torch.stack(losses), torch.full((2,), 0.5))


def test_fixed_weights_and_an_unknown_balance():
    history = [[4.0, 4.0], [1.0, 3.0]]
    assert loss_weights(BalanceConfig(kind="fixed", asr_weight=0.3, rec_weight=2.0), history) == [0.3, 2.0]
    with pytest.raises(ConfigError, match="balance.kind=none"):
        loss_weights(BalanceConfig(kind="none"), history)


@pytest.mark.parametrize("num_steps", [1, 4, 16])
def test_masked_counts_fall_to_zero(num_steps):
    counts_SB = masked_counts(torch.tensor([0, 1, 3, 50]), num_steps=num_steps)
    assert counts_SB.shape == (num_steps, 4)
    assert (counts_SB.diff(dim=0) <= 0).all() and (counts_SB >= 0).all() and not counts_SB[-1].any()
    assert (counts_SB <= torch.tensor([0, 1, 3, 50])).all()


def test_mask_ratio_is_a_quarter_cosine():
    torch.testing.assert_close(cosine_mask_ratio(torch.tensor([0.0, 2 / 3, 1.0])), torch.tensor([1.0, 0.5, 0.0]))
