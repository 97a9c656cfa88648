"""What an onlooker sees of a session: who answered and who left, phase by phase."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fecosr.ids import NodeId
from fecosr.secagg.messages import Phase
from fecosr.secagg.server import Aborted, Completed, DropoutReason, RunningState, ServerState


@dataclass(frozen=True, slots=True)
class Departure:
    """Say in which phase the server gave a client up, and why."""

    client: NodeId
    phase: Phase
    reason: DropoutReason


@dataclass(slots=True)
class Trace:
    """Collect answers and departures as they happen.

    Attributes:
        expected: everybody the session was opened for.
        answered: whose answer the server accepted in each phase.
        departures: who left, in order.
    """

    expected: frozenset[NodeId]
    answered: dict[Phase, set[NodeId]] = field(default_factory=lambda: {phase: set() for phase in Phase})
    departures: list[Departure] = field(default_factory=list)
    _gone: set[NodeId] = field(default_factory=set)

    def note(self, before: RunningState, after: ServerState) -> None:
        """Note who is gone after one step of the server and was not before."""
        for client, reason in departed(after).items():
            if client not in self._gone:
                self._gone.add(client)
                self.departures.append(Departure(client, before.phase, reason))


def departed(state: ServerState) -> Mapping[NodeId, DropoutReason]:
    """Return everybody who has left by now, survivors included."""
    if isinstance(state, Completed):
        return {**state.dropouts, **state.departed}
    if isinstance(state, Aborted):
        return state.dropouts
    return state.gone
