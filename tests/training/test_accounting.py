import math

import pytest

from fecosr.privacy.accounting import larger_epsilon, pld_epsilon, renyi_bound
from fecosr.privacy.calibration import calibrate_noise_multiplier
from fecosr.privacy.events import Event, NonPrivate, PoissonGaussian, PoissonIntegerGaussian
from fecosr.training.accounting import ACCOUNTANTS, prv_epsilon

DELTA = 1e-5


@pytest.mark.parametrize(
    ("noise_multiplier", "q", "steps", "published"),
    [(0.8, 0.01, 100, 1.521), (1.0, 0.01, 1000, 1.838), (1.0, 0.1, 1000, 25.22), (2.0, 0.01, 10_000, 2.173)],
)
def test_known_answers(noise_multiplier: float, q: float, steps: int, published: float) -> None:
    assert prv_epsilon({PoissonGaussian(q, noise_multiplier): steps}, DELTA) == pytest.approx(
        published, abs=0.005
    )


SETTINGS = [
    (noise_multiplier, q, steps)
    for noise_multiplier in (0.6, 1.0, 3.0)
    for q in (0.005, 0.1, 1.0)
    for steps in (1, 50, 2000)
    # Beyond that there is no guarantee worth computing.
    if renyi_bound({PoissonGaussian(q, noise_multiplier): steps}, DELTA) < 25
]


@pytest.mark.parametrize(("noise_multiplier", "q", "steps"), SETTINGS)
def test_independent_accountants_agree_below_our_own_bound(
    noise_multiplier: float, q: float, steps: int
) -> None:
    events: dict[Event, int] = {PoissonGaussian(q, noise_multiplier): steps}
    counted = larger_epsilon({name: accountant(events, DELTA) for name, accountant in ACCOUNTANTS.items()})
    assert counted <= renyi_bound(events, DELTA) + 0.02


def test_they_agree_on_a_whole_run() -> None:
    """Sketches, pretraining in integers, metrics and a rerun of one round, composed."""
    events: dict[Event, int] = {
        PoissonGaussian(1.0, 25.0): 1,
        PoissonIntegerGaussian(0.05, 1 << 17, 1 << 33, 2, 100_000): 201,
        PoissonGaussian(1.0, 40.0): 10,
    }
    figures = {name: accountant(events, DELTA) for name, accountant in ACCOUNTANTS.items()}
    assert larger_epsilon(figures) <= renyi_bound(events, DELTA) + 0.02


def test_the_gaussian_accountant_that_under_reports_is_not_there() -> None:
    assert set(ACCOUNTANTS) == {"pld", "prv"}


def test_nothing_costs_nothing_and_the_unprotected_everything() -> None:
    assert prv_epsilon({}, DELTA) == 0.0
    assert prv_epsilon({NonPrivate(): 1}, DELTA) == math.inf


def test_noise_is_calibrated_to_the_larger_figure() -> None:
    found = calibrate_noise_multiplier(
        lambda z: {PoissonGaussian(0.02, z): 300}, epsilon=2.0, delta=DELTA, accountants=ACCOUNTANTS
    )
    events: dict[Event, int] = {PoissonGaussian(0.02, found): 300}
    assert pld_epsilon(events, DELTA) <= prv_epsilon(events, DELTA) <= 2.0
