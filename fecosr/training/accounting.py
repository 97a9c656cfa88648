"""Opacus' accountant of privacy loss, behind the same interface as ours; its first figure loads torch.

Accountants of Gaussian differential privacy are left out for good: they under-report epsilon by up to a half.
"""

import math
import warnings
from collections.abc import Mapping
from typing import Final

import numpy as np

from fecosr.privacy.accounting import Accountant, EventCounts, gaussian_epsilon, pld_epsilon
from fecosr.privacy.events import PoissonGaussian

_EPSILON_ERROR: Final = 0.01


def prv_epsilon(events: EventCounts, delta: float) -> float:
    """Return epsilon by privacy random variables, computed by Opacus.

    Reference: Gopi, Lee, Wutschitz 2021, "Numerical Composition of Differential Privacy".
    """
    return gaussian_epsilon(events, delta, _prv_of_gaussians)


ACCOUNTANTS: Final[Mapping[str, Accountant]] = {"pld": pld_epsilon, "prv": prv_epsilon}
"""Two independent accountants; the larger figure counts."""


def _prv_of_gaussians(events: EventCounts, delta: float) -> float:
    # Imported here: it takes seconds, and a party without private rounds never asks.
    from opacus.accountants import PRVAccountant  # noqa: PLC0415

    accountant = PRVAccountant()
    for event, count in events.items():
        match event:
            case PoissonGaussian(1.0, noise_multiplier):
                # Without sampling, releases of one sum are together one release with less noise.
                accountant.history.append((noise_multiplier / math.sqrt(count), 1.0, 1))
            case PoissonGaussian(sampling_probability, noise_multiplier):
                accountant.history.append((noise_multiplier, sampling_probability, count))
            case _:
                return math.inf
    if not accountant.history:
        return 0.0
    # Without sampling it takes the logarithm of zero at places that it does not use.
    # That its bound on the domain could be tighter is of no interest to anybody.
    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Optimal order is the largest alpha")
        return float(accountant.get_epsilon(delta, eps_error=_EPSILON_ERROR))
