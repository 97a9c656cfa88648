"""A market node's side of a run: check the task, train, take part in the sum, keep the final model.

    Idle -> Training -> Ready -> Aggregating -> Idle -> ... -> Closing -> Done

A node that loses the coordinator forgets its session, because keys are used once. It keeps the finished
update: a retry of the round on the same model contributes the same update under fresh masks, so that two
attempts never show two different updates of one market.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fecosr.errors import LedgerError, ProtocolViolation
from fecosr.federation.contribution import (
    NodeSetup,
    Trained,
    begin_session,
    check_invited,
    check_run_closed,
    check_same_nodes,
    check_task,
)
from fecosr.federation.effects import (
    AttemptClaimed,
    CheckpointKept,
    FineTune,
    KeepFinalModel,
    NodeOutgoing,
    NodeRecord,
    Observed,
    ReleaseSeen,
    StartSession,
    SumOpened,
    ToCoordinator,
    TrainLocally,
)
from fecosr.federation.memory import Memory, charged, take_back
from fecosr.federation.messages import (
    CoordinatorMessage,
    Finished,
    FromClient,
    FromServer,
    Hello,
    Rejected,
    Release,
    RoundClosed,
    RoundManifest,
    RoundTask,
    RunClosed,
)
from fecosr.federation.private_rounds import PrivateContribution
from fecosr.ids import COORDINATOR, NodeId
from fecosr.ledger.checkpoint import Checkpoint, verify_checkpoint
from fecosr.privacy.budget import BudgetRecord
from fecosr.secagg import client as secagg
from fecosr.secagg.messages import MaskedInput, Phase, ServerMessage, Withdrawal
from fecosr.secagg.rules import Rule
from fecosr.transition import Transition

ENTROPY_BYTES: Final = 32
"""How much fresh entropy a session starts with."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Wait for a task."""

    setup: NodeSetup
    memory: Memory


@dataclass(frozen=True, slots=True)
class Training:
    """Wait for the driver to train on the model `model_hash`.

    Attributes:
        manifest: the attempt to contribute to; None once that attempt is over and no new one has come.
    """

    setup: NodeSetup
    memory: Memory
    model_hash: bytes
    manifest: RoundManifest | None

    def trained(self, result: Trained) -> "NodeTransition":
        """Keep the finished update and, if an attempt still wants it, ask for the entropy to start with.

        Training that diverged contributes nothing: an update that is not finite cannot be bounded. A private
        contribution is never kept: it is for one attempt, and the next one has users and noise of its own.
        """
        if isinstance(result, PrivateContribution):
            return self._contribute(self.memory, result)
        if not (np.isfinite(result.update).all() and math.isfinite(result.loss)):
            return self.failed("the update is not finite")
        if result.validation is not None and not 0.0 <= result.validation <= 1.0:
            return self.failed("the validation metric is not in 0 .. 1")
        return self._contribute(replace(self.memory, trained=result), result)

    def failed(self, reason: str) -> "NodeTransition":
        """Give the training up for a named reason, and let the attempt go on without this node."""
        outbox: tuple[NodeOutgoing, ...] = (Observed("training_failed", {"reason": reason}),)
        if self.manifest is not None:
            leave = FromClient(self.manifest.round, self.manifest.attempt, Withdrawal(reason))
            outbox = (*outbox, ToCoordinator(leave))
        memory, taken_back = take_back(self.memory)
        return Transition(Idle(self.setup, memory), taken_back, outbox)

    def _contribute(self, memory: Memory, result: Trained) -> "NodeTransition":
        if self.manifest is None or result.model_hash != self.manifest.model_hash:
            return Transition(Idle(self.setup, memory))
        state = Ready(self.setup, memory, self.manifest, result)
        return Transition(state, outbox=(StartSession(self.manifest),))


@dataclass(frozen=True, slots=True)
class Ready:
    """Wait for fresh entropy to start the secure aggregation with."""

    setup: NodeSetup
    memory: Memory
    manifest: RoundManifest
    trained: Trained

    def start_session(self, entropy: bytes) -> "NodeTransition":
        """Mask nothing yet: advertise fresh keys, derived from 32 bytes that are used for nothing else."""
        step = begin_session(self.setup, self.manifest, self.trained, entropy)
        return _adopt(self.setup, self.memory, self.manifest, step)


@dataclass(frozen=True, slots=True)
class Aggregating:
    """Take part in the secure aggregation of one attempt."""

    setup: NodeSetup
    memory: Memory
    manifest: RoundManifest
    client: secagg.ClientState

    def receive(self, message: ServerMessage) -> "NodeTransition":
        """Pass on a message of this attempt, unless it leads to a second, different sum over the model."""
        if not isinstance(self.client, secagg.RunningClient):
            raise ProtocolViolation(COORDINATOR, Phase.UNMASK, Rule.LATE)
        check_invited(self.setup, self.manifest, message)
        check_same_nodes(self.setup.me, self.manifest, self.memory.opened, message)
        return _adopt(self.setup, self.memory, self.manifest, self.client.receive(message))


@dataclass(frozen=True, slots=True)
class Closing:
    """Wait for the driver to fetch and store the final model."""

    setup: NodeSetup
    memory: Memory
    model_hash: bytes

    def final_model_kept(self) -> "NodeTransition":
        """Tell the coordinator that it need not wait for this node, and turn to the market's own model."""
        done = ToCoordinator(Finished(self.model_hash))
        return Transition(Done(), outbox=(done, FineTune(self.model_hash)))


@dataclass(frozen=True, slots=True)
class Refused:
    """Stop: the coordinator does not accept this node, and only an operator can change that."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """Stop: the final model is here."""


Listening = Idle | Training | Ready | Aggregating | Closing
NodeState = Listening | Refused | Done
NodeTransition = Transition[NodeState, NodeRecord, NodeOutgoing]


def connected(state: Listening) -> NodeTransition:
    """Introduce this node to the coordinator it just reached."""
    plan = state.setup.plan
    hello = Hello(plan.run, plan.hash(), state.setup.version)
    following, taken_back = _without_session(state)
    return Transition(following, taken_back, (ToCoordinator(hello),))


def disconnected(state: Listening) -> NodeTransition:
    """Forget the session, if there is one; training goes on, its result may serve the next attempt."""
    following, taken_back = _without_session(state)
    return Transition(following, taken_back)


def receive(state: Listening, message: CoordinatorMessage) -> NodeTransition:
    """Act on a message of the coordinator.

    A breach by the coordinator or through it ends the session, not the node: it withdraws, names the broken
    rule in its log, and reveals nothing further.
    """
    try:
        return _receive(state, message)
    except ProtocolViolation as violation:
        if violation.rule == Rule.LATE:
            # What the network repeats or delays is nobody's fault.
            return _late(state, message)
        return _withdraw(state, message, violation)


def _receive(state: Listening, message: CoordinatorMessage) -> NodeTransition:
    match message:
        case RoundTask():
            return _take(state, message)
        case FromServer():
            return _serve(state, message)
        case RoundClosed():
            return _close_round(state, message)
        case RunClosed(checkpoint=checkpoint, model_hash=model_hash):
            check_run_closed(state.setup, state.memory.models, state.memory.releases, message)
            kept = _keep(state, checkpoint)
            closing = Closing(state.setup, state.memory, model_hash)
            return Transition(closing, (kept,), (KeepFinalModel(model_hash),))
        case Rejected(reason=reason):
            return Transition(Refused(reason), outbox=(Observed("rejected", {"reason": reason}),))


def _take(state: Listening, task: RoundTask) -> NodeTransition:
    """Train for a new attempt, or reuse the update when the model is the one it was trained on."""
    manifest = task.manifest
    if (manifest.round, manifest.attempt) == state.memory.claimed:
        return _late(state, task)
    check_task(state.setup, state.memory.claimed, state.memory.models, state.memory.releases, task)
    claim = AttemptClaimed(manifest.round, manifest.attempt, manifest.model_hash)
    memory, booked = charged(state.setup, state.memory, manifest)
    records = (*booked, claim)
    memory = replace(
        memory,
        claimed=(manifest.round, manifest.attempt),
        models={**state.memory.models, manifest.round: manifest.model_hash},
    )
    trained = memory.trained
    if trained is not None and trained.model_hash == manifest.model_hash:
        ready = Ready(state.setup, memory, manifest, trained)
        return Transition(ready, records, (StartSession(manifest),))
    training = Training(state.setup, memory, manifest.model_hash, manifest)
    under_way = isinstance(state, Training) and state.model_hash == manifest.model_hash
    return Transition(training, records, () if under_way else (TrainLocally(manifest),))


def _serve(state: Listening, message: FromServer) -> NodeTransition:
    """Pass a message of this attempt to the secure aggregation; any other is late and changes nothing."""
    if isinstance(state, Aggregating) and state.memory.claimed == (message.round, message.attempt):
        return state.receive(message.body)
    return _late(state, message)


def _late(state: Listening, message: CoordinatorMessage) -> NodeTransition:
    body = message.body if isinstance(message, FromServer) else message
    return Transition(state, outbox=(Observed("late_message", {"message": type(body).__name__}),))


def _adopt(
    setup: NodeSetup, memory: Memory, manifest: RoundManifest, step: secagg.ClientTransition
) -> NodeTransition:
    """Adopt what the secure aggregation decided: its records first, then its messages."""
    records: tuple[NodeRecord, ...] = ()
    if any(isinstance(body, MaskedInput) for body in step.outbox):
        # From here on nobody can know that the vector did not arrive.
        memory = replace(memory, unsent="")
    for record in step.records:
        match record:
            case secagg.SharesRevealed(survivors=survivors):
                opened = SumOpened(manifest.model_hash, survivors)
                memory = replace(memory, opened=opened)
                records = (*records, opened)
            case secagg.SurvivorsSigned():
                records = (*records, record)
    state = Aggregating(setup, memory, manifest, step.state)
    messages = tuple(
        ToCoordinator(FromClient(manifest.round, manifest.attempt, body)) for body in step.outbox
    )
    return Transition(state, records, messages)


def _close_round(state: Listening, message: RoundClosed) -> NodeTransition:
    kept: tuple[NodeRecord, ...] = (_keep(state, message.checkpoint),)
    if message.release is not None:
        state, seen = _see_release(state, message.round, message.release)
        kept = (*kept, *seen)
    fields = {
        "round": message.round,
        "attempt": message.attempt,
        "outcome": message.outcome.value,
        "reason": message.reason,
    }
    is_current = state.memory.claimed == (message.round, message.attempt)
    following, taken_back = _without_session(state) if is_current else (state, ())
    return Transition(following, (*kept, *taken_back), (Observed("round_closed", fields),))


def _see_release(
    state: Listening, number: int, release: Release
) -> tuple[Listening, tuple[ReleaseSeen, ...]]:
    """Remember a release, unless it contradicts what this node was told or trained on before."""
    memory = state.memory
    if memory.releases.get(number, release) != release:
        raise ProtocolViolation(COORDINATOR, "round_closed", "the round has released something else already")
    if memory.models.get(number + 1, release.model_hash) != release.model_hash:
        raise ProtocolViolation(COORDINATOR, "round_closed", "the next round started from another model")
    if number in memory.releases:
        return state, ()
    memory = replace(memory, releases={**memory.releases, number: release})
    return replace(state, memory=memory), (ReleaseSeen(number, release),)


def _keep(state: Listening, checkpoint: Checkpoint) -> CheckpointKept:
    try:
        verify_checkpoint(checkpoint, state.setup.roster.coordinator)
    except LedgerError as error:
        raise ProtocolViolation(COORDINATOR, "checkpoint", error.message) from None
    if checkpoint.run != state.setup.plan.run:
        raise ProtocolViolation(COORDINATOR, "checkpoint", "the checkpoint is of another run")
    return CheckpointKept(checkpoint)


def _withdraw(state: Listening, message: CoordinatorMessage, violation: ProtocolViolation) -> NodeTransition:
    fields = {"peer": violation.peer, "phase": violation.phase, "rule": violation.rule}
    seen = Observed("refused", fields)
    match message:
        case RoundTask(manifest=manifest):
            number, attempt = manifest.round, manifest.attempt
        case FromServer(round=number, attempt=attempt):
            pass
        case _:
            return Transition(state, outbox=(seen,))
    accused = None if violation.peer == COORDINATOR else NodeId(violation.peer)
    leave = ToCoordinator(FromClient(number, attempt, Withdrawal(violation.rule, accused)))
    following, taken_back = (state, ()) if isinstance(message, RoundTask) else _without_session(state)
    return Transition(following, taken_back, (seen, leave))


def _without_session(state: Listening) -> tuple[Listening, tuple[BudgetRecord, ...]]:
    """Return what is left when the current attempt is over for this node, and what it takes back."""
    memory, taken_back = take_back(state.memory)
    if isinstance(state, Training):
        return replace(state, memory=memory, manifest=None), taken_back
    return Idle(state.setup, memory), taken_back
