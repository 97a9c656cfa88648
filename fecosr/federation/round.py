"""The course of one attempt on the coordinator: a secure aggregation, each step in the ledger first."""

from dataclasses import dataclass, replace

from fecosr.errors import ProtocolViolation
from fecosr.federation.attempt import Attempt, Ending, abort, convict, release
from fecosr.federation.contents import vector_terms
from fecosr.federation.effects import CoordinatorOutgoing, CoordinatorRecord, Observed, ToNode
from fecosr.federation.messages import (
    FromClient,
    FromServer,
    MetricShared,
    NodeMessage,
    RoundManifest,
    RoundTask,
)
from fecosr.federation.private_rounds import noise_terms
from fecosr.federation.progress import CoordinatorSetup, Progress
from fecosr.federation.recorded import manifest_fields, recorded_advert
from fecosr.federation.sketch import SKETCH_ROUND, start_hash
from fecosr.federation.spending import BUDGET_REFUSED, affordable_sums
from fecosr.ids import NodeId
from fecosr.ledger.records import (
    Body,
    CohortFixed,
    RoundOpened,
    SurvivorsFixed,
    UnmaskingBegun,
)
from fecosr.secagg import server as secagg
from fecosr.secagg.messages import ClientMessage, MaskedInput, Withdrawal
from fecosr.secagg.rules import Rule
from fecosr.transition import Transition

SecAggStep = Transition[secagg.ServerState, secagg.ServerRecord, secagg.Envelope]


@dataclass(frozen=True, slots=True)
class RoundRunning:
    """Drive the secure aggregation of one attempt.

    Attributes:
        attempt: the attempt.
        server: its secure aggregation, in whatever phase it is.
        deadline: when that phase expires, in driver seconds.
    """

    attempt: Attempt
    server: secagg.RunningState
    deadline: float | None

    def receive(self, node: NodeId, message: NodeMessage, now: float) -> "RoundTransition":
        """Pass on a message of this attempt; anything else is late and changes nothing."""
        manifest = self.attempt.manifest
        current = (manifest.round, manifest.attempt)
        if isinstance(message, MetricShared) and (message.round, message.attempt) == current:
            seen = self.attempt.observed("metric_shared", market=node, validation=message.validation)
            return Transition(self, outbox=(seen,), deadline=self.deadline)
        if not isinstance(message, FromClient) or (message.round, message.attempt) != current:
            return Transition(self, outbox=(_late(self, node, message),), deadline=self.deadline)
        try:
            step = self.server.receive(node, message.body, now)
            return _after(
                _counting_spent(self, node, message.body), step, now, *_noted(self, node, message.body)
            )
        except ProtocolViolation as violation:
            if violation.rule == Rule.LATE:
                # What the network repeats or delays is nobody's fault.
                return Transition(self, outbox=(_late(self, node, message),), deadline=self.deadline)
            seen = self.attempt.observed("node_violation", market=node, rule=violation.rule)
            return _drop(self, node, secagg.DropoutReason.VIOLATION, now, seen)

    def left(self, node: NodeId, now: float) -> "RoundTransition":
        """Go on without a node whose connection ended."""
        progress = self.attempt.progress.left(node, now)
        return _drop(_with(self, progress), node, secagg.DropoutReason.DISCONNECTED, now)

    def rejoined(self, node: NodeId, shown: int, now: float) -> "RoundTransition":
        """Keep a node for the next round: whoever connects now has no keys of this session."""
        progress = self.attempt.progress.joined(node, shown)
        return _drop(_with(self, progress), node, secagg.DropoutReason.DISCONNECTED, now)

    def expire(self, now: float) -> "RoundTransition":
        """End the current phase without those who missed its deadline."""
        return _after(self, self.server.expire(now), now)


RoundTransition = Transition[RoundRunning | Ending, CoordinatorRecord, CoordinatorOutgoing]


def open_round(
    setup: CoordinatorSetup, progress: Progress, now: float
) -> Transition[RoundRunning, CoordinatorRecord, CoordinatorOutgoing]:
    """Open the next attempt with every invited market that is connected."""
    plan = setup.plan
    mechanism = plan.mechanism(len(progress.parameters), len(setup.roster.nodes))
    number = setup.next_round(progress.released, progress.sketch_hash)
    due = vector_terms(number, len(progress.parameters), plan)
    starts_from = start_hash(due.num_parameters) if number == SKETCH_ROUND else progress.model_hash
    manifest = RoundManifest(
        run=plan.run,
        round=number,
        attempt=progress.attempts + 1,
        plan_hash=plan.hash(),
        model_hash=starts_from,
        num_parameters=due.num_parameters,
        clip_norm=due.clip_norm,
        num_summands=len(setup.roster.nodes),
        n_min=plan.n_min,
        max_colluding=plan.max_colluding,
        ring_bits=due.ring_bits,
        ledger_size=progress.log.size,
        ledger_root=progress.log.head.root,
        noise=None if mechanism is None else noise_terms(mechanism),
        sketch_hash=progress.sketch_hash,
    )
    signature = setup.key.sign(manifest.signed_bytes())
    expected = tuple(sorted(candidates(setup, progress)))
    growths, progress = progress.growths(expected, setup.key)
    opened = RoundOpened(manifest.round, manifest.attempt, manifest_fields(manifest), signature, expected)
    entry, progress = progress.recorded(opened, setup.key)
    attempt = Attempt(setup, replace(progress, attempts=manifest.attempt), manifest, now)
    step = secagg.open_session(
        attempt.secagg_parameters(), setup.roster.nodes, frozenset(expected), plan.phase_seconds, now
    )
    seen = attempt.observed("round_opened", markets=expected)
    phase = attempt.observed("phase_started", phase=step.state.phase.value)
    tasks = tuple(ToNode(node, RoundTask(manifest, signature, growths[node])) for node in expected)
    state = RoundRunning(attempt, step.state, step.deadline)
    return Transition(state, (entry,), (seen, phase, *tasks), step.deadline)


def _counting_spent(running: RoundRunning, node: NodeId, body: ClientMessage) -> RoundRunning:
    """Ask a node no more that says it cannot afford the round: it has more accountants than we have.

    Whoever says so falsely keeps itself out, as it could by saying nothing.
    """
    if not isinstance(body, Withdrawal) or body.reason != BUDGET_REFUSED:
        return running
    progress = running.attempt.progress
    return _with(running, replace(progress, spent=progress.spent | {node}))


def _noted(running: RoundRunning, node: NodeId, body: ClientMessage) -> tuple[Observed, ...]:
    """Log why a node withdraws and whom it accuses, which by itself convicts nobody."""
    match body:
        case Withdrawal(reason=reason, accused=accused):
            fields: dict[str, object] = {"reason": reason, "accused": accused}
            return (running.attempt.observed("node_withdrew", market=node, **fields),)
        case MaskedInput(unusable=unusable) if unusable:
            return (running.attempt.observed("unusable_shares", market=node, accused=unusable),)
        case _:
            return ()


def _late(running: RoundRunning, node: NodeId, message: NodeMessage) -> Observed:
    kind = message.body if isinstance(message, FromClient) else message
    return running.attempt.observed("late_message", market=node, message=type(kind).__name__)


def candidates(setup: CoordinatorSetup, progress: Progress) -> frozenset[NodeId]:
    """Return whom the next attempt is opened with.

    After a sum may have been opened: exactly its nodes. Otherwise everybody who is invited to the round and
    connected, but for those convicted of breaking an attempt as long as enough others are there.
    """
    if progress.bound_to:
        return progress.bound_to
    present = progress.connected & affordable(setup, progress)
    trusted = present - progress.excluded
    return trusted if len(trusted) >= setup.plan.n_min else present


def affordable(setup: CoordinatorSetup, progress: Progress) -> frozenset[NodeId]:
    """Return the markets invited to the next round whose users' budget allows one more sum."""
    invited = setup.invited(setup.next_round(progress.released, progress.sketch_hash))
    most = affordable_sums(setup.plan, len(progress.parameters), len(setup.roster.nodes))
    if most is None:
        return invited
    within = frozenset(node for node in invited if progress.charged.get(node, 0) < most)
    return within - progress.spent


def _with(running: RoundRunning, progress: Progress) -> RoundRunning:
    return replace(running, attempt=replace(running.attempt, progress=progress))


def _drop(
    running: RoundRunning, node: NodeId, reason: secagg.DropoutReason, now: float, *seen: Observed
) -> RoundTransition:
    return _after(running, running.server.drop(node, reason, now), now, *seen)


def _after(running: RoundRunning, step: SecAggStep, now: float, *seen: Observed) -> RoundTransition:
    """Adopt what the secure aggregation decided: its records first, then its messages."""
    attempt = running.attempt
    lost = _lost_for_retry(running, step.state)
    if lost:
        # Nothing of this step is sent: nodes would rightly refuse to go on over fewer of them.
        detail = f"{', '.join(lost)} left, without whom the sum may not be asked for again."
        ending = abort(attempt, "bound_node_missing", detail, unmasked=False)
        return replace(ending, outbox=(*seen, *_dropped(running, step.state), *ending.outbox))
    number, count = attempt.manifest.round, attempt.manifest.attempt
    records: tuple[CoordinatorRecord, ...] = ()
    for record in step.records:
        entry, progress = attempt.progress.recorded(_body(attempt, record), attempt.setup.key)
        attempt = replace(attempt, progress=progress)
        attempt = replace(attempt, session=record.session)
        if isinstance(record, secagg.SurvivorsFixed):
            attempt = replace(attempt, survivors=record.survivors)
        records = (*records, entry)
    outbox: tuple[CoordinatorOutgoing, ...] = (
        *seen,
        *_dropped(running, step.state),
        *(ToNode(envelope.to, FromServer(number, count, envelope.message)) for envelope in step.outbox),
    )
    match step.state:
        case secagg.Completed() as completed:
            attempt, evidence, guilty = convict(attempt, completed.convictions)
            ending = release(attempt, completed, now)
        case secagg.Aborted(reason=reason, detail=detail, unmasked=unmasked, convictions=convictions):
            attempt, evidence, guilty = convict(attempt, convictions)
            ending = abort(attempt, reason.value, detail, unmasked=unmasked)
        case server:
            if server.phase != running.server.phase:
                outbox = (*outbox, attempt.observed("phase_started", phase=server.phase.value))
            state = RoundRunning(attempt, server, step.deadline)
            return Transition(state, records, outbox, step.deadline)
    return replace(
        ending, records=(*records, *evidence, *ending.records), outbox=(*outbox, *guilty, *ending.outbox)
    )


def _lost_for_retry(running: RoundRunning, after: secagg.ServerState) -> tuple[NodeId, ...]:
    """Return whom a retry needs and has lost before their vectors were in the sum."""
    attempt = running.attempt
    if attempt.survivors or not isinstance(after, secagg.RunningState):
        return ()
    return tuple(sorted(attempt.progress.bound_to & after.gone.keys()))


def _dropped(running: RoundRunning, after: secagg.ServerState) -> tuple[Observed, ...]:
    """Return one event for everybody who has just left the session, whatever for."""
    match after:
        case secagg.Completed(dropouts=dropouts, departed=departed):
            gone = {**dropouts, **departed}
        case secagg.Aborted(dropouts=dropouts):
            gone = dict(dropouts)
        case state:
            gone = dict(state.gone)
    phase = running.server.phase.value
    return tuple(
        running.attempt.observed("node_dropped", market=node, reason=reason.value, phase=phase)
        for node, reason in sorted(gone.items())
        if node not in running.server.gone
    )


def _body(attempt: Attempt, record: secagg.ServerRecord) -> Body:
    """Return the ledger's form of what the secure aggregation fixed."""
    number, count = attempt.manifest.round, attempt.manifest.attempt
    match record:
        case secagg.CohortFixed(session=session, adverts=adverts):
            return CohortFixed(number, count, session, tuple(map(recorded_advert, adverts)))
        case secagg.UnmaskingBegun(session=session):
            return UnmaskingBegun(number, count, session)
        case secagg.SurvivorsFixed(session=session, survivors=survivors, dropouts=dropouts):
            reasons = {node: reason.value for node, reason in dropouts.items()}
            return SurvivorsFixed(number, count, session, survivors, reasons)
