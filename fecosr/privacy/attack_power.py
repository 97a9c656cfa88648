"""How likely an attack is to notice a fault: what a passed audit is worth."""

from typing import Final

import numpy as np

from fecosr.privacy.accounting import EventCounts, as_continuous
from fecosr.privacy.empirical import Guesses, guess, refutes
from fecosr.privacy.events import PoissonGaussian
from fecosr.privacy.trade_off import trade_off_of

_SIMULATIONS: Final = 60


def chance_of_noticing(
    events: EventCounts,
    *,
    noise_factor: float,
    num_canaries: int,
    num_guesses: int,
    failure_probability: float,
    rng: np.random.Generator,
) -> float:
    """Return how often canaries that do not disturb each other refute `events` if noise is not as claimed.

    Args:
        events: what is claimed.
        noise_factor: the noise that there is, as a share of what is claimed.
        num_canaries: m.
        num_guesses: r, fixed beforehand.
        failure_probability: of the test.
        rng: of the simulation.
    """
    trade_off = trade_off_of(events)
    noticed = 0
    for _ in range(_SIMULATIONS):
        guesses = _simulated(events, noise_factor, num_canaries, num_guesses, rng)
        noticed += refutes(guesses, trade_off, failure_probability)
    return noticed / _SIMULATIONS


def _simulated(
    events: EventCounts, noise_factor: float, num_canaries: int, num_guesses: int, rng: np.random.Generator
) -> Guesses:
    included = rng.random(num_canaries) < 0.5
    scores = np.zeros(num_canaries)
    for event, count in as_continuous(events).items():
        if isinstance(event, PoissonGaussian):
            taken = rng.binomial(count, event.sampling_probability, num_canaries) * included
            stddev = noise_factor * event.noise_multiplier * np.sqrt(count)
            scores += taken + stddev * rng.normal(size=num_canaries)
    return guess(scores, included, num_guesses)
