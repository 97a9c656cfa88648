"""Where a coordinator's ledger stopped: what it tells a coordinator that starts again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fecosr.federation.aggregation import Vector
from fecosr.federation.ending import best_round
from fecosr.federation.messages import Release
from fecosr.federation.optimisers import OptimiserState
from fecosr.federation.plan import FederationPlan
from fecosr.federation.spending import with_cohort
from fecosr.ids import NodeId
from fecosr.ledger.log import Entry, Log, verify_log
from fecosr.ledger.records import (
    Body,
    NodeConvicted,
    RoundAborted,
    RoundOpened,
    RoundReleased,
    RunAborted,
    RunCompleted,
    RunOpened,
    SketchReleased,
    SurvivorsFixed,
    UnmaskingBegun,
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """Say where a ledger stopped.

    Attributes:
        log: the ledger.
        ending: the coordinator's signature of its last record.
        released: rounds released.
        attempts: attempts already made at the next round.
        model_hash: the current shared model.
        optimiser_state: hash of what the server optimiser remembers; empty before the first release.
        history: what every round released, in order.
        open_attempt: the attempt that was neither released nor aborted; 0: none.
        survivors: whose vectors the open attempt sums up, once that was fixed.
        unmasking: whether the open attempt had asked for shares, so that its sum may have been opened.
        bound_to: whose sum on the current model was opened in an earlier attempt, or may have been.
        last_reason: why the last attempt was aborted; empty when it was released.
        ended: whether the run was completed or given up.
        aborted: why it was given up; empty otherwise.
        charged: in how many attempts each node may have handed in a masked vector.
        convicted: nodes that recorded evidence convicts.
        sketch_hash: the released sum of sketches; None before round 0 released it, and without one.
    """

    log: Log
    ending: bytes
    released: int
    attempts: int
    model_hash: bytes
    optimiser_state: bytes
    history: tuple[Release, ...]
    open_attempt: int
    survivors: tuple[NodeId, ...]
    unmasking: bool
    bound_to: tuple[NodeId, ...]
    last_reason: str
    ended: bool
    aborted: str
    charged: Mapping[NodeId, int] = field(default_factory=dict)
    convicted: frozenset[NodeId] = frozenset()
    sketch_hash: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Hold what a coordinator keeps beside its ledger, which names it by hashes.

    Attributes:
        parameters: float32 [P], the current shared model.
        optimiser_state: what the server optimiser remembers after the round released last.
        best_parameters: float32 [P], the model `best_model` names; None when it names none.
        sketch: float32 [length], the sum that `Replayed.sketch_hash` names; None when it names none.
    """

    parameters: Vector = field(repr=False)
    optimiser_state: OptimiserState
    best_parameters: Vector | None = field(default=None, repr=False)
    sketch: Vector | None = field(default=None, repr=False)


def best_model(plan: FederationPlan, replayed: "Replayed") -> bytes | None:
    """Return the hash of the released model that may become the final one although it is not the last."""
    best = 0 if plan.early_stopping is None else best_round(replayed.history)
    return replayed.history[best - 1].model_hash if best else None


def replay(entries: Iterable[Entry], coordinator_public: bytes) -> Replayed:
    """Return where the ledger stopped, having verified all of it.

    Raises:
        LedgerError: the chain or a signature does not verify.
    """
    entries = tuple(entries)
    replayed = _nothing_yet(verify_log(entries, coordinator_public))
    charged: Mapping[NodeId, int] = {}
    for entry in entries:
        replayed = _after(replayed, entry.body)
        charged = with_cohort(charged, entry.body)
    history = tuple(
        Release(entry.body.model_out, entry.body.validation)
        for entry in entries
        if isinstance(entry.body, RoundReleased)
    )
    convicted = frozenset(entry.body.market for entry in entries if isinstance(entry.body, NodeConvicted))
    return replace(
        replayed,
        history=history,
        ending=entries[-1].signature,
        charged=charged,
        convicted=convicted,
    )


def _nothing_yet(log: Log) -> Replayed:
    return Replayed(
        log=log,
        ending=b"",
        released=0,
        attempts=0,
        model_hash=b"",
        optimiser_state=b"",
        history=(),
        open_attempt=0,
        survivors=(),
        unmasking=False,
        bound_to=(),
        last_reason="",
        ended=False,
        aborted="",
    )


def _after(before: Replayed, body: Body) -> Replayed:
    match body:
        case RunOpened():
            return replace(before, model_hash=body.initial_model_hash)
        case RoundOpened():
            return replace(
                before, attempts=body.attempt, open_attempt=body.attempt, survivors=(), unmasking=False
            )
        case SurvivorsFixed():
            return replace(before, survivors=body.survivors)
        case UnmaskingBegun():
            return replace(before, unmasking=True)
        case RoundReleased() | SketchReleased():
            return _after_release(before, body)
        case RoundAborted():
            bound_to = before.survivors if body.unmasked else before.bound_to
            return replace(
                before, open_attempt=0, unmasking=False, bound_to=bound_to, last_reason=body.reason
            )
        case RunCompleted():
            return replace(before, ended=True)
        case RunAborted():
            return replace(before, ended=True, aborted=body.reason)
        case _:
            return before


def _after_release(before: Replayed, body: RoundReleased | SketchReleased) -> Replayed:
    """Forget what was known of attempts; models and sketches are released in rounds of their own."""
    fresh = _nothing_yet(before.log)
    if isinstance(body, SketchReleased):
        return replace(fresh, model_hash=before.model_hash, sketch_hash=body.sketch_hash)
    return replace(
        fresh,
        released=body.round,
        model_hash=body.model_out,
        optimiser_state=body.optimiser_state,
        sketch_hash=before.sketch_hash,
    )
