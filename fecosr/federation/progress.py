"""What a coordinator knows between two rounds, and how its ledger tells it again after a crash."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from fecosr.crypto.signatures import SigningKey
from fecosr.federation.aggregation import Vector
from fecosr.federation.cohort import Roster, invited
from fecosr.federation.ending import Schedule, best_round
from fecosr.federation.messages import Release
from fecosr.federation.optimisers import OptimiserState, ServerStep
from fecosr.federation.plan import FederationPlan
from fecosr.ids import NodeId
from fecosr.ledger.log import Entry, Head, append, genesis, verify_chain
from fecosr.ledger.records import (
    Body,
    CohortFixed,
    CoordinatorRestarted,
    PrivacyTerms,
    RoundAborted,
    RoundOpened,
    RoundReleased,
    RunAborted,
    RunCompleted,
    RunOpened,
    SurvivorsFixed,
    UnmaskingBegun,
)

COORDINATOR_RESTARTED: Final = "coordinator_restarted"
"""Why an attempt is aborted whose coordinator died."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """Hold what survives from round to round.

    Attributes:
        head: end of the ledger.
        previous: hash of the last record but one.
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
        excluded: nodes convicted of breaking an attempt, by evidence or by more than max_colluding accusers.
        charged: in how many attempts each node may have handed in a masked vector, for whatever came of it.
    """

    head: Head
    previous: bytes
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
    charged: Mapping[NodeId, int] = field(default_factory=dict)

    def joined(self, node: NodeId) -> "Progress":
        """Return the progress with `node` connected."""
        absent = {name: since for name, since in self.absent_since.items() if name != node}
        return replace(self, connected=self.connected | {node}, absent_since=absent)

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

    def with_final_model(self, schedule: Schedule) -> "Progress":
        """Return the progress with the final model in place of the current one."""
        final = self.history[schedule.final_round(self.history) - 1]
        if final.model_hash == self.model_hash or self.best_parameters is None:
            return self
        return replace(self, parameters=self.best_parameters, model_hash=final.model_hash)

    def recorded(self, body: Body, key: SigningKey) -> tuple[Entry, "Progress"]:
        """Return the signed ledger entry for `body` and the progress after it."""
        entry, head = append(self.head, body, key)
        charged = with_cohort(self.charged, body)
        return entry, replace(self, head=head, previous=entry.previous, charged=charged)


@dataclass(frozen=True, slots=True)
class Replayed:
    """Say where a ledger stopped.

    Attributes:
        head: end of the ledger.
        previous: hash of the last record but one.
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
    """

    head: Head
    previous: bytes
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


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Hold what a coordinator keeps beside its ledger, which names it by hashes.

    Attributes:
        parameters: float32 [P], the current shared model.
        optimiser_state: what the server optimiser remembers after the round released last.
        best_parameters: float32 [P], the model `best_model` names; None when it names none.
    """

    parameters: Vector = field(repr=False)
    optimiser_state: OptimiserState
    best_parameters: Vector | None = field(default=None, repr=False)


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
    replayed = _nothing_yet(verify_chain(entries, coordinator_public))
    charged: Mapping[NodeId, int] = {}
    for entry in entries:
        replayed = _after(replayed, entry.body)
        charged = with_cohort(charged, entry.body)
    history = tuple(
        Release(entry.body.model_out, entry.body.validation)
        for entry in entries
        if isinstance(entry.body, RoundReleased)
    )
    return replace(replayed, history=history, previous=entries[-1].previous, charged=charged)


def with_cohort(charged: Mapping[NodeId, int], body: Body) -> Mapping[NodeId, int]:
    """Return how often nodes may have handed in a vector, after one more record.

    Nobody makes masks before the cohort is fixed, and that record is stored before anybody hears of it.
    """
    if not isinstance(body, CohortFixed):
        return charged
    added = {advert.client: charged.get(advert.client, 0) + 1 for advert in body.adverts}
    return {**charged, **added}


def _nothing_yet(head: Head) -> Replayed:
    return Replayed(
        head=head,
        previous=b"",
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
        case RoundReleased():
            return replace(
                _nothing_yet(before.head),
                released=body.round,
                model_hash=body.model_out,
                optimiser_state=body.optimiser_state,
            )
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


def privacy_terms(plan: FederationPlan) -> PrivacyTerms:
    """Return what a run under `plan` promises its users."""
    if plan.privacy is None:
        return PrivacyTerms("none", "user", "add_or_remove_one", plan.clip_norm, None, None)
    return PrivacyTerms(
        mode="distributed",
        privacy_unit=plan.privacy.privacy_unit,
        neighboring_relation=plan.privacy.neighboring_relation,
        clip_norm=plan.privacy.clip_norm,
        epsilon=plan.privacy.epsilon,
        delta=plan.privacy.delta,
    )


def opening(
    setup: CoordinatorSetup, parameters: Vector, model_hash: bytes, now: float
) -> tuple[Entry, Progress]:
    """Return the first ledger entry of a run and the progress after it."""
    plan = setup.plan
    body = RunOpened(
        run=plan.run,
        plan_hash=plan.hash(),
        plan_json=plan.text,
        roster=setup.roster.nodes,
        coordinator=setup.key.public,
        version=setup.version,
        initial_model_hash=model_hash,
        num_parameters=len(parameters),
        privacy=privacy_terms(plan),
    )
    kept = Kept(parameters, plan.server.init(len(parameters)))
    return _empty(setup, genesis(plan.run), kept, model_hash, now).recorded(body, setup.key)


def returning(
    setup: CoordinatorSetup, replayed: Replayed, kept: Kept, now: float
) -> tuple[tuple[Entry, ...], Progress]:
    """Return the entries a coordinator appends when it comes back, and the progress after them.

    A round that was open is aborted: its keys died with the process, so it is tried again with fresh ones.
    """
    progress = replace(
        _empty(setup, replayed.head, kept, replayed.model_hash, now),
        released=replayed.released,
        attempts=replayed.attempts,
        history=replayed.history,
        previous=replayed.previous,
        charged=replayed.charged,
        bound_to=frozenset(replayed.survivors if replayed.unmasking else replayed.bound_to),
    )
    if replayed.ended:
        return (), progress
    number = replayed.released + 1 if replayed.attempts else replayed.released
    restarted, progress = progress.recorded(CoordinatorRestarted(number, replayed.attempts), setup.key)
    if not replayed.open_attempt:
        return (restarted,), progress
    aborted, progress = progress.recorded(
        RoundAborted(
            round=replayed.released + 1,
            attempt=replayed.open_attempt,
            reason=COORDINATOR_RESTARTED,
            detail="The coordinator stopped during this attempt.",
            unmasked=replayed.unmasking,
        ),
        setup.key,
    )
    return (restarted, aborted), progress


def _empty(setup: CoordinatorSetup, head: Head, kept: Kept, model_hash: bytes, now: float) -> Progress:
    return Progress(
        head=head,
        previous=b"",
        released=0,
        attempts=0,
        parameters=kept.parameters,
        model_hash=model_hash,
        optimiser_state=kept.optimiser_state,
        history=(),
        best_parameters=kept.best_parameters,
        connected=frozenset(),
        finished=frozenset(),
        absent_since=dict.fromkeys(setup.roster.nodes, now),
    )
