"""How far sums of discrete Gaussian shares are from a rounded normal law, to account for them as one.

An integer vector plus the rounded value of a normal N(0, s^2 I) is the rounded output of the Gaussian
mechanism: post-processing, so that whatever holds of the Gaussian mechanism, sampled or not, holds of it. A
discrete Gaussian of parameter v is close to that law with s^2 = v - 1/12, and a sum of n discrete Gaussians
of parameter v is close to a discrete Gaussian of parameter n v. Both distances are added to delta.

Reference: Kairouz, Liu, Steinke 2021, "The Distributed Discrete Gaussian Mechanism for Federated Learning
with Secure Aggregation", Theorem 1 (the sum).
"""

import math
from collections.abc import Iterable
from typing import Final

from fecosr.privacy.events import PoissonIntegerGaussian

_DIVERGENCE_CONSTANT: Final = 1.5e-6
"""KL = 24 / (2 * 2880^2) / v^4 to first order; to 60 digits it is below this multiple of v^-4 from 1 on."""
_SMALLEST_VARIANCE: Final = 1.0
_SAMPLER_DISTANCE: Final = 2.0**-120
"""Of one draw from the law it should have, see `discrete_gaussian.py`."""


def effective_noise_multiplier(event: PoissonIntegerGaussian) -> float:
    """Return the noise multiplier of the Gaussian mechanism that `event` is accounted as."""
    return math.sqrt(event.num_shares * event.share_variance - 1 / 12) / event.clip_units


def total_variation(events: Iterable[tuple[PoissonIntegerGaussian, int]]) -> float:
    """Return a bound on the total variation between what happened and what is accounted.

    Args:
        events: with how often each happened; each may depend on what came before.

    Returns:
        sqrt(KL / 2) over all draws of all events, by the chain rule and Pinsker's inequality, and the
        distances of sum and sampler; 1, which says nothing, where the noise is too narrow.
    """
    divergence = distance = 0.0
    for event, count in events:
        draws = count * event.steps * event.num_parameters
        divergence += draws * rounding_divergence(event.num_shares * event.share_variance)
        distance += draws * (event.num_shares * _SAMPLER_DISTANCE + sum_distance(event))
    return min(1.0, math.sqrt(divergence / 2) + distance)


def rounding_divergence(variance: float) -> float:
    """Return a bound on KL(discrete Gaussian || rounded normal whose variance is less by 1/12)."""
    return _DIVERGENCE_CONSTANT / variance**4 if variance >= _SMALLEST_VARIANCE else math.inf


def sum_distance(event: PoissonIntegerGaussian) -> float:
    """Return a bound on how far the log-law of the sum of shares is from a discrete Gaussian's."""
    return 10 * math.fsum(
        math.exp(-2 * math.pi**2 * event.share_variance * k / (k + 1)) for k in range(1, event.num_shares)
    )
