import math

import numpy as np
import pytest
from scipy.stats import norm

from fecosr.errors import MisuseError
from fecosr.privacy.empirical import (
    Guesses,
    error_bounds,
    gaussian_epsilon_of,
    gaussian_epsilon_refuted,
    guess,
    neighbour_epsilon,
    one_run_epsilon,
)

P = 0.05


def test_with_every_guess_right_the_bound_is_what_luck_allows() -> None:
    """Without delta, r right guesses have chance (e^eps / (1 + e^eps))^r; at five percent this is eps."""
    for made in (10, 100, 1000):
        luck = P ** (1 / made)
        found = one_run_epsilon(Guesses(2 * made, made, made), 0.0, P)
        assert found == pytest.approx(math.log(luck / (1 - luck)), abs=1e-6)


def test_fair_coins_refute_nothing() -> None:
    coins = Guesses(1000, 500, 250)
    assert one_run_epsilon(coins, 1e-5, P) == 0.0
    assert gaussian_epsilon_refuted(coins, 1e-5, P) == 0.0
    assert one_run_epsilon(Guesses(10, 10, 0), 1e-5, P) == 0.0


def test_more_correct_guesses_refute_more_and_a_larger_delta_less() -> None:
    bounds = [one_run_epsilon(Guesses(1000, 300, correct), 1e-5, P) for correct in (150, 200, 250, 300)]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[-1]
    few, many = (one_run_epsilon(Guesses(1000, 300, 290), delta, P) for delta in (1e-2, 1e-8))
    assert few < many


@pytest.mark.parametrize(("epsilon", "made"), [(1.0, 400), (4.0, 400)])
def test_randomised_response_is_hardly_ever_accused(epsilon: float, made: int) -> None:
    """The mechanism for which the bound is tight: each canary's coin, told rightly with chance of epsilon."""
    rng = np.random.default_rng(0)
    right = 1 / (1 + math.exp(-epsilon))
    found = [one_run_epsilon(Guesses(made, made, int(rng.binomial(made, right))), 0.0, P) for _ in range(200)]
    assert np.mean(np.array(found) > epsilon) <= 0.1
    assert np.median(found) > 0.7 * epsilon


@pytest.mark.parametrize("mu", [0.5, 1.0, 2.0])
def test_the_gaussian_form_accuses_no_gaussian_and_sees_more(mu: float) -> None:
    rng = np.random.default_rng(1)
    accused, sees_more = 0, 0
    for _ in range(40):
        coins = rng.random(1000) < 0.5
        guesses = guess(rng.normal(size=1000) + mu * coins, coins, 332)
        refuted = gaussian_epsilon_refuted(guesses, 1e-5, P)
        accused += refuted > gaussian_epsilon_of(mu, 1e-5)
        sees_more += refuted >= one_run_epsilon(guesses, 1e-5, P)
    assert accused == 0
    assert sees_more == 40


def test_guesses_look_at_both_ends_only() -> None:
    scores = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    included = np.array([True, False, False, True, True])
    assert guess(scores, included, 4) == Guesses(5, 4, 2)
    assert guess(scores, included, 2) == Guesses(5, 2, 2)


def test_a_user_told_from_their_absence_is_seen_and_noise_is_not() -> None:
    rng = np.random.default_rng(2)
    without = rng.normal(size=4000)
    assert neighbour_epsilon(rng.normal(size=4000), without, 1e-5, P) < 0.3
    assert neighbour_epsilon(rng.normal(size=4000) + 1.0, without, 1e-5, P) < gaussian_epsilon_of(1.0, 1e-5)
    assert neighbour_epsilon(rng.normal(size=4000) + 50.0, without, 1e-5, P) > 5.0


def test_scores_far_apart_are_never_confused() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        alarm, miss = error_bounds(rng.normal(size=24) + 30.0, rng.normal(size=24), P)
        # Of twelve not one: the bound at half of five percent.
        assert alarm == miss == pytest.approx(1 - 0.025 ** (1 / 12))


def test_epsilon_of_a_gaussian_is_the_root_of_its_definition() -> None:
    epsilon = gaussian_epsilon_of(1.0, 1e-5)
    delta = norm.cdf(0.5 - epsilon) - math.exp(epsilon) * norm.cdf(-0.5 - epsilon)
    assert delta == pytest.approx(1e-5, rel=1e-6)
    assert epsilon == pytest.approx(4.3774, abs=1e-3)
    assert gaussian_epsilon_of(0.0, 1e-5) == gaussian_epsilon_of(1e-6, 1e-5) == 0.0


@pytest.mark.parametrize("numbers", [(10, 11, 5), (10, 5, 6), (10, 5, -1), (10, 0, 0)])
def test_refuses_numbers_that_cannot_be(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(MisuseError):
        Guesses(*numbers)


@pytest.mark.parametrize("num_guesses", [0, 3, 6])
def test_refuses_guesses_that_cannot_be_made(num_guesses: int) -> None:
    with pytest.raises(MisuseError):
        guess(np.zeros(5), np.zeros(5, np.bool_), num_guesses)


def test_refuses_runs_that_do_not_pair() -> None:
    with pytest.raises(MisuseError):
        neighbour_epsilon(np.zeros(3), np.zeros(4), 1e-5, P)
