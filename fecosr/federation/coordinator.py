"""The coordinator's side of a run: gather nodes, run rounds, hand over the final model.

    Gathering -> Running -> Gathering -> ... -> Finishing | GivenUp -> Stopped

Nothing here can hold one node's update: a round is a `secagg` server, which knows masked vectors and, at the
end, their sum.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from fecosr.federation.admission import admit, between
from fecosr.federation.aggregation import Vector, parameters_hash
from fecosr.federation.attempt import Failed
from fecosr.federation.beginning import COORDINATOR_RESTARTED, opening, returning
from fecosr.federation.countersigning import hear_signed
from fecosr.federation.effects import (
    CoordinatorOutgoing,
    CoordinatorRecord,
    ModelStored,
    Observed,
)
from fecosr.federation.handover import Finishing, GivenUp, Stopped, finish, tell
from fecosr.federation.messages import HeadSigned, Hello, NodeMessage
from fecosr.federation.progress import CoordinatorSetup, Progress
from fecosr.federation.replay import Kept, Replayed
from fecosr.federation.round import RoundRunning, RoundTransition, affordable, candidates, open_round
from fecosr.federation.spending import BUDGET_SPENT
from fecosr.ids import NodeId
from fecosr.ledger.records import RoundAborted, RunAborted, RunCompleted
from fecosr.transition import Transition

MISSING_FOR_RETRY: Final = "missing_for_retry"
"""Why a run is given up whose last sum may have been opened and whose nodes do not all come back."""


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
        admission = admit(self.setup, self.progress, node, hello)
        if admission.refused:
            return _prefixed(_gather(self.setup, self.progress, self.since, now), outbox=admission.refused)
        seen = Observed("node_connected", {"market": node})
        following = _gather(self.setup, self.progress.joined(node, admission.shown), self.since, now)
        return _prefixed(following, records=admission.records, outbox=(seen,))

    def disconnected(self, node: NodeId, now: float) -> "CoordinatorTransition":
        """Note that a node went away."""
        seen = Observed("node_disconnected", {"market": node})
        return _prefixed(_gather(self.setup, self.progress.left(node, now), self.since, now), outbox=(seen,))

    def receive(self, node: NodeId, message: NodeMessage, now: float) -> "CoordinatorTransition":
        """Keep what a node signed of the ledger; anything else that arrives between two rounds is late."""
        records, outbox = between(self.setup, self.progress, node, message)
        following = _gather(self.setup, self.progress, self.since, now)
        return _prefixed(following, records=records, outbox=outbox)

    def expire(self, now: float) -> "CoordinatorTransition":
        """Open the round without the nodes that were absent for too long."""
        return _gather(self.setup, self.progress, self.since, now)


@dataclass(frozen=True, slots=True)
class Running:
    """Run one attempt at a round; the work is done by `fecosr.federation.round`."""

    round: RoundRunning

    def connected(self, node: NodeId, hello: Hello, now: float) -> "CoordinatorTransition":
        """Let a node in for the next round; a node that comes back has lost its session."""
        attempt = self.round.attempt
        admission = admit(attempt.setup, attempt.progress, node, hello)
        if admission.refused:
            return Transition(self, outbox=admission.refused, deadline=self.round.deadline)
        seen = Observed("node_connected", {"market": node})
        following = self._after(self.round.rejoined(node, admission.shown, now), now)
        return _prefixed(following, records=admission.records, outbox=(seen,))

    def disconnected(self, node: NodeId, now: float) -> "CoordinatorTransition":
        """Go on without a node that went away."""
        seen = Observed("node_disconnected", {"market": node})
        return _prefixed(self._after(self.round.left(node, now), now), outbox=(seen,))

    def receive(self, node: NodeId, message: NodeMessage, now: float) -> "CoordinatorTransition":
        """Pass a message to the secure aggregation, or keep what a node signed of the ledger."""
        if isinstance(message, HeadSigned):
            attempt = self.round.attempt
            records, outbox = hear_signed(attempt.setup, attempt.progress, node, message)
            return Transition(self, records, outbox, self.round.deadline)
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
        return tell(setup, progress, replayed.aborted, now)
    if replayed.ended:
        return finish(setup, progress.with_final_model(setup.plan.schedule), now)
    reason = COORDINATOR_RESTARTED if replayed.open_attempt else replayed.last_reason
    following = _proceed(setup, progress, reason, now)
    bodies = (entry.body for entry in entries)
    seen = tuple(_aborted(body) for body in bodies if isinstance(body, RoundAborted))
    return _prefixed(following, records=entries, outbox=seen)


def _aborted(body: RoundAborted) -> Observed:
    """Return the log line for an attempt that ended with the coordinator that made it."""
    fields = {"round": body.round, "attempt": body.attempt, "reason": body.reason, "detail": body.detail}
    return Observed("round_aborted", fields)


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
        return _prefixed(finish(setup, progress, now), records=(completed,), outbox=(seen,))
    if progress.attempts < setup.plan.max_attempts or _is_spent(setup, progress):
        return _gather(setup, progress, now, now)
    return _give_up(setup, progress, reason, now)


def _is_spent(setup: CoordinatorSetup, progress: Progress) -> bool:
    """Return whether too few of the invited markets can afford one more sum."""
    invited = affordable(setup, progress)
    if invited == setup.invited(setup.next_round(progress.released, progress.sketch_hash)):
        return False
    return len(invited) < setup.plan.n_min or not progress.bound_to <= invited


def _give_up(setup: CoordinatorSetup, progress: Progress, reason: str, now: float) -> CoordinatorTransition:
    """Record why the run ends without all its rounds, and tell everybody."""
    aborted, progress = progress.recorded(RunAborted(progress.released, reason), setup.key)
    seen = Observed("run_aborted", {"rounds": progress.released, "reason": reason})
    return _prefixed(tell(setup, progress, reason, now), records=(aborted,), outbox=(seen,))


def _gather(setup: CoordinatorSetup, progress: Progress, since: float, now: float) -> CoordinatorTransition:
    """Open the next attempt if it is time and the budget allows it, or wait and say for whom."""
    chosen, invited = candidates(setup, progress), affordable(setup, progress)
    if _is_spent(setup, progress):
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
