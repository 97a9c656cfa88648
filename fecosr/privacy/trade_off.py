"""Trade-offs: the least chance of a miss that a mechanism leaves at each chance of a false alarm.

    f(alpha) = max over epsilon of  1 - delta - e^epsilon alpha  and  e^-epsilon (1 - delta - alpha)

It says more than one pair of epsilon and delta, so an attack that refutes it need not be as strong.

Reference: Dong, Roth, Su 2022, "Gaussian Differential Privacy", Proposition 2.12.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from fecosr.errors import MisuseError
from fecosr.privacy.accounting import EventCounts, as_continuous, pld_deltas, pld_epsilon
from fecosr.privacy.events import Event, PoissonGaussian

TradeOff = Callable[[float], float]
"""Return the least chance of a miss at a chance of a false alarm."""

_MESH: Final = 1e-2
_EPSILONS: Final = np.concatenate([np.linspace(0.0, 6.0, 241), np.linspace(6.1, 30.0, 240)])
"""A claim that is read at fewer places says less, so nobody is accused for it."""
_LEAST_NOISE, _MOST_NOISE = 1 / 8, 64.0
"""Of the plans that a bound on epsilon is looked for among, in multiples of the noise that was claimed."""
_STEPS: Final = 18


def gaussian_trade_off(mu: float) -> TradeOff:
    """Return the trade-off of a Gaussian mechanism whose sensitivity is `mu` standard deviations."""
    return lambda alarm: float(ndtr(ndtri(1.0 - alarm) - mu))


def trade_off_of(events: EventCounts) -> TradeOff:
    """Return a trade-off that all events together keep; the truth is at least as private."""
    deltas = pld_deltas(as_continuous(events), _EPSILONS, _MESH)
    factors = np.exp(_EPSILONS)

    def misses(alarm: float) -> float:
        steep, flat = 1.0 - deltas - factors * alarm, (1.0 - deltas - alarm) / factors
        return max(0.0, float(steep.max()), float(flat.max()))

    return misses


def epsilon_refuted(events: EventCounts, delta: float, refutes: Callable[[TradeOff], bool]) -> float:
    """Return the epsilon that an attack refutes; 0 if it refutes none.

    It is that of the least noisy plan that is refuted, among plans that differ from `events` in the noise
    alone: so the figure exceeds that of `events` just where these are refuted.

    Args:
        events: that were claimed.
        delta: at which epsilon is stated.
        refutes: whether the attack is too good for a trade-off.
    """
    low, high = math.log(_LEAST_NOISE), math.log(_MOST_NOISE)
    if not refutes(trade_off_of(with_noise(events, _MOST_NOISE))):
        return 0.0
    if refutes(trade_off_of(with_noise(events, _LEAST_NOISE))):
        return pld_epsilon(with_noise(events, _LEAST_NOISE), delta)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if refutes(trade_off_of(with_noise(events, math.exp(middle)))):
            high = middle
        else:
            low = middle
    return pld_epsilon(with_noise(events, math.exp(high)), delta)


def with_noise(events: EventCounts, factor: float) -> EventCounts:
    """Return the events with so many times their noise.

    Raises:
        MisuseError: an event has none.
    """
    changed: dict[Event, int] = {}
    for event, count in as_continuous(events).items():
        if not isinstance(event, PoissonGaussian):
            raise MisuseError("an event without noise claims nothing")
        changed[replace(event, noise_multiplier=event.noise_multiplier * factor)] = count
    return changed
