"""What the verified records of a run say about it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fecosr.audit.convictions import ProvedConviction
from fecosr.audit.costs import Cost
from fecosr.audit.plan_terms import PlanTerms
from fecosr.audit.sketch import SketchCheck
from fecosr.audit.story import OpenedSum
from fecosr.audit.witnesses import Vouched
from fecosr.ids import NodeId
from fecosr.ledger.records import RunOpened


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Hold what the verified records say about a run.

    Attributes:
        opened: the record that opened it.
        plan: the values of its plan that matter here.
        num_records: records that verify.
        rounds: rounds released.
        redone: rounds whose next model was made again from the opened sum.
        aborted: attempts aborted.
        is_completed: whether its last record says so.
        sums: for every market, in how many sums that were opened its update is.
        signed: for every market, how many records of the ledger it signed, by whose copy.
        costs: for every market what its users were charged; empty in mode "none".
        convictions: who was convicted of wrong shares, by evidence that verified.
        released: every released sum, in order.
        sketch: what became of the sum of behaviour sketches, if one was released.
    """

    opened: RunOpened
    plan: PlanTerms
    num_records: int
    rounds: int
    redone: int
    aborted: int
    is_completed: bool
    sums: Mapping[NodeId, int]
    signed: Mapping[NodeId, Vouched]
    costs: Mapping[NodeId, Cost] = field(default_factory=dict)
    convictions: tuple[ProvedConviction, ...] = ()
    released: tuple[OpenedSum, ...] = ()
    sketch: SketchCheck = field(default_factory=SketchCheck)

    @property
    def vouched(self) -> Mapping[NodeId, int]:
        """Return for how many records each market vouches."""
        return {market: signed.records for market, signed in self.signed.items()}

    @property
    def spent(self) -> float | None:
        """Return the largest epsilon of any market; None where nothing bounds it."""
        largest = max((cost.epsilon for cost in self.costs.values()), default=math.inf)
        return largest if math.isfinite(largest) else None
