import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from fecosr.errors import BudgetExhausted, MisuseError
from fecosr.privacy.accounting import (
    Accountant,
    count_events,
    epsilons,
    gaussian_epsilon,
    larger_epsilon,
    pld_epsilon,
    renyi_bound,
    without_amplification,
)
from fecosr.privacy.events import Charge, Event, NonPrivate, PoissonGaussian, PoissonIntegerGaussian

DELTA = 1e-5


def _analytic_gaussian(noise_multiplier: float, delta: float) -> float:
    """Return epsilon of the Gaussian mechanism exactly, after Balle and Wang 2018, Theorem 8."""

    def excess(epsilon: float) -> float:
        half, shift = 1 / (2 * noise_multiplier), epsilon * noise_multiplier
        return float(norm.cdf(half - shift) - math.exp(epsilon) * norm.cdf(-half - shift) - delta)

    return float(brentq(excess, 0, 100))


@pytest.mark.parametrize(("noise_multiplier", "times"), [(1.0, 1), (4.0, 1), (20.0, 30), (50.0, 1000)])
def test_without_sampling_epsilon_is_the_analytic_one(noise_multiplier: float, times: int) -> None:
    exact = _analytic_gaussian(noise_multiplier / math.sqrt(times), DELTA)
    found = pld_epsilon({PoissonGaussian(1.0, noise_multiplier): times}, DELTA)
    assert exact <= found <= exact + 0.002


@pytest.mark.parametrize(
    ("noise_multiplier", "q", "steps", "published"),
    [(0.8, 0.01, 100, 1.511), (1.0, 0.01, 1000, 1.828), (1.0, 0.1, 1000, 25.20), (2.0, 0.01, 10_000, 2.163)],
)
def test_known_answers(noise_multiplier: float, q: float, steps: int, published: float) -> None:
    found = pld_epsilon({PoissonGaussian(q, noise_multiplier): steps}, DELTA)
    assert published - 0.005 <= found <= published + 0.01


def test_composition_agrees_with_a_simulation_of_privacy_losses() -> None:
    """delta(epsilon) = E[max(0, 1 - e^(epsilon - loss))] with losses drawn, within two percent."""
    q, z, steps, delta = 0.05, 1.0, 60, 0.01
    rng = np.random.default_rng(0)
    losses = np.zeros(150_000)
    for _ in range(steps):
        x = rng.normal(0, z, len(losses)) + (rng.random(len(losses)) < q)
        losses += np.log1p(q * np.expm1((2 * x - 1) / (2 * z * z)))

    def excess(epsilon: float) -> float:
        return float(np.maximum(0.0, -np.expm1(epsilon - losses)).mean() - delta)

    simulated = float(brentq(excess, 0, 20))
    assert pld_epsilon({PoissonGaussian(q, z): steps}, delta) == pytest.approx(simulated, rel=0.02)


def test_integers_cost_what_the_gaussian_costs_and_never_less() -> None:
    gaussian = pld_epsilon({PoissonGaussian(0.02, 2.0): 100}, DELTA)
    integers = pld_epsilon({PoissonIntegerGaussian(0.02, 1 << 16, 1 << 32, 4, 10_000_000): 100}, DELTA)
    assert gaussian <= integers <= gaussian * 1.001


def test_the_distance_of_narrow_noise_is_taken_from_delta() -> None:
    seen: list[float] = []

    def accountant(events: object, delta: float) -> float:
        seen.append(delta)
        return 1.0

    wide, narrow = (PoissonIntegerGaussian(1.0, 1, variance, 1, 1000) for variance in (1 << 24, 900))
    assert gaussian_epsilon({wide: 1}, DELTA, accountant) == 1.0
    assert gaussian_epsilon({narrow: 1}, DELTA, accountant) == 1.0
    assert seen[-1] <= 0.9 * DELTA < seen[0]
    hopeless = PoissonIntegerGaussian(1.0, 1, 4, 1, 1000)
    assert gaussian_epsilon({hopeless: 1}, DELTA, accountant) == math.inf


def test_different_events_add_up_to_less_than_the_sum_of_their_costs() -> None:
    rounds: dict[Event, int] = {PoissonGaussian(0.01, 1.0): 500}
    metrics: dict[Event, int] = {PoissonGaussian(1.0, 10.0): 3}
    together = pld_epsilon({**rounds, **metrics}, DELTA)
    assert max(pld_epsilon(rounds, DELTA), pld_epsilon(metrics, DELTA)) < together
    assert together < pld_epsilon(rounds, DELTA) + pld_epsilon(metrics, DELTA)


def test_the_order_of_events_does_not_matter() -> None:
    first, second = PoissonGaussian(0.01, 2.0), PoissonGaussian(1.0, 10.0)
    assert pld_epsilon({first: 20, second: 2}, DELTA) == pytest.approx(
        pld_epsilon({second: 2, first: 20}, DELTA), rel=1e-9
    )


@pytest.mark.parametrize("accountant", [pld_epsilon, renyi_bound])
def test_nothing_costs_nothing_and_the_unprotected_everything(accountant: object) -> None:
    assert callable(accountant)
    assert accountant({}, DELTA) == pytest.approx(0.0, abs=1e-9)
    assert accountant({NonPrivate(): 1, PoissonGaussian(0.5, 1.0): 1}, DELTA) == math.inf


def test_small_budgets_are_not_lost_to_the_mesh() -> None:
    found = pld_epsilon({PoissonGaussian(0.001, 2.0): 10_000}, DELTA)
    assert found <= renyi_bound({PoissonGaussian(0.001, 2.0): 10_000}, DELTA) + 0.005


def test_the_larger_figure_counts() -> None:
    assert larger_epsilon({"a": 2.0, "b": 2.03}) == 2.03
    assert larger_epsilon({"a": 2.0, "b": math.inf}) == math.inf


def test_accountants_that_disagree_release_nothing() -> None:
    with pytest.raises(BudgetExhausted, match=r"disagree.*a 2\.0000, b 2\.0500"):
        larger_epsilon({"a": 2.0, "b": 2.05})
    for figures in ({"a": 2.0, "b": math.nan}, {"a": math.nan, "b": 2.0}, {"a": math.nan}):
        with pytest.raises(BudgetExhausted):
            larger_epsilon(figures)
    with pytest.raises(MisuseError):
        larger_epsilon({})


def test_figures_carry_the_names_of_their_accountants() -> None:
    found = epsilons({PoissonGaussian(1.0, 5.0): 1}, DELTA, {"pld": pld_epsilon, "renyi": renyi_bound})
    assert found["pld"] < found["renyi"]


def test_without_amplification_everybody_always_took_part() -> None:
    sampled: dict[Event, int] = {
        PoissonGaussian(0.1, 5.0): 3,
        PoissonGaussian(0.2, 5.0): 2,
        PoissonIntegerGaussian(0.1, 100, 1 << 24, 2, 10): 1,
        NonPrivate(): 1,
    }
    assert without_amplification(sampled) == {
        PoissonGaussian(1.0, 5.0): 5,
        PoissonIntegerGaussian(1.0, 100, 1 << 24, 2, 10): 1,
        NonPrivate(): 1,
    }


@pytest.mark.parametrize("accountant", [pld_epsilon, renyi_bound])
@pytest.mark.parametrize("sampling_probability", [0.05, 1.0])
def test_an_event_of_several_steps_costs_what_as_many_events_cost(
    accountant: Accountant, sampling_probability: float
) -> None:
    once = PoissonIntegerGaussian(sampling_probability, 1 << 16, 1 << 36, 1, 1000)
    rounds: dict[Event, int] = {replace(once, steps=7): 3}
    assert accountant(rounds, DELTA) == pytest.approx(accountant({once: 21}, DELTA), rel=1e-9)
    assert accountant(rounds, DELTA) > 1.5 * accountant({once: 3}, DELTA)


def test_charges_are_counted_by_event() -> None:
    event: Event = PoissonGaussian(0.5, 1.0)
    charges = [Charge("1", "pretraining", event), Charge("2", "metrics", event)]
    assert count_events([*charges, Charge("3", "metrics", NonPrivate())]) == {event: 2, NonPrivate(): 1}


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, math.nan])
def test_refuses_a_useless_delta(delta: float) -> None:
    with pytest.raises(MisuseError, match="delta"):
        pld_epsilon({}, delta)
