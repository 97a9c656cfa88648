"""The coordinator's side of a run: gather nodes, run rounds, hand over the final model.

    Gathering -> Running -> Gathering -> ... -> Finishing | GivenUp -> Stopped

Nothing here can hold one node's update: a round is a `secagg` server, which knows masked vectors and, at the
end, their sum.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from fecosr.federation.aggregation import Vector, parameters_hash
from fecosr.federation.attempt import Failed
from fecosr.federation.effects import (
    CoordinatorOutgoing,
    CoordinatorRecord,
    Disconnect,
    ModelStored,
    Observed,
    ToNode,
)
from fecosr.federation.messages import Finished, Hello, NodeMessage, Rejected, RunClosed
from fecosr.federation.progress import (
    COORDINATOR_RESTARTED,
    CoordinatorSetup,
    Kept,
    Progress,
    Replayed,
    opening,
    returning,
)
from fecosr.federation.round import RoundRunning, RoundTransition, affordable, candidates, open_round
from fecosr.federation.spending import BUDGET_SPENT
from fecosr.ids import NodeId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.records import RunAborted, RunCompleted
from fecosr.transition import Transition

MISSING_FOR_RETRY: Final = "missing_for_retry"
"""Why a run is given up whose last sum may have been opened and whose nodes do not all come back."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Have nothing more to do.

    Attributes:
        completed: whether every planned round was released.
        reason: why not; empty when completed.
        missing: nodes that did not fetch the final model in time.
    """

    completed: bool
    reason: str
    missing: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class Gathering:
    """Wait until a round can be opened.

    A round opens as soon as every invited market is connected. It opens without those that have been absent
    for `join_seconds`, as long as `n_min` are there: a market that is gone for good costs that wait once, not
    in every round, and one that comes and goes postpones no round by more than that.

    Attributes:
        since: when the gathering began, in driver seconds.
    """

    setup: CoordinatorSetup
    progress: Progress
    since: float

    def connected(self, node: NodeId, hello: Hello, now: float) -> "CoordinatorTransition":
        """Let a node in, or refuse it for a named reason."""
        refusal = _refusal(self.setup, node, hello)
        if refusal:
            return _prefixed(_gather(self.setup, self.progress, self.since, now), outbox=refusal)
        seen = Observed("node_connected", {"market": node})
        return _prefixed(_gather(self.setup, self.progress.joined(node), self.since, now), outbox=(seen,))

    def disconnected(self, node: NodeId, now: float) -> "CoordinatorTransition":
        """Note that a node went away."""
        seen = Observed("node_disconnected", {"market": node})
        return _prefixed(_gather(self.setup, self.progress.left(node, now), self.since, now), outbox=(seen,))

    def receive(self, node: NodeId, message: NodeMessage, now: float) -> "CoordinatorTransition":
        """Refuse by name whatever arrives between two rounds: it can only be late."""
        return _prefixed(_gather(self.setup, self.progress, self.since, now), outbox=(_late(node, message),))

    def expire(self, now: float) -> "CoordinatorTransition":
        """Open the round without the nodes that were absent for too long."""
        return _gather(self.setup, self.progress, self.since, now)


@dataclass(frozen=True, slots=True)
class Running:
    """Run one attempt at a round; the work is done by `fecosr.federation.round`."""

    round: RoundRunning

    def connected(self, node: NodeId, hello: Hello, now: float) -> "CoordinatorTransition":
        """Let a node in for the next round; a node that comes back has lost its session."""
        refusal = _refusal(self.round.attempt.setup, node, hello)
        if refusal:
            return Transition(self, outbox=refusal, deadline=self.round.deadline)
        seen = Observed("node_connected", {"market": node})
        return _prefixed(self._after(self.round.rejoined(node, now), now), outbox=(seen,))

    def disconnected(self, node: NodeId, now: float) -> "CoordinatorTransition":
        """Go on without a node that went away."""
        seen = Observed("node_disconnected", {"market": node})
        return _prefixed(self._after(self.round.left(node, now), now), outbox=(seen,))

    def receive(self, node: NodeId, message: NodeMessage, now: float) -> "CoordinatorTransition":
        """Pass a message to the secure aggregation."""
        return self._after(self.round.receive(node, message, now), now)

    def expire(self, now: float) -> "CoordinatorTransition":
        """End a phase that ran out of time."""
        return self._after(self.round.expire(now), now)

    def _after(self, step: RoundTransition, now: float) -> "CoordinatorTransition":
        match step.state:
            case RoundRunning() as running:
                return Transition(Running(running), step.records, step.outbox, step.deadline)
            case ending:
                reason = ending.reason if isinstance(ending, Failed) else ""
                following = _proceed(self.round.attempt.setup, ending.progress, reason, now)
                return _prefixed(following, records=step.records, outbox=step.outbox)


@dataclass(frozen=True, slots=True)
class Finishing:
    """Hand over the final model until every node holds it or the deadline passes."""

    setup: CoordinatorSetup
    progress: Progress
    closed: RunClosed
    deadline: float

    def connected(self, node: NodeId, hello: Hello, now: float) -> "CoordinatorTransition":
        """Tell a node that comes back that the run is over."""
        refusal = _refusal(self.setup, node, hello)
        if refusal:
            return _stay(self, refusal)
        state = replace(self, progress=self.progress.joined(node))
        return _stay(state, (Observed("node_connected", {"market": node}), ToNode(node, self.closed)))

    def disconnected(self, node: NodeId, now: float) -> "CoordinatorTransition":
        """Note that a node went away."""
        state = replace(self, progress=self.progress.left(node, now))
        return _stay(state, (Observed("node_disconnected", {"market": node}),))

    def receive(self, node: NodeId, message: NodeMessage, now: float) -> "CoordinatorTransition":
        """Tick off a node that holds the final model."""
        if not isinstance(message, Finished) or message.model_hash != self.closed.model_hash:
            return _stay(self, (_late(node, message),))
        finished = self.progress.finished | {node}
        outbox = (Observed("node_finished", {"market": node}), Disconnect(node))
        if finished >= self.setup.roster.nodes.keys():
            return Transition(Stopped(True, "", ()), outbox=outbox)
        progress = replace(self.progress, finished=finished)
        return _stay(replace(self, progress=progress), outbox)

    def expire(self, now: float) -> "CoordinatorTransition":
        """Stop waiting for nodes that never fetched the final model."""
        missing = tuple(sorted(self.setup.roster.nodes.keys() - self.progress.finished))
        return Transition(
            Stopped(True, "", missing), outbox=(Observed("final_model_not_fetched", {"markets": missing}),)
        )


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Tell every node that comes back that the run was aborted, until all know or the deadline passes.

    Attributes:
        told: the nodes that know.
    """

    setup: CoordinatorSetup
    told: frozenset[NodeId]
    message: Rejected
    reason: str
    deadline: float

    def connected(self, node: NodeId, hello: Hello, now: float) -> "CoordinatorTransition":
        """Tell a node why there is nothing left to take part in."""
        told = self.told | {node}
        outbox = (ToNode(node, self.message), Disconnect(node))
        if told >= self.setup.roster.nodes.keys():
            return Transition(Stopped(False, self.reason, ()), outbox=outbox)
        return Transition(replace(self, told=told), outbox=outbox, deadline=self.deadline)

    def disconnected(self, node: NodeId, now: float) -> "CoordinatorTransition":
        """Go on waiting for the others."""
        return Transition(self, deadline=self.deadline)

    def receive(self, node: NodeId, message: NodeMessage, now: float) -> "CoordinatorTransition":
        """Refuse by name whatever arrives: it can only be late."""
        return Transition(self, outbox=(_late(node, message),), deadline=self.deadline)

    def expire(self, now: float) -> "CoordinatorTransition":
        """Stop waiting for nodes that never came back."""
        missing = tuple(sorted(self.setup.roster.nodes.keys() - self.told))
        return Transition(Stopped(False, self.reason, missing))


RunningCoordinator = Gathering | Running | Finishing | GivenUp
CoordinatorState = RunningCoordinator | Stopped
CoordinatorTransition = Transition[CoordinatorState, CoordinatorRecord, CoordinatorOutgoing]


def open_run(setup: CoordinatorSetup, parameters: Vector, now: float) -> CoordinatorTransition:
    """Open a new run from the initial shared `parameters`, float32 [P]."""
    model_hash = parameters_hash(parameters)
    entry, progress = opening(setup, parameters, model_hash, now)
    return _prefixed(_gather(setup, progress, now, now), records=(ModelStored(model_hash, parameters), entry))


def resume_run(setup: CoordinatorSetup, replayed: Replayed, kept: Kept, now: float) -> CoordinatorTransition:
    """Go on with a run whose ledger was replayed; `kept` is what the hashes in `replayed` name."""
    entries, progress = returning(setup, replayed, kept, now)
    if replayed.aborted:
        return _tell(setup, progress, replayed.aborted, now)
    if replayed.ended:
        return _finish(setup, progress.with_final_model(setup.plan.schedule), now)
    reason = COORDINATOR_RESTARTED if replayed.open_attempt else replayed.last_reason
    following = _proceed(setup, progress, reason, now)
    return _prefixed(following, records=entries)


def _stay(state: Finishing, outbox: tuple[CoordinatorOutgoing, ...]) -> CoordinatorTransition:
    return Transition(state, outbox=outbox, deadline=state.deadline)


def _late(node: NodeId, message: NodeMessage) -> Observed:
    """Return the log line for a message that came when nobody waits for it."""
    return Observed("late_message", {"market": node, "message": type(message).__name__})


def _proceed(setup: CoordinatorSetup, progress: Progress, reason: str, now: float) -> CoordinatorTransition:
    """Go on after an attempt that ended: to the next round, to another attempt, or to the end of the run.

    Args:
        setup: what the coordinator was provisioned with.
        progress: after the attempt.
        reason: why it was aborted; empty when it was released.
        now: driver seconds.
    """
    schedule = setup.plan.schedule
    if schedule.ended_after(progress.history) is not None:
        progress = progress.with_final_model(schedule)
        completed, progress = progress.recorded(
            RunCompleted(progress.released, progress.model_hash), setup.key
        )
        final_round = schedule.final_round(progress.history)
        seen = Observed("run_completed", {"rounds": progress.released, "final_round": final_round})
        return _prefixed(_finish(setup, progress, now), records=(completed,), outbox=(seen,))
    if progress.attempts < setup.plan.max_attempts:
        return _gather(setup, progress, now, now)
    return _give_up(setup, progress, reason, now)


def _give_up(setup: CoordinatorSetup, progress: Progress, reason: str, now: float) -> CoordinatorTransition:
    """Record why the run ends without all its rounds, and tell everybody."""
    aborted, progress = progress.recorded(RunAborted(progress.released, reason), setup.key)
    seen = Observed("run_aborted", {"rounds": progress.released, "reason": reason})
    return _prefixed(_tell(setup, progress, reason, now), records=(aborted,), outbox=(seen,))


def _tell(setup: CoordinatorSetup, progress: Progress, reason: str, now: float) -> CoordinatorTransition:
    told = Rejected(f"the run was aborted: {reason}")
    outbox = tuple(ToNode(node, told) for node in sorted(progress.connected))
    if progress.connected >= setup.roster.nodes.keys():
        return Transition(Stopped(False, reason, ()), outbox=outbox)
    deadline = now + setup.plan.finish_seconds
    return Transition(
        GivenUp(setup, progress.connected, told, reason, deadline), outbox=outbox, deadline=deadline
    )


def _gather(setup: CoordinatorSetup, progress: Progress, since: float, now: float) -> CoordinatorTransition:
    """Open the next attempt if it is time and the budget allows it, or wait and say for whom."""
    chosen, invited = candidates(setup, progress), affordable(setup, progress)
    is_spent = invited < setup.invited(progress.released + 1)
    if is_spent and (len(invited) < setup.plan.n_min or not progress.bound_to <= invited):
        return _give_up(setup, progress, BUDGET_SPENT, now)
    if progress.bound_to:
        ready, waiting_until = chosen <= progress.connected, since + setup.plan.finish_seconds
        if not ready and now >= waiting_until:
            return _give_up(setup, progress, MISSING_FOR_RETRY, now)
        is_time = ready
    else:
        ready = len(chosen) >= setup.plan.n_min
        patience = (
            absent + setup.plan.join_seconds
            for node, absent in progress.absent_since.items()
            if node in invited - progress.excluded
        )
        waiting_until = min(max(patience, default=now), since + setup.plan.join_seconds)
        is_time = ready and waiting_until <= now
    if is_time:
        step = open_round(setup, progress, now)
        return Transition(Running(step.state), step.records, step.outbox, step.deadline)
    missing = sorted((chosen if progress.bound_to else invited) - progress.connected)
    waiting = Observed("waiting_for", {"markets": missing, "connected": len(progress.connected)})
    deadline = waiting_until if ready or progress.bound_to else None
    return Transition(Gathering(setup, progress, since), outbox=(waiting,), deadline=deadline)


def _finish(setup: CoordinatorSetup, progress: Progress, now: float) -> CoordinatorTransition:
    unsigned = RunClosed(
        run=setup.plan.run,
        rounds=progress.released,
        model_hash=progress.model_hash,
        history=progress.history if setup.plan.early_stopping else (),
        previous=progress.previous,
        checkpoint=sign_checkpoint(progress.head, setup.key),
        signature=b"",
    )
    closed = replace(unsigned, signature=setup.key.sign(unsigned.signed_bytes()))
    deadline = now + setup.plan.finish_seconds
    outbox = tuple(ToNode(node, closed) for node in sorted(progress.connected))
    return Transition(Finishing(setup, progress, closed, deadline), outbox=outbox, deadline=deadline)


def _refusal(setup: CoordinatorSetup, node: NodeId, hello: Hello) -> tuple[CoordinatorOutgoing, ...]:
    """Return what to do about a node that cannot take part; nothing when it can."""
    rules = {
        "is not in the roster": node not in setup.roster.nodes,
        f"was provisioned for another run than {setup.plan.run}": hello.run != setup.plan.run,
        "holds another plan: provision it again": hello.plan_hash != setup.plan.hash(),
    }
    for reason, broken in rules.items():
        if broken:
            seen = Observed("node_rejected", {"market": node, "reason": reason})
            return (seen, ToNode(node, Rejected(reason)), Disconnect(node))
    return ()


def _prefixed(
    transition: CoordinatorTransition,
    *,
    records: Iterable[CoordinatorRecord] = (),
    outbox: Iterable[CoordinatorOutgoing] = (),
) -> CoordinatorTransition:
    return replace(
        transition,
        records=(*records, *transition.records),
        outbox=(*outbox, *transition.outbox),
    )
