"""Find the noise with which everything that is planned costs no more than a budget."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from scipy.optimize import brentq

from fecosr.errors import MisuseError
from fecosr.privacy.accounting import Accountant, EventCounts, epsilons, larger_epsilon, renyi_bound

_LARGEST: Final = 2.0**20
_SMALLEST: Final = 2.0**-7
_PRECISION: Final = 5e-4
_TINY: Final = 1e-12


def calibrate_noise_multiplier(
    planned: Callable[[float], EventCounts],
    *,
    epsilon: float,
    delta: float,
    accountants: Mapping[str, Accountant],
) -> float:
    """Return the smallest noise_multiplier, to one part in a thousand, with which a plan is within a budget.

    Args:
        planned: all events of the plan, from the noise_multiplier; more noise never costs more.
        epsilon: of the budget.
        delta: of the budget.
        accountants: whose figures must agree; the largest is kept within `epsilon`.

    Raises:
        MisuseError: no noise suffices, since something else in the plan costs too much, or a useless epsilon.
    """
    if not 0 < epsilon < math.inf:
        raise MisuseError("epsilon must be positive and finite")

    def excess(log_noise: float) -> float:
        # Far from the budget accountants need not agree; only the noise that is returned must convince all.
        figures = epsilons(planned(math.exp(log_noise)), delta, accountants)
        return math.log(max(*figures.values(), _TINY)) - math.log(epsilon)

    enough = _enough_after_renyi(planned, epsilon, delta)
    while excess(math.log(enough)) > 0:
        enough = _doubled(enough)
    too_little = enough / 2.0
    while excess(math.log(too_little)) <= 0:
        too_little /= 2.0
        if too_little < _SMALLEST:
            return enough
    found = math.exp(brentq(excess, math.log(too_little), math.log(enough), xtol=_PRECISION))
    while not larger_epsilon(epsilons(planned(found), delta, accountants)) <= epsilon:
        found *= 1.0 + _PRECISION
    return found


def _enough_after_renyi(planned: Callable[[float], EventCounts], epsilon: float, delta: float) -> float:
    """Return noise that our own bound, quick and a little too high, is content with."""
    noise_multiplier = 1.0
    while renyi_bound(planned(noise_multiplier), delta) > epsilon:
        noise_multiplier = _doubled(noise_multiplier)
    while noise_multiplier > _SMALLEST and renyi_bound(planned(noise_multiplier / 2.0), delta) <= epsilon:
        noise_multiplier /= 2.0
    return noise_multiplier


def _doubled(noise_multiplier: float) -> float:
    if noise_multiplier > _LARGEST:
        raise MisuseError("no noise is enough: something else in the plan costs more than the budget")
    return 2.0 * noise_multiplier
