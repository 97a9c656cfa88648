import numpy as np

from fecosr.privacy.accounting import EventCounts
from fecosr.privacy.attack_power import chance_of_noticing
from fecosr.privacy.events import PoissonGaussian

EVENTS: EventCounts = {PoissonGaussian(1.0, 2.0): 4}


def _chance(noise_factor: float, num_canaries: int) -> float:
    return chance_of_noticing(
        EVENTS,
        noise_factor=noise_factor,
        num_canaries=num_canaries,
        num_guesses=2 * (num_canaries // 10),
        failure_probability=0.05,
        rng=np.random.default_rng(0),
    )


def test_noise_as_claimed_is_hardly_ever_accused() -> None:
    assert _chance(1.0, 500) <= 0.05


def test_larger_faults_and_more_canaries_are_noticed_more_often() -> None:
    assert _chance(0.75, 200) < _chance(0.5, 200) < _chance(0.25, 200)
    assert _chance(0.5, 200) < _chance(0.5, 800)
    assert _chance(0.25, 800) == 1.0
