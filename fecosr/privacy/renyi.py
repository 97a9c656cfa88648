"""Our own Renyi accountant: the curve of each event at integer orders, added up, and turned into epsilon.

It needs nothing but numpy, and of the discrete mechanism it says what is proven without taking it for a
rounded normal law. It is looser than the others, so it stands beside them as an upper bound.

Reference: Mironov, Talwar, Zhang 2019, "Renyi Differential Privacy of the Sampled Gaussian Mechanism",
section 3.3; Zhu, Wang 2019, "Poisson Subsampled Renyi Differential Privacy", Theorem 5 (any mechanism);
Kairouz, Liu, Steinke 2021, "The Distributed Discrete Gaussian Mechanism", Theorem 1 (sums of shares);
Canonne, Kamath, Steinke 2020, "The Discrete Gaussian for Differential Privacy", Proposition 12 (conversion).
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.privacy.discreteness import sum_distance
from fecosr.privacy.events import Event, NonPrivate, PoissonGaussian, PoissonIntegerGaussian

ORDERS: Final = (*range(2, 65), 72, 80, 96, 128, 192, 256, 384, 512, 1024)
Curve = npt.NDArray[np.float64]
"""Renyi divergences at ORDERS, float64 [number of orders]."""


def renyi_epsilon(events: Mapping[Event, int], delta: float) -> float:
    """Return epsilon at `delta` of all events together, each as often as its count says."""
    total = np.zeros(len(ORDERS))
    for event, count in events.items():
        total = total + count * renyi_curve(event)
    return _epsilon(total, delta)


def renyi_curve(event: Event) -> Curve:
    """Return the curve of one event under adding or removing one user."""
    match event:
        case PoissonGaussian(q, z):
            return _of_orders(lambda order: _sampled_gaussian(order, q, z))
        case PoissonIntegerGaussian():
            once = _integer_curve(event)
            return event.steps * _of_orders(lambda order: _sampled(order, event.sampling_probability, once))
        case NonPrivate():
            return np.full(len(ORDERS), np.inf)


def _of_orders(divergence: Callable[[int], float]) -> Curve:
    return np.array([divergence(order) for order in ORDERS])


def _integer_curve(event: PoissonIntegerGaussian) -> Callable[[int], float]:
    """Return the curve of a sum of shares without sampling: that of a Gaussian, and what the sum adds."""
    tau, length = sum_distance(event), event.num_parameters
    ratio = event.clip_units / math.sqrt(event.num_shares * event.share_variance)
    squared = min(ratio**2 + tau * length / 2, (ratio + tau * math.sqrt(length)) ** 2)
    return lambda order: order * squared / 2


def _sampled_gaussian(order: int, q: float, z: float) -> float:
    if q == 1.0:
        return order / (2 * z**2)
    k = np.arange(order + 1)
    return _log_sum(_log_binomial(order, q) + k * (k - 1) / (2 * z**2)) / (order - 1)


def _sampled(order: int, q: float, curve: Callable[[int], float]) -> float:
    """Return the divergence of any mechanism behind Poisson sampling, from its curve without sampling."""
    if q == 1.0:
        return curve(order)
    k = np.arange(order + 1)
    grown = np.array([0.0, 0.0, *((index - 1) * curve(index) for index in range(2, order + 1))])
    factor = np.where(k < 3, 0.0, math.log(3.0))
    # The terms of none and one, (1 - q)^(a - 1) (1 + (a - 1) q), are those of k = 0 and 1 together.
    return _log_sum(_log_binomial(order, q) + grown + factor) / (order - 1)


def _log_binomial(order: int, q: float) -> Curve:
    """Return the logarithms of C(order, k) q^k (1 - q)^(order - k) for every k."""
    choose = [
        math.lgamma(order + 1) - math.lgamma(k + 1) - math.lgamma(order - k + 1) for k in range(order + 1)
    ]
    k = np.arange(order + 1)
    logs: Curve = np.array(choose) + k * math.log(q) + (order - k) * math.log1p(-q)
    return logs


def _log_sum(logs: Curve) -> float:
    largest = float(logs.max())
    return largest + math.log(float(np.exp(logs - largest).sum()))


def _epsilon(curve: Curve, delta: float) -> float:
    orders = np.array(ORDERS)
    epsilons = curve + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(epsilons.min()))
