"""What a coordinator knows between two rounds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fecosr.crypto.signatures import SigningKey
from fecosr.federation.aggregation import Vector
from fecosr.federation.cohort import Roster, invited
from fecosr.federation.ending import Schedule, best_round
from fecosr.federation.messages import Release
from fecosr.federation.optimisers import OptimiserState, ServerStep
from fecosr.federation.plan import FederationPlan
from fecosr.federation.sketch import SKETCH_ROUND
from fecosr.federation.spending import with_cohort
from fecosr.ids import NodeId
from fecosr.ledger.checkpoint import Growth, growth
from fecosr.ledger.log import Entry, Log, append
from fecosr.ledger.records import Body


@dataclass(frozen=True, slots=True)
class CoordinatorSetup:
    """Hold what the coordinator was provisioned with."""

    plan: FederationPlan
    roster: Roster
    key: SigningKey = field(repr=False)
    version: str

    def invited(self, round_number: int) -> frozenset[NodeId]:
        """Return the markets that are invited to a round."""
        return invited(self.plan.run, round_number, self.roster, self.plan.participation)

    def next_round(self, released: int, sketch_hash: bytes | None) -> int:
        """Return the round that follows when so many have been released, and this sketch or none."""
        is_due = self.plan.sketch is not None and sketch_hash is None
        return SKETCH_ROUND if is_due else released + 1


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """Hold what survives from round to round.

    Attributes:
        log: the ledger.
        ending: the coordinator's signature of its last record.
        released: rounds released so far.
        attempts: attempts already made at the next round.
        parameters: float32 [P], the current shared model.
        model_hash: its name.
        optimiser_state: what the server optimiser remembers.
        history: what every round released, in order.
        best_parameters: float32 [P], the released model with the best validation metric so far; None when
            there is none, or nobody will ask for it.
        connected: nodes with an open connection.
        finished: nodes that hold the final model.
        absent_since: when each node that is not connected was last seen, in driver seconds.
        bound_to: the nodes a retry must be over, as their sum on this model may have been opened; empty: any.
        sketch: float32 [length], the sum of the markets' behaviour sketches; None before round 0 released it.
        sketch_hash: its name.
        excluded: nodes that recorded evidence convicts.
        charged: in how many attempts each node may have handed in a masked vector, for whatever came of it.
        spent: nodes whose own accounts allow no further sum, as they said themselves.
        shown: how many records each connected node was shown last, from which the next proof starts.
    """

    log: Log
    ending: bytes
    released: int
    attempts: int
    parameters: Vector = field(repr=False)
    model_hash: bytes
    optimiser_state: OptimiserState
    history: tuple[Release, ...]
    best_parameters: Vector | None = field(repr=False)
    connected: frozenset[NodeId]
    finished: frozenset[NodeId]
    absent_since: Mapping[NodeId, float]
    bound_to: frozenset[NodeId] = frozenset()
    excluded: frozenset[NodeId] = frozenset()
    sketch: Vector | None = field(default=None, repr=False)
    sketch_hash: bytes | None = None
    charged: Mapping[NodeId, int] = field(default_factory=dict)
    spent: frozenset[NodeId] = frozenset()
    shown: Mapping[NodeId, int] = field(default_factory=dict)

    def joined(self, node: NodeId, shown: int = 0) -> "Progress":
        """Return the progress with `node` connected, which was `shown` so many records before."""
        absent = {name: since for name, since in self.absent_since.items() if name != node}
        shown_to = {**self.shown, node: shown}
        return replace(self, connected=self.connected | {node}, absent_since=absent, shown=shown_to)

    def left(self, node: NodeId, now: float) -> "Progress":
        """Return the progress with `node` gone; one that was never let in cannot go."""
        if node not in self.connected:
            return self
        return replace(self, connected=self.connected - {node}, absent_since={**self.absent_since, node: now})

    def with_release(self, release: Release, step: ServerStep, schedule: Schedule) -> "Progress":
        """Return the progress after a round that released this model."""
        history = (*self.history, release)
        # The round measured the model it started from.
        is_best = schedule.early_stopping is not None and best_round(history) == len(history) - 1 > 0
        return replace(
            self,
            released=len(history),
            attempts=0,
            bound_to=frozenset(),
            parameters=step.parameters,
            model_hash=release.model_hash,
            optimiser_state=step.state,
            history=history,
            best_parameters=self.parameters if is_best else self.best_parameters,
        )

    def with_sketch(self, sketch: Vector, sketch_hash: bytes) -> "Progress":
        """Return the progress after round 0 released this sum of sketches."""
        return replace(self, attempts=0, bound_to=frozenset(), sketch=sketch, sketch_hash=sketch_hash)

    def with_final_model(self, schedule: Schedule) -> "Progress":
        """Return the progress with the final model in place of the current one."""
        final = self.history[schedule.final_round(self.history) - 1]
        if final.model_hash == self.model_hash or self.best_parameters is None:
            return self
        return replace(self, parameters=self.best_parameters, model_hash=final.model_hash)

    def recorded(self, body: Body, key: SigningKey) -> tuple[Entry, "Progress"]:
        """Return the signed ledger entry for `body` and the progress after it."""
        entry, log = append(self.log, body, key)
        charged = with_cohort(self.charged, body)
        return entry, replace(self, log=log, ending=entry.signature, charged=charged)

    def growths(self, nodes: Iterable[NodeId], key: SigningKey) -> tuple[Mapping[NodeId, Growth], "Progress"]:
        """Return the head of the ledger as it is to be shown to each of `nodes`, and the progress after that.

        Each is proved to continue the head that its node was shown last.
        """
        shown = {node: growth(self.log, self.shown.get(node, 0), key) for node in nodes}
        sizes = dict.fromkeys(shown, self.log.size)
        return shown, replace(self, shown={**self.shown, **sizes})
