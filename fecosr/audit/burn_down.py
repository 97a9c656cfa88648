"""How a budget was spent, sum by sum: what was charged after each, up to the figure that counts."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from fecosr.audit.costs import Cost
from fecosr.privacy.accounting import pld_epsilon

MOST_POINTS: Final = 24
"""Accountants are slow, and a curve is seen no better with more."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Say what a market's users had been charged after some of the sums.

    Attributes:
        sums: how many.
        record: the ledger's record of the last of them.
        epsilon: of all of them together.
    """

    sums: int
    record: int
    epsilon: float


def burn_down(cost: Cost, delta: float) -> tuple[Spent, ...]:
    """Return what was charged after evenly chosen sums, the last of them included.

    On the way one accountant is asked; the end is the larger figure of all, which no point may exceed.
    """
    total = len(cost.bookings)
    counts = sorted({max(1, round(total * step / MOST_POINTS)) for step in range(1, MOST_POINTS + 1)})
    points = []
    for count in (count for count in counts if count < total):
        events = Counter(booking.event for booking in cost.bookings[:count])
        epsilon = min(pld_epsilon(events, delta), cost.epsilon)
        points.append(Spent(count, cost.bookings[count - 1].record, epsilon))
    if total:
        points.append(Spent(total, cost.bookings[-1].record, cost.epsilon))
    return tuple(points)
