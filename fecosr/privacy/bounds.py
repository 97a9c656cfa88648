"""Remember what accountants said and ask them ahead of need: they are slow, and a run asks before each round.

More events never cost less. So a count of events whose larger figure is within the budget vouches for every
smaller count, and one that is beyond it stands against every larger. What is asked is therefore not only what
is about to be charged but up to twice as much: a run of n rounds asks some log(n) times instead of n times.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from fecosr.errors import BudgetExhausted
from fecosr.privacy.accounting import Accountant, EventCounts, epsilons, larger_epsilon
from fecosr.privacy.events import Event

_AHEAD: Final = (2.0, 1.5, 1.25, 1.125, 1.0625, 1.03125)
"""How far ahead of need it is worth asking, as multiples of what is needed; the first that may be within."""
_MOST_BUDGETS: Final = 64
_Counts = frozenset[tuple[Event, int]]


class Bounds:
    """Answer whether events are within one budget, exactly as asking all accountants every time would.

    Guarantees:
        What is allowed costs at most what the larger figure of the accountants for it, or for more than it,
        says, and they agreed about that figure. What is refused was asked about itself.
    """

    def __init__(self, epsilon: float, delta: float, accountants: Mapping[str, Accountant]) -> None:
        self._budget, self._delta, self._accountants = epsilon, delta, accountants
        self._within: list[EventCounts] = []
        self._beyond: list[EventCounts] = []
        self._answers: dict[_Counts, float] = {}

    @staticmethod
    def of(epsilon: float, delta: float, accountants: Mapping[str, Accountant]) -> "Bounds":
        """Return the bounds of one budget, with what was found out about it in this process before."""
        return _bounds(epsilon, delta, tuple(sorted(accountants.items())))

    def epsilon(self, counts: EventCounts) -> float:
        """Return the larger figure of the accountants.

        Raises:
            BudgetExhausted: they disagree.
        """
        asked = frozenset(counts.items())
        if asked not in self._answers:
            self._answers[asked] = larger_epsilon(epsilons(counts, self._delta, self._accountants))
        return self._answers[asked]

    def allow(self, counts: EventCounts) -> bool:
        """Return whether all these events together are within the budget.

        Raises:
            BudgetExhausted: the accountants disagree about them.
        """
        if any(_covers(known, counts) for known in self._within):
            return True
        return self._is_within(self._ahead(counts)) or self._ask(counts)

    def _ahead(self, counts: EventCounts) -> EventCounts:
        """Return the most events beyond `counts` that may still be within; `counts` where none may."""
        for factor in _AHEAD:
            more = {event: int(count * factor) for event, count in counts.items()}
            if not any(_covers(more, known) for known in self._beyond):
                return more
        return counts

    def _is_within(self, counts: EventCounts) -> bool:
        try:
            return self._ask(counts)
        except BudgetExhausted:
            # They need not agree about what does not happen.
            return False

    def _ask(self, counts: EventCounts) -> bool:
        is_within = self.epsilon(counts) <= self._budget
        (self._within if is_within else self._beyond).append(counts)
        return is_within


@lru_cache(maxsize=_MOST_BUDGETS)
def _bounds(epsilon: float, delta: float, accountants: tuple[tuple[str, Accountant], ...]) -> Bounds:
    return Bounds(epsilon, delta, dict(accountants))


def _covers(more: EventCounts, counts: EventCounts) -> bool:
    return all(more.get(event, 0) >= count for event, count in counts.items())
