import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from fecosr.privacy.events import NonPrivate, PoissonGaussian, PoissonIntegerGaussian
from fecosr.privacy.renyi import ORDERS, renyi_curve, renyi_epsilon


@pytest.mark.parametrize(("q", "z"), [(0.01, 1.0), (0.2, 0.7), (0.5, 3.0)])
@pytest.mark.parametrize("order", [2, 5, 16])
def test_the_sampled_curve_is_the_integral_it_stands_for(q: float, z: float, order: int) -> None:
    def integrand(x: float) -> float:
        log_ratio = math.log((1 - q) + q * math.exp((2 * x - 1) / (2 * z * z)))
        return math.exp(norm.logpdf(x, scale=z) + order * log_ratio)

    moment, _ = quad(integrand, -12 * z, order + 12 * z, limit=400)
    found = renyi_curve(PoissonGaussian(q, z))[ORDERS.index(order)]
    assert found == pytest.approx(math.log(moment) / (order - 1), rel=1e-5)


def test_without_sampling_the_curve_is_a_line() -> None:
    assert np.allclose(renyi_curve(PoissonGaussian(1.0, 2.0)), np.array(ORDERS) / 8)
    integers = PoissonIntegerGaussian(1.0, 1 << 16, 1 << 32, 4, 1000)
    assert np.allclose(renyi_curve(integers), np.array(ORDERS) / 8)


def test_discrete_noise_behind_sampling_is_charged_the_bound_for_any_mechanism() -> None:
    continuous = renyi_curve(PoissonGaussian(0.01, 1.0))
    discrete = renyi_curve(PoissonIntegerGaussian(0.01, 1 << 16, 1 << 30, 4, 1000))
    assert (discrete >= continuous - 1e-12).all()
    assert discrete[0] == pytest.approx(continuous[0], rel=1e-6)


def test_narrow_shares_cost_more_than_a_single_wide_one() -> None:
    """A sum of very narrow discrete Gaussians is not one: the bound must say so."""
    narrow = renyi_curve(PoissonIntegerGaussian(1.0, 1, 1, 4, 1000))
    assert (narrow > np.array(ORDERS) / 8 * 1.05).all()


@pytest.mark.parametrize(
    ("q", "z", "steps", "published"),
    [
        # Opacus' Renyi accountant at delta 1e-5.
        (0.01, 1.0, 1000, 2.101),
        (0.1, 1.0, 1000, 27.16),
        (0.01, 2.0, 10_000, 2.353),
    ],
)
def test_epsilon_is_what_renyi_accountants_publish(q: float, z: float, steps: int, published: float) -> None:
    assert renyi_epsilon({PoissonGaussian(q, z): steps}, 1e-5) == pytest.approx(published, rel=0.005)


def test_the_moments_accountant_of_2016_is_not_far_above() -> None:
    """Abadi et al. 2016, section 4: q = 0.01, sigma = 4, 10,000 steps, delta 1e-5 gave epsilon 1.26."""
    epsilon = renyi_epsilon({PoissonGaussian(0.01, 4.0): 10_000}, 1e-5)
    assert 0.95 < epsilon < 1.26


def test_what_is_not_private_is_unbounded() -> None:
    assert renyi_epsilon({PoissonGaussian(0.01, 4.0): 1, NonPrivate(): 1}, 1e-5) == math.inf
