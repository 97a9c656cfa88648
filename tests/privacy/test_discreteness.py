import math

import numpy as np
import pytest
from mpmath import erfc, exp, log, mpf, sqrt, workdps

from fecosr.privacy.discreteness import (
    effective_noise_multiplier,
    rounding_divergence,
    sum_distance,
    total_variation,
)
from fecosr.privacy.events import PoissonIntegerGaussian


def _divergence(variance: int) -> float:
    """Return KL(discrete Gaussian || rounded normal of variance less 1/12), summed with sixty digits."""
    with workdps(60):
        scale = sqrt(2 * (mpf(variance) - mpf(1) / 12))
        reach = 15 * math.isqrt(variance) + 20
        weights = [exp(-mpf(x * x) / (2 * variance)) for x in range(reach)]
        total = weights[0] + 2 * sum(weights[1:])
        divergence = mpf(0)
        for x, weight in enumerate(weights):
            rounded = (erfc((x - mpf(1) / 2) / scale) - erfc((x + mpf(1) / 2) / scale)) / 2
            divergence += (1 if x == 0 else 2) * weight / total * log(weight / total / rounded)
        return float(divergence)


@pytest.mark.parametrize("variance", [1, 2, 4, 16, 64, 256])
def test_the_bound_on_the_divergence_holds_and_is_tight(variance: int) -> None:
    exact = _divergence(variance)
    assert exact <= rounding_divergence(variance) <= 1.05 * exact


def test_noise_narrower_than_the_bound_knows_is_not_accounted() -> None:
    assert rounding_divergence(0.5) == math.inf
    assert total_variation([(PoissonIntegerGaussian(1.0, 1, 1, 1, 1), 1)]) < 1
    assert sum_distance(PoissonIntegerGaussian(1.0, 1, 1, 1, 1)) == 0.0


@pytest.mark.parametrize(("variance", "num_shares"), [(1, 2), (1, 5), (2, 3)])
def test_the_law_of_a_sum_is_as_near_to_a_discrete_gaussian_as_the_bound_says(
    variance: int, num_shares: int
) -> None:
    support = np.arange(-60, 61)
    one = np.exp(-(support**2) / (2 * variance))
    law = one / one.sum()
    total = law
    for _ in range(num_shares - 1):
        total = np.convolve(total, law)
    wide = np.arange(-60 * num_shares, 60 * num_shares + 1)
    single = np.exp(-(wide**2) / (2 * num_shares * variance))
    single /= single.sum()
    middle = single > 1e-9
    largest = np.abs(np.log(total[middle] / single[middle])).max()
    assert largest <= sum_distance(PoissonIntegerGaussian(1.0, 1, variance, num_shares, 1))


def test_at_real_sizes_all_of_it_is_negligible() -> None:
    event = PoissonIntegerGaussian(0.01, 1 << 16, 1 << 24, 4, 10_000_000)
    assert sum_distance(event) == 0.0
    assert total_variation([(event, 1000)]) < 1e-12
    assert total_variation([(event, 1000)]) > total_variation([(event, 10)]) > 0


def test_the_effective_noise_is_less_by_a_hair() -> None:
    event = PoissonIntegerGaussian(0.01, 1 << 16, 1 << 30, 4, 10)
    assert effective_noise_multiplier(event) == pytest.approx(1.0, rel=1e-9)
    assert effective_noise_multiplier(event) < 1.0
