import math

import pytest

from fecosr.errors import MisuseError
from fecosr.privacy.accounting import EventCounts, pld_epsilon, renyi_bound
from fecosr.privacy.calibration import calibrate_noise_multiplier
from fecosr.privacy.events import NonPrivate, PoissonGaussian


@pytest.mark.parametrize("epsilon", [0.5, 8.0])
def test_the_noise_meets_the_budget_and_a_little_less_would_not(epsilon: float) -> None:
    def planned(noise_multiplier: float) -> EventCounts:
        return {PoissonGaussian(0.05, noise_multiplier): 200, PoissonGaussian(1.0, 30.0): 2}

    found = calibrate_noise_multiplier(
        planned, epsilon=epsilon, delta=1e-5, accountants={"pld": pld_epsilon, "again": pld_epsilon}
    )
    assert pld_epsilon(planned(found), 1e-5) <= epsilon
    assert pld_epsilon(planned(found * 0.995), 1e-5) > epsilon


def test_known_answer_of_the_analytic_gaussian_mechanism() -> None:
    """Balle and Wang 2018: epsilon 1 at delta 1e-5 needs sigma 3.7304; the classic formula takes 4.84."""
    found = calibrate_noise_multiplier(
        lambda z: {PoissonGaussian(1.0, z): 1}, epsilon=1.0, delta=1e-5, accountants={"pld": pld_epsilon}
    )
    assert found == pytest.approx(3.7304, rel=0.003)
    assert found < math.sqrt(2 * math.log(1.25e5))


def test_the_strictest_accountant_decides() -> None:
    found = calibrate_noise_multiplier(
        lambda z: {PoissonGaussian(1.0, z): 1},
        epsilon=5.0,
        delta=1e-5,
        accountants={
            "pld": pld_epsilon,
            "pessimist": lambda events, delta: 1.005 * pld_epsilon(events, delta),
        },
    )
    assert pld_epsilon({PoissonGaussian(1.0, found): 1}, 1e-5) < 5.0 / 1.005 + 1e-9


def test_refuses_a_plan_that_no_noise_makes_affordable() -> None:
    with pytest.raises(MisuseError, match="no noise is enough"):
        calibrate_noise_multiplier(
            lambda z: {PoissonGaussian(1.0, z): 1, NonPrivate(): 1},
            epsilon=1.0,
            delta=1e-5,
            accountants={"renyi": renyi_bound},
        )


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.inf, math.nan])
def test_refuses_a_useless_epsilon(epsilon: float) -> None:
    with pytest.raises(MisuseError, match="epsilon"):
        calibrate_noise_multiplier(lambda _: {}, epsilon=epsilon, delta=1e-5, accountants={})
