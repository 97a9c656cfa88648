"""From events to epsilon: independent accountants say what they cost, and the larger figure counts.

Google's accountant of privacy loss distributions stands here. Opacus' stands in
`fecosr/training/accounting.py`, because it brings torch along, which the coordinator must not load.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fecosr.errors import BudgetExhausted, MisuseError
from fecosr.privacy.discreteness import effective_noise_multiplier, total_variation
from fecosr.privacy.events import (
    Charge,
    Event,
    NonPrivate,
    PoissonGaussian,
    PoissonIntegerGaussian,
)
from fecosr.privacy.renyi import renyi_epsilon

EventCounts = Mapping[Event, int]
Accountant = Callable[[EventCounts, float], float]
"""Return epsilon of all events together, at a delta; never less than the truth."""

_COARSE: Final = 1e-3
_FINE: Final = 2e-4
"""Meshes of privacy loss distributions. A coarser one is quicker and never too low; where epsilon is small it
would be far too high, and there the distributions are narrow, so that the fine one is quick as well."""
_FINE_BELOW: Final = 0.25
_ABSOLUTE_TOLERANCE: Final = 0.02
_RELATIVE_TOLERANCE: Final = 0.01
_RESERVES: Final = (1e-6, 1e-3, 0.1, 0.5)
"""Parts of delta that may be set aside for the discreteness of the noise, where there is any."""


def count_events(charges: Iterable[Charge]) -> dict[Event, int]:
    """Return how often each event stands among `charges`."""
    return dict(Counter(charge.event for charge in charges))


def gaussian_epsilon(events: EventCounts, delta: float, accountant: Accountant) -> float:
    """Return epsilon by an accountant that knows continuous noise only.

    Every integer event is accounted as the Gaussian mechanism it is close to. For a distance t in total
    variation, (epsilon, delta) of that one is (epsilon, delta + (1 + e^epsilon) t) of what happened.
    """
    check_delta(delta)
    if any(isinstance(event, NonPrivate) for event in events):
        return math.inf
    integer_events = [(event, n) for event, n in events.items() if isinstance(event, PoissonIntegerGaussian)]
    distance = total_variation(integer_events)
    continuous = as_continuous(events)
    if distance == 0.0:
        return accountant(continuous, delta)
    needed = 0.0
    for reserve in _RESERVES:
        # A larger reserve leaves less of delta, so that epsilon and what it needs only grow.
        if needed > reserve * delta:
            continue
        epsilon = accountant(continuous, delta * (1.0 - reserve))
        if epsilon > 700:
            return math.inf
        needed = (1.0 + math.exp(epsilon)) * distance
        if needed <= reserve * delta:
            return epsilon
    return math.inf


def as_continuous(events: EventCounts) -> EventCounts:
    """Return the events with continuous normal noise in place of integers; what that leaves out is tiny."""
    continuous = Counter[Event]()
    for event, count in events.items():
        mechanism, steps = _continuous(event)
        continuous[mechanism] += count * steps
    return continuous


def pld_deltas(
    events: EventCounts, epsilons_at: npt.NDArray[np.float64], mesh: float
) -> npt.NDArray[np.float64]:
    """Return delta at each epsilon, by privacy loss distributions; never less than the truth.

    Raises:
        MisuseError: an event is not of continuous noise.
    """
    total = _composed(events, mesh)
    if total is None:
        raise MisuseError("only events of continuous noise have a privacy loss distribution")
    return np.asarray(total.get_delta_for_epsilon(epsilons_at), np.float64)


def pld_epsilon(events: EventCounts, delta: float) -> float:
    """Return epsilon by privacy loss distributions, computed by Google's dp_accounting.

    Reference: Doroshenko et al. 2022, "Connect the Dots: Tighter Discrete Approximations of Privacy Loss
    Distributions".
    """
    return gaussian_epsilon(events, delta, _pld_of_gaussians)


def renyi_bound(events: EventCounts, delta: float) -> float:
    """Return epsilon by our own Renyi accountant, which reads integer events as they are."""
    check_delta(delta)
    return renyi_epsilon(events, delta) if events else 0.0


def epsilons(events: EventCounts, delta: float, accountants: Mapping[str, Accountant]) -> dict[str, float]:
    """Return epsilon by each accountant, by its name."""
    return {name: float(accountant(events, delta)) for name, accountant in accountants.items()}


def larger_epsilon(figures: Mapping[str, float]) -> float:
    """Return the largest of what independent accountants found, having checked that they agree.

    Raises:
        MisuseError: there are no figures.
        BudgetExhausted: they differ by more than 0.02 and one percent, so that none is to be trusted.
    """
    if not figures:
        raise MisuseError("there is no accountant")
    lowest, highest = min(figures.values()), max(figures.values())
    if highest == math.inf:
        return highest
    is_number = not any(math.isnan(epsilon) for epsilon in figures.values())
    if not is_number or highest - lowest > _ABSOLUTE_TOLERANCE + _RELATIVE_TOLERANCE * highest:
        found = ", ".join(f"{name} {epsilon:.4f}" for name, epsilon in sorted(figures.items()))
        raise BudgetExhausted(f"the accountants disagree about epsilon: {found}; nothing more is released")
    return highest


def without_amplification(events: EventCounts) -> EventCounts:
    """Return the events as if every user had taken part in every one: what holds if coins became known."""
    found = Counter[Event]()
    for event, count in events.items():
        found[event if isinstance(event, NonPrivate) else replace(event, sampling_probability=1.0)] += count
    return found


def check_delta(delta: float) -> None:
    """Refuse a delta outside (0, 1).

    Raises:
        MisuseError: see above.
    """
    if not 0.0 < delta < 1.0:
        raise MisuseError("delta must be above 0 and below 1")


def _continuous(event: Event) -> tuple[Event, int]:
    """Return the continuous mechanism that an event is accounted as, and how often it happened in it."""
    if isinstance(event, PoissonIntegerGaussian):
        return PoissonGaussian(event.sampling_probability, effective_noise_multiplier(event)), event.steps
    return event, 1


def _pld_of_gaussians(events: EventCounts, delta: float) -> float:
    epsilon = _pld_with_mesh(events, delta, _COARSE)
    return epsilon if epsilon > _FINE_BELOW else _pld_with_mesh(events, delta, _FINE)


def _pld_with_mesh(events: EventCounts, delta: float, mesh: float) -> float:
    total = _composed(events, mesh)
    return math.inf if total is None else float(total.get_epsilon_for_delta(delta))


def _composed(events: EventCounts, mesh: float) -> Any:
    """Return the privacy loss distribution of all events; None where there is none."""
    # Imported where it is used: it takes a second, and most processes never account for anything.
    from dp_accounting.pld import privacy_loss_distribution as pld  # noqa: PLC0415

    total = pld.identity(value_discretization_interval=mesh)
    for event, count in events.items():
        match event:
            case PoissonGaussian(1.0, noise_multiplier):
                part = pld.from_gaussian_mechanism(
                    noise_multiplier / math.sqrt(count), value_discretization_interval=mesh
                )
            case PoissonGaussian(sampling_probability, noise_multiplier):
                part = pld.from_gaussian_mechanism(
                    noise_multiplier, sampling_prob=sampling_probability, value_discretization_interval=mesh
                ).self_compose(count)
            case _:
                return None
        total = total.compose(part)
    return total
