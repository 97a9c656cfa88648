"""A market node's side of a run: check the task, train, take part in the sum, keep the final model.

    Idle -> Training -> Ready -> Aggregating -> Idle -> ... -> Closing -> Done

The states stand in `fecosr.federation.node_states`; here is what a connection and the coordinator's messages
make of them.
"""

from dataclasses import replace

from fecosr.errors import ProtocolViolation
from fecosr.federation.contribution import check_run_closed, check_task
from fecosr.federation.effects import (
    AttemptClaimed,
    CheckpointKept,
    KeepFinalModel,
    MakeSketch,
    NodeRecord,
    Observed,
    StartSession,
    ToCoordinator,
    TrainLocally,
)
from fecosr.federation.memory import Memory, charged, take_back
from fecosr.federation.messages import (
    CoordinatorMessage,
    FromClient,
    FromServer,
    Hello,
    Rejected,
    Release,
    RoundClosed,
    RoundTask,
    RunClosed,
    SketchRelease,
)
from fecosr.federation.node_states import (
    Aggregating,
    Closing,
    Idle,
    Listening,
    NodeTransition,
    Ready,
    Refused,
    Training,
)
from fecosr.federation.sketch import SKETCH_ROUND, check_final_sketch, check_sketch
from fecosr.federation.testimony import (
    countersigned,
    head_signed,
    note_sketch,
    see_release,
    see_sketch,
)
from fecosr.ids import COORDINATOR, NodeId
from fecosr.privacy.budget import BudgetRecord
from fecosr.secagg.messages import Withdrawal
from fecosr.secagg.rules import Rule
from fecosr.transition import Transition


def connected(state: Listening) -> NodeTransition:
    """Introduce this node to the coordinator it just reached."""
    plan = state.setup.plan
    head = state.memory.head
    signed = None if head is None else head_signed(head)
    hello = Hello(plan.run, plan.hash(), state.setup.version, signed)
    following, taken_back = _without_session(state)
    return Transition(following, taken_back, (ToCoordinator(hello),))


def disconnected(state: Listening) -> NodeTransition:
    """Forget the session, if there is one; training goes on, its result may serve the next attempt."""
    following, taken_back = _without_session(state)
    return Transition(following, taken_back)


def receive(state: Listening, message: CoordinatorMessage) -> NodeTransition:
    """Act on a message of the coordinator.

    A breach by the coordinator or through it ends the session, not the node: it withdraws, names the broken
    rule in its log, and reveals nothing further. A head of the ledger that comes with a message is signed
    first, whatever becomes of the rest: the next proof starts from it.

    Raises:
        LedgerError: the coordinator shows two histories; there is nothing left to take part in.
    """
    try:
        state, kept, signed = _see_growth(state, message)
    except ProtocolViolation as violation:
        return _withdraw(state, message, violation)
    try:
        step = _receive(state, message)
    except ProtocolViolation as violation:
        # What the network repeats or delays is nobody's fault.
        is_late = violation.rule == Rule.LATE
        step = _late(state, message) if is_late else _withdraw(state, message, violation)
    return replace(step, records=(*kept, *step.records), outbox=(*signed, *step.outbox))


def _see_growth(
    state: Listening, message: CoordinatorMessage
) -> tuple[Listening, tuple[CheckpointKept, ...], tuple[ToCoordinator, ...]]:
    if not isinstance(message, RoundTask | RoundClosed | RunClosed):
        return state, (), ()
    memory, kept, signed = countersigned(state.setup, state.memory, message.growth)
    return replace(state, memory=memory), kept, signed


def _receive(state: Listening, message: CoordinatorMessage) -> NodeTransition:
    match message:
        case RoundTask():
            return _take(state, message)
        case FromServer():
            return _serve(state, message)
        case RoundClosed():
            return _close_round(state, message)
        case RunClosed(model_hash=model_hash):
            check_run_closed(state.setup, state.memory.models, state.memory.releases, message)
            check_final_sketch(message, state.setup.plan.sketch, state.memory.sketch)
            memory, seen = note_sketch(state.memory, message.sketch_hash)
            closing = Closing(state.setup, memory, model_hash)
            return Transition(closing, seen, (KeepFinalModel(model_hash, memory.sketch),))
        case Rejected(reason=reason):
            return Transition(Refused(reason), outbox=(Observed("rejected", {"reason": reason}),))


def _take(state: Listening, task: RoundTask) -> NodeTransition:
    """Train for a new attempt, or reuse the update when the model is the one it was trained on."""
    manifest = task.manifest
    if (manifest.round, manifest.attempt) == state.memory.claimed:
        return _late(state, task)
    check_task(state.setup, state.memory.claimed, state.memory.models, state.memory.releases, task)
    check_sketch(manifest, state.setup.plan.sketch, state.memory.sketch)
    claim = AttemptClaimed(manifest.round, manifest.attempt, manifest.model_hash)
    memory, booked = charged(state.setup, state.memory, manifest)
    memory, seen = note_sketch(memory, manifest.sketch_hash)
    records = (*booked, *seen, claim)
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
    work = MakeSketch(manifest) if manifest.round == SKETCH_ROUND else TrainLocally(manifest)
    return Transition(training, records, () if under_way else (work,))


def _serve(state: Listening, message: FromServer) -> NodeTransition:
    """Pass a message of this attempt to the secure aggregation; any other is late and changes nothing."""
    if isinstance(state, Aggregating) and state.memory.claimed == (message.round, message.attempt):
        return state.receive(message.body)
    return _late(state, message)


def _late(state: Listening, message: CoordinatorMessage) -> NodeTransition:
    body = message.body if isinstance(message, FromServer) else message
    return Transition(state, outbox=(Observed("late_message", {"message": type(body).__name__}),))


def _close_round(state: Listening, message: RoundClosed) -> NodeTransition:
    kept: tuple[NodeRecord, ...] = ()
    if message.release is not None:
        memory, kept = _see(state, message.round, message.release)
        state = replace(state, memory=memory)
    fields = {
        "round": message.round,
        "attempt": message.attempt,
        "outcome": message.outcome.value,
        "reason": message.reason,
    }
    is_current = state.memory.claimed == (message.round, message.attempt)
    following, taken_back = _without_session(state) if is_current else (state, ())
    return Transition(following, (*kept, *taken_back), (Observed("round_closed", fields),))


def _see(
    state: Listening, number: int, release: Release | SketchRelease
) -> tuple[Memory, tuple[NodeRecord, ...]]:
    if isinstance(release, SketchRelease):
        return see_sketch(state.memory, number, release, state.setup.plan.sketch)
    return see_release(state.memory, number, release)


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
