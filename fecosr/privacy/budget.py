"""The privacy budget of one market, as a filter: what would exceed it does not begin.

    charge -> admit -> store the charge -> open the round

A charge counts from the moment it is stored, whether or not anything was released afterwards: so whatever
dies in between, spending is never under-counted. It is taken back only where the market itself sent nothing.

Parameters of all charges must stand in the plan before the first one, because accountants of privacy loss
distributions do not hold for parameters chosen in view of earlier outputs. Reference: Rogers et al. 2016,
"Privacy Odometers and Filters"; Whitehouse et al. 2023, "Fully Adaptive Composition in Differential Privacy".
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from fecosr.errors import BudgetExhausted, MisuseError
from fecosr.privacy.accounting import Accountant, check_delta, count_events, epsilons
from fecosr.privacy.bounds import Bounds
from fecosr.privacy.events import Charge, Event

MOST_CHARGES: Final = 1 << 20
"""As many as anybody will ever ask for."""

PrivacyUnit = Literal["user"]
NeighboringRelation = Literal["add_or_remove_one"]


@dataclass(frozen=True, slots=True)
class Budget:
    """Fix what one market is ready to spend on its users, and on what.

    Attributes:
        market: whose users.
        epsilon: at most so much.
        delta: at this delta; below one divided by the number of users, see `check_covers`.
        planned: every event that may ever be charged.
        privacy_unit: whose data two neighbouring data sets differ in.
        neighboring_relation: how they differ.

    Raises:
        MisuseError: a value is out of range.
    """

    market: str
    epsilon: float
    delta: float
    planned: frozenset[Event]
    privacy_unit: PrivacyUnit
    neighboring_relation: NeighboringRelation

    def __post_init__(self) -> None:
        check_delta(self.delta)
        if not 0 < self.epsilon < math.inf:
            raise MisuseError("epsilon must be positive and finite")

    def check_covers(self, num_users: int) -> None:
        """Refuse a delta at which handing out one user in full could count as private.

        Raises:
            MisuseError: delta times the number of users is 1 or more.
        """
        if self.delta * num_users >= 1:
            raise MisuseError(
                f"{self.market}: with {num_users} users, delta must be below {1 / num_users:.3g}"
            )


@dataclass(frozen=True, slots=True)
class Charged:
    """Record that a charge was admitted; it is stored before anything happens."""

    charge: Charge


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Record that nothing that depends on users left the market under the charge of this name.

    Only the market itself can know that: it sent no masked vector for the attempt, nor anything else.
    """

    name: str


BudgetRecord = Charged | TakenBack


@dataclass(frozen=True, slots=True)
class Spending:
    """Hold what a market has spent: a function of its records and of nothing else.

    Attributes:
        charges: in force, by name.
        taken_back: names that were used and cost nothing; they are not used again.
    """

    charges: Mapping[str, Charge] = field(default_factory=dict)
    taken_back: frozenset[str] = frozenset()

    def after(self, record: BudgetRecord) -> "Spending":
        """Return the spending after one more record.

        Reading a record twice changes nothing, so a crash between writing and acting needs no care.

        Raises:
            MisuseError: a name that was charged for another event, or taken back, or one that is not known.
        """
        return replay([record], self)

    def epsilons(self, delta: float, accountants: Mapping[str, Accountant]) -> dict[str, float]:
        """Return what was spent, by each accountant."""
        return epsilons(count_events(self.charges.values()), delta, accountants)


def replay(records: Iterable[BudgetRecord], before: Spending | None = None) -> Spending:
    """Return the spending that a market's records tell, over its budget or not: what happened, happened.

    Args:
        records: in their order.
        before: what was spent before them, if anything.

    Raises:
        MisuseError: the records contradict each other.
    """
    charges = dict(before.charges) if before else {}
    taken_back = set(before.taken_back) if before else set()
    for record in records:
        match record:
            case Charged(charge):
                if charge.name in taken_back or charges.get(charge.name, charge) != charge:
                    raise MisuseError(f"{charge.name!r} was charged before")
                charges[charge.name] = charge
            case TakenBack(name) if name not in taken_back:
                if name not in charges:
                    raise MisuseError(f"{name!r} was never charged")
                del charges[name]
                taken_back.add(name)
    return Spending(charges, frozenset(taken_back))


def admit(
    budget: Budget, spending: Spending, charge: Charge, accountants: Mapping[str, Accountant]
) -> Charged:
    """Return the record that must be stored before the charged event begins.

    Args:
        budget: of the market.
        spending: so far.
        charge: what is about to happen.
        accountants: which must agree; the largest figure counts.

    Raises:
        BudgetExhausted: the event is not in the plan, or all charges together would cost more than the
            budget, or the accountants disagree. Spending is as it was.
        MisuseError: the name was charged before.
    """
    if charge.name in spending.charges or charge.name in spending.taken_back:
        raise MisuseError(f"{charge.name!r} was charged before")
    if charge.event not in budget.planned:
        raise BudgetExhausted(f"{budget.market}: {charge.name} is not what the plan foresees")
    record = Charged(charge)
    counts = count_events(spending.after(record).charges.values())
    bounds = Bounds.of(budget.epsilon, budget.delta, accountants)
    if not bounds.allow(counts):
        epsilon = bounds.epsilon(counts)
        raise BudgetExhausted(
            f"{budget.market}: {charge.name} would bring epsilon to {epsilon:.4g} at delta {budget.delta:g}; "
            f"the budget is {budget.epsilon:.4g}"
        )
    return record


def most_charges(budget: Budget, event: Event, accountants: Mapping[str, Accountant]) -> int:
    """Return how often one event may happen, when nothing else does, before it would pass the budget."""
    bounds = Bounds.of(budget.epsilon, budget.delta, accountants)

    def is_within(count: int) -> bool:
        return bounds.epsilon({event: count}) <= budget.epsilon

    if not is_within(1):
        return 0
    enough, too_many = 1, 2
    while too_many <= MOST_CHARGES and is_within(too_many):
        enough, too_many = too_many, 2 * too_many
    while too_many - enough > 1:
        middle = (enough + too_many) // 2
        enough, too_many = (middle, too_many) if is_within(middle) else (enough, middle)
    return enough
