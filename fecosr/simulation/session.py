"""One secure aggregation over the simulated network: real clients, a real server, virtual time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Final

from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.client import ClientRecord, ClientState, ClientTransition, Revealed, Withdrawn, begin
from fecosr.secagg.messages import ClientMessage, Phase, ServerMessage
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.rules import Rule
from fecosr.secagg.run import Participant
from fecosr.secagg.server import (
    Aborted,
    Completed,
    DropoutReason,
    RunningState,
    ServerRecord,
    ServerState,
    ServerTransition,
    open_session,
)
from fecosr.simulation.faults import Faults
from fecosr.simulation.network import Network

PHASE_SECONDS: Final[Mapping[Phase, float]] = MappingProxyType(dict.fromkeys(Phase, 10.0))
Watch = Callable[[ServerState], None]
"""Looks at every state the server goes through."""


@dataclass(frozen=True, slots=True)
class ToServer:
    """Carry a client's message; the network authenticates the sender."""

    sender: NodeId
    message: ClientMessage


@dataclass(frozen=True, slots=True)
class ToClient:
    """Carry the server's message to one client."""

    destination: NodeId
    message: ServerMessage


@dataclass(frozen=True, slots=True)
class Crash:
    """Stop one client for good; the server may or may not notice."""

    client: NodeId
    noticed: bool


Event = ToServer | ToClient | Crash


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedSession:
    """Hold how a session went.

    Attributes:
        outcome: how it ended for the server.
        clients: the state each client was last in.
        server_records: what the server stored, in order.
        client_records: what each client stored, in order.
        violations: every breach somebody noticed, late messages aside.
        crashed: who crashed.
        seconds: virtual time from the opening to the end.
    """

    outcome: Completed | Aborted
    clients: Mapping[NodeId, ClientState]
    server_records: Sequence[ServerRecord]
    client_records: Mapping[NodeId, Sequence[ClientRecord]]
    violations: Sequence[ProtocolViolation]
    crashed: frozenset[NodeId]
    seconds: float


def simulate_session(
    parameters: SecAggParameters,
    participants: Sequence[Participant],
    faults: Faults,
    seed: int,
    *,
    phase_seconds: Mapping[Phase, float] = PHASE_SECONDS,
    watch: Watch = lambda _state: None,
) -> SimulatedSession:
    """Run one session to its end and return what happened.

    Args:
        parameters: what everybody agreed on.
        participants: the clients.
        faults: what goes wrong, and how often.
        seed: decides every delay and every fault.
        phase_seconds: how long each phase may take, in virtual seconds.
        watch: looks at every state the server goes through.
    """
    random = Random(seed)  # noqa: S311 - a simulation must be reproducible, and guards nothing
    roster = {someone.client: someone.identity.public for someone in participants}
    opened = open_session(parameters, roster, frozenset(roster), phase_seconds, now=0.0)
    drivers = _Drivers(Network(faults, random), opened, watch)
    for crash, at in _draw_crashes(sorted(roster), faults, random):
        drivers.network.schedule(crash, at)
    for someone in participants:
        begun = begin(parameters, someone.client, someone.identity, roster, someone.vector, someone.entropy)
        drivers.adopt_client(someone.client, begun)
    return drivers.run()


def _draw_crashes(clients: Sequence[NodeId], faults: Faults, random: Random) -> Iterable[tuple[Crash, float]]:
    for client in clients:
        if random.random() < faults.crash:
            noticed = random.random() < faults.notice
            yield Crash(client, noticed), random.uniform(0, faults.crash_within_seconds)


class _Drivers:
    """Play the drivers of the server and of every client: store records, then send, and keep the time."""

    def __init__(self, network: Network[Event], opened: ServerTransition, watch: Watch) -> None:
        self.network = network
        self._watch = watch
        self._server = opened.state
        self._deadline = opened.deadline
        self._now = 0.0
        self._clients: dict[NodeId, ClientState] = {}
        self._crashed: set[NodeId] = set()
        self._server_records: list[ServerRecord] = []
        self._client_records: dict[NodeId, list[ClientRecord]] = {}
        self._violations: list[ProtocolViolation] = []

    def run(self) -> SimulatedSession:
        """Let one thing happen after another until the server has ended."""
        while not isinstance(self._server, Completed | Aborted):
            self._happen(self._server)
        return SimulatedSession(
            outcome=self._server,
            clients=self._clients,
            server_records=self._server_records,
            client_records=self._client_records,
            violations=self._violations,
            crashed=frozenset(self._crashed),
            seconds=self._now,
        )

    def adopt_client(self, client: NodeId, step: ClientTransition) -> None:
        """Store a client's records, then send its messages."""
        self._client_records.setdefault(client, []).extend(step.records)
        self._clients[client] = step.state
        for message in step.outbox:
            self.network.send(ToServer(client, message), self._now)

    def _happen(self, server: RunningState) -> None:
        deadline = float("inf") if self._deadline is None else self._deadline
        if deadline <= self.network.next_at():
            self._now = deadline
            self._adopt_server(server.expire(self._now))
            return
        self._now = self.network.next_at()
        match self.network.receive():
            case Crash(client, noticed):
                self._crashed.add(client)
                if noticed:
                    self._adopt_server(server.drop(client, DropoutReason.DISCONNECTED, self._now))
            case ToServer(sender, message):
                self._server_receives(server, sender, message)
            case ToClient(destination, message) if destination not in self._crashed:
                self._client_receives(destination, message)

    def _adopt_server(self, step: ServerTransition) -> None:
        self._server_records.extend(step.records)
        self._server, self._deadline = step.state, step.deadline
        self._watch(step.state)
        for envelope in step.outbox:
            self.network.send(ToClient(envelope.to, envelope.message), self._now)

    def _server_receives(self, server: RunningState, sender: NodeId, message: ClientMessage) -> None:
        try:
            step = server.receive(sender, message, self._now)
        except ProtocolViolation as violation:
            # What the network delayed or repeated says nothing against its sender.
            if violation.rule == Rule.LATE:
                return
            self._violations.append(violation)
            step = server.drop(sender, DropoutReason.VIOLATION, self._now)
        self._adopt_server(step)

    def _client_receives(self, client: NodeId, message: ServerMessage) -> None:
        state = self._clients[client]
        if isinstance(state, Revealed | Withdrawn):
            return
        try:
            step = state.receive(message)
        except ProtocolViolation as violation:
            if violation.rule == Rule.LATE:
                return
            self._violations.append(violation)
            step = state.withdraw(violation.rule)
        self.adopt_client(client, step)
