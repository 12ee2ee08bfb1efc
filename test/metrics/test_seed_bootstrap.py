import numpy as np
import pytest

from tokenchain_toolkit.metrics.error_rate import UtteranceCounts, paired_difference
from tokenchain_toolkit.metrics.seed_bootstrap import SeedBootstrap, epochs_to, interval_of, relative_change


def poisson_errors(generator, words_U, *, num_seeds, rate=0.2, scatter=0.0):
    """Errors (S, 1, U) of runs whose rates scatter between seeds."""
    rates_S1 = rate * np.exp(generator.normal(0, scatter, (num_seeds, 1)))
    return generator.poisson(rates_S1 * words_U)[:, None].astype(float)


def test_row_0_is_the_sample():
    errors_SEU = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
    rates_BE = SeedBootstrap(np.array([4, 6]), num_bootstrap=3).rates(errors_SEU)
    assert rates_BE.shape == (4, 1)
    assert rates_BE[0, 0] == pytest.approx((3 / 10 + 7 / 10) / 2)


def test_every_system_is_seen_through_the_same_utterances_and_seeds():
    generator = np.random.default_rng(0)
    words_U = generator.integers(4, 9, 50)
    baseline_SEU = poisson_errors(generator, words_U, num_seeds=3)
    bootstrap = SeedBootstrap(words_U)
    change = relative_change(bootstrap.rates(baseline_SEU)[:, 0], bootstrap.rates(baseline_SEU + 0.1 * words_U)[:, 0])
    assert change.ci_low == pytest.approx(change.value)
    assert change.ci_high == pytest.approx(change.value)


def test_one_seed_gives_the_interval_over_utterances_alone():
    generator = np.random.default_rng(1)
    words_U = generator.integers(4, 9, 400)
    systems = [poisson_errors(generator, words_U, num_seeds=1) for _ in range(2)]
    bootstrap = SeedBootstrap(words_U)
    ours = relative_change(*(bootstrap.rates(errors_SEU)[:, 0] for errors_SEU in systems))
    counts = [
        {str(u): UtteranceCounts(int(errors), 0, 0, int(words_U[u])) for u, errors in enumerate(errors_SEU[0, 0])}
        for errors_SEU in systems
    ]
    theirs = paired_difference(*counts)
    assert ours.value == pytest.approx(theirs.value)
    width = theirs.ci_high - theirs.ci_low
    assert (ours.ci_low, ours.ci_high) == pytest.approx((theirs.ci_low, theirs.ci_high), abs=0.1 * width)


def test_seeds_that_scatter_widen_the_interval():
    generator = np.random.default_rng(2)
    words_U = np.full(400, 6)
    bootstrap = SeedBootstrap(words_U)
    widths = []
    for scatter in (0.0, 0.3):
        rates = interval_of(bootstrap.rates(poisson_errors(generator, words_U, num_seeds=5, scatter=scatter))[:, 0])
        widths.append(rates.ci_high - rates.ci_low)
    assert widths[1] > 2 * widths[0]


def test_equal_systems_are_seldom_told_apart():
    generator = np.random.default_rng(3)
    words_U = generator.integers(4, 9, 300)
    bootstrap = SeedBootstrap(words_U, num_bootstrap=300)
    false_alarms = 0
    for _ in range(100):
        pair = [poisson_errors(generator, words_U, num_seeds=3, scatter=0.03) for _ in range(2)]
        change = relative_change(*(bootstrap.rates(errors_SEU)[:, 0] for errors_SEU in pair))
        false_alarms += change.ci_low > 0 or change.ci_high < 0
    assert false_alarms <= 8


def test_a_baseline_without_errors_has_no_relative_change():
    perfect_B, worse_B = np.zeros(5), np.full(5, 0.1)
    assert relative_change(perfect_B, worse_B) is None
    assert relative_change(perfect_B, perfect_B).value == 0


def test_epochs_are_counted_along_the_line_between_two():
    rates_BE = np.array([[0.5, 0.4, 0.2], [0.5, 0.6, 0.4], [0.1, 0.2, 0.3], [0.5, 0.3, 0.3]])
    epochs_B = epochs_to(rates_BE, np.array([0, 1, 3]), np.array([0.3, 0.3, 0.2, 0.3]))
    assert epochs_B.tolist() == pytest.approx([2.0, np.inf, 0.0, 1.0])


def test_an_interval_may_reach_what_never_happens():
    values_B = np.array([2.0, *np.linspace(1, 3, 90), *[np.inf] * 10])
    found = interval_of(values_B)
    assert (found.value, found.ci_high) == (2.0, np.inf)
    assert 1 <= found.ci_low < 1.2
