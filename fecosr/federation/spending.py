"""What private rounds cost: a node's own filter, and the coordinator's tally from its ledger.

A node charges every attempt it takes part in before it trains, and takes a charge back only as long as it has
sent no masked vector for it. What it does not know for sure after a crash, it has spent.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from fecosr.errors import BudgetExhausted, MisuseError, ProtocolViolation
from fecosr.federation.messages import RoundManifest
from fecosr.federation.plan import FederationPlan
from fecosr.federation.private_rounds import mechanism_of
from fecosr.federation.user_privacy import UserPrivacy
from fecosr.ids import COORDINATOR, NodeId
from fecosr.ledger.records import Body, CohortFixed
from fecosr.privacy.accounting import Accountant, pld_epsilon
from fecosr.privacy.budget import Budget, Charged, Spending, admit, most_charges
from fecosr.privacy.events import Charge, Event

BUDGET_SPENT: Final = "privacy_budget_spent"
"""Why a run is given up whose markets may not be asked any more."""
BUDGET_REFUSED: Final = "the round would pass this market's privacy budget"
"""Why a node withdraws from an attempt that it cannot afford; the coordinator asks it for no other."""


def charge_name(round_number: int, attempt: int) -> str:
    """Return the name under which an attempt is charged, once for ever."""
    return f"round {round_number} attempt {attempt}"


def charge_attempt(
    me: NodeId,
    privacy: UserPrivacy,
    spending: Spending,
    manifest: RoundManifest,
    accountants: Mapping[str, Accountant],
) -> Charged:
    """Return the record of what an attempt costs; it must be stored before this node trains for it.

    Args:
        me: this market.
        privacy: of the plan.
        spending: of this market so far, by its own records.
        manifest: of the attempt, already checked against the plan.
        accountants: whose figures must agree; the largest counts.

    Raises:
        ProtocolViolation: the market's budget does not allow it, whatever the coordinator says it does.
    """
    mechanism = mechanism_of(manifest, privacy)
    charge = Charge(charge_name(manifest.round, manifest.attempt), "pretraining", privacy.event(mechanism))
    try:
        return admit(privacy.budget(me, mechanism), spending, charge, accountants)
    except BudgetExhausted:
        rule = BUDGET_REFUSED
    except MisuseError:
        rule = "the attempt was charged before"
    raise ProtocolViolation(COORDINATOR, "round_task", rule)


def affordable_sums(plan: FederationPlan, num_parameters: int, num_nodes: int) -> int | None:
    """Return in how many sums one market may take part; None: in any number, for nothing is promised.

    By the accountant that needs no torch. Nodes ask a second one as well, and refuse by themselves.
    """
    mechanism = plan.mechanism(num_parameters, num_nodes)
    if plan.privacy is None or mechanism is None:
        return None
    # The budget is alike in all markets; its name only tells refusals apart.
    budget = plan.privacy.budget(NodeId("market"), mechanism)
    return _affordable(budget, plan.privacy.event(mechanism))


def with_cohort(charged: Mapping[NodeId, int], body: Body) -> Mapping[NodeId, int]:
    """Return how often nodes may have handed in a vector, after one more record.

    Nobody makes masks before the cohort is fixed, and that record is stored before anybody hears of it.
    """
    if not isinstance(body, CohortFixed):
        return charged
    added = {advert.client: charged.get(advert.client, 0) + 1 for advert in body.adverts}
    return {**charged, **added}


@cache
def _affordable(budget: Budget, event: Event) -> int:
    return most_charges(budget, event, {"pld": pld_epsilon})
