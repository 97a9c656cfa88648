"""The end of a run on the coordinator: hand over the final model, or say why there is none."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fecosr.federation.admission import admit, between, late
from fecosr.federation.effects import CoordinatorOutgoing, CoordinatorRecord, Disconnect, Observed, ToNode
from fecosr.federation.messages import Finished, Hello, NodeMessage, Rejected, RunClosed
from fecosr.federation.progress import CoordinatorSetup, Progress
from fecosr.ids import NodeId
from fecosr.ledger.checkpoint import growth
from fecosr.transition import Transition


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
class Finishing:
    """Hand over the final model until every node holds it or the deadline passes."""

    setup: CoordinatorSetup
    progress: Progress
    closed: RunClosed
    deadline: float

    def connected(self, node: NodeId, hello: Hello, now: float) -> "HandoverTransition":
        """Tell a node that comes back that the run is over."""
        admission = admit(self.setup, self.progress, node, hello)
        if admission.refused:
            return _stay(self, admission.refused)
        progress = self.progress.joined(node, admission.shown)
        told, progress = _tell_end(self.setup, progress, self.closed, (node,))
        state = replace(self, progress=progress)
        seen = Observed("node_connected", {"market": node})
        return _stay(state, (seen, *told), admission.records)

    def disconnected(self, node: NodeId, now: float) -> "HandoverTransition":
        """Note that a node went away."""
        state = replace(self, progress=self.progress.left(node, now))
        return _stay(state, (Observed("node_disconnected", {"market": node}),))

    def receive(self, node: NodeId, message: NodeMessage, now: float) -> "HandoverTransition":
        """Tick off a node that holds the final model, and keep what it signed of the ledger."""
        if not isinstance(message, Finished) or message.model_hash != self.closed.model_hash:
            records, outbox = between(self.setup, self.progress, node, message)
            return _stay(self, outbox, records)
        finished = self.progress.finished | {node}
        ticked_off = (Observed("node_finished", {"market": node}), Disconnect(node))
        if finished >= self.setup.roster.nodes.keys():
            return Transition(Stopped(True, "", ()), outbox=ticked_off)
        progress = replace(self.progress, finished=finished)
        return _stay(replace(self, progress=progress), ticked_off)

    def expire(self, now: float) -> "HandoverTransition":
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

    def connected(self, node: NodeId, hello: Hello, now: float) -> "HandoverTransition":
        """Tell a node why there is nothing left to take part in."""
        told = self.told | {node}
        outbox = (ToNode(node, self.message), Disconnect(node))
        if told >= self.setup.roster.nodes.keys():
            return Transition(Stopped(False, self.reason, ()), outbox=outbox)
        return Transition(replace(self, told=told), outbox=outbox, deadline=self.deadline)

    def disconnected(self, node: NodeId, now: float) -> "HandoverTransition":
        """Go on waiting for the others."""
        return Transition(self, deadline=self.deadline)

    def receive(self, node: NodeId, message: NodeMessage, now: float) -> "HandoverTransition":
        """Refuse by name whatever arrives: it can only be late."""
        return Transition(self, outbox=(late(node, message),), deadline=self.deadline)

    def expire(self, now: float) -> "HandoverTransition":
        """Stop waiting for nodes that never came back."""
        missing = tuple(sorted(self.setup.roster.nodes.keys() - self.told))
        return Transition(Stopped(False, self.reason, missing))


HandoverTransition = Transition[Finishing | GivenUp | Stopped, CoordinatorRecord, CoordinatorOutgoing]


def finish(setup: CoordinatorSetup, progress: Progress, now: float) -> HandoverTransition:
    """Tell everybody that the run is complete and wait until they hold its final model."""
    unsigned = RunClosed(
        run=setup.plan.run,
        rounds=progress.released,
        model_hash=progress.model_hash,
        history=progress.history if setup.plan.early_stopping else (),
        ending=progress.ending,
        inclusion=progress.log.inclusion_proof(progress.log.size - 1),
        growth=growth(progress.log, 0, setup.key),
        signature=b"",
        sketch_hash=progress.sketch_hash,
    )
    closed = replace(unsigned, signature=setup.key.sign(unsigned.signed_bytes()))
    deadline = now + setup.plan.finish_seconds
    outbox, progress = _tell_end(setup, progress, closed, sorted(progress.connected))
    return Transition(Finishing(setup, progress, closed, deadline), outbox=outbox, deadline=deadline)


def _tell_end(
    setup: CoordinatorSetup, progress: Progress, closed: RunClosed, nodes: Iterable[NodeId]
) -> tuple[tuple[ToNode, ...], Progress]:
    """Tell nodes of the end, each with the proof from the head that it was shown last."""
    growths, progress = progress.growths(nodes, setup.key)
    return tuple(ToNode(node, replace(closed, growth=shown)) for node, shown in growths.items()), progress


def tell(setup: CoordinatorSetup, progress: Progress, reason: str, now: float) -> HandoverTransition:
    """Tell everybody why the run is given up."""
    told = Rejected(f"the run was aborted: {reason}")
    outbox = tuple(ToNode(node, told) for node in sorted(progress.connected))
    if progress.connected >= setup.roster.nodes.keys():
        return Transition(Stopped(False, reason, ()), outbox=outbox)
    deadline = now + setup.plan.finish_seconds
    return Transition(
        GivenUp(setup, progress.connected, told, reason, deadline), outbox=outbox, deadline=deadline
    )


def _stay(
    state: Finishing,
    outbox: tuple[CoordinatorOutgoing, ...],
    records: tuple[CoordinatorRecord, ...] = (),
) -> HandoverTransition:
    return Transition(state, records, outbox, state.deadline)
