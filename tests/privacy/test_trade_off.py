from functools import partial

import numpy as np
import pytest

from fecosr.errors import MisuseError
from fecosr.privacy.accounting import EventCounts, pld_epsilon
from fecosr.privacy.empirical import gaussian_epsilon_refuted, guess, refutes
from fecosr.privacy.events import NonPrivate, PoissonGaussian
from fecosr.privacy.trade_off import epsilon_refuted, gaussian_trade_off, trade_off_of, with_noise

GAUSSIAN: EventCounts = {PoissonGaussian(1.0, 2.0): 4}
"""The same as one Gaussian mechanism whose sensitivity is one standard deviation."""
SAMPLED: EventCounts = {PoissonGaussian(0.5, 2.0): 8}


def test_the_trade_off_of_a_gaussian_is_found_and_never_promises_more() -> None:
    ours, exact = trade_off_of(GAUSSIAN), gaussian_trade_off(1.0)
    for alarm in (0.001, 0.01, 0.1, 0.3, 0.5, 0.9):
        assert exact(alarm) - 0.01 < ours(alarm) <= exact(alarm) + 1e-9


def test_a_trade_off_falls_and_is_convex_and_its_own_inverse() -> None:
    ours = trade_off_of(SAMPLED)
    alarms = np.linspace(0.001, 0.999, 200)
    misses = np.array([ours(alarm) for alarm in alarms])
    assert np.all(np.diff(misses) <= 0)
    assert np.all(np.diff(misses, 2) >= -1e-9)
    for alarm in (0.05, 0.2, 0.4):
        assert ours(ours(alarm)) == pytest.approx(alarm, abs=0.01)


def test_sampling_hides_more_than_the_same_sums_of_everybody() -> None:
    everybody = trade_off_of({PoissonGaussian(1.0, 2.0): 8})
    assert trade_off_of(SAMPLED)(0.1) > everybody(0.1) + 0.1


def test_for_a_gaussian_the_bound_is_the_one_in_closed_form() -> None:
    rng = np.random.default_rng(0)
    coins = rng.random(1000) < 0.5
    guesses = guess(rng.normal(size=1000) + 1.5 * coins, coins, 200)
    found = epsilon_refuted(GAUSSIAN, 1e-5, lambda trade_off: refutes(guesses, trade_off, 0.05))
    assert found == pytest.approx(gaussian_epsilon_refuted(guesses, 1e-5, 0.05), rel=0.02)
    assert found > 0


def test_the_bound_passes_the_claim_just_where_the_claim_is_refuted() -> None:
    rng = np.random.default_rng(1)
    claimed = pld_epsilon(SAMPLED, 1e-5)
    verdicts = set()
    for shift in (0.3, 0.8, 1.2, 1.6, 2.5):
        coins = rng.random(800) < 0.5
        guesses = guess(rng.normal(size=800) + shift * coins, coins, 160)
        found = epsilon_refuted(SAMPLED, 1e-5, partial(refutes, guesses, failure_probability=0.05))
        is_refuted = refutes(guesses, trade_off_of(SAMPLED), 0.05)
        verdicts.add(is_refuted)
        assert (found > claimed) == is_refuted
    assert verdicts == {True, False}


def test_what_refutes_everything_or_nothing_has_bounds_too() -> None:
    assert epsilon_refuted(GAUSSIAN, 1e-5, lambda _trade_off: False) == 0.0
    assert epsilon_refuted(GAUSSIAN, 1e-5, lambda _trade_off: True) > 30.0


def test_refuses_what_claims_nothing() -> None:
    with pytest.raises(MisuseError):
        with_noise({NonPrivate(): 1}, 2.0)
    with pytest.raises(MisuseError):
        trade_off_of({NonPrivate(): 1})
