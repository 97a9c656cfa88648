"""The drivers of the server and of every client in one: store records, then send, and keep virtual time.

A masked input is an upload: it breaks off when its client crashes, and it is computed only when its last byte
arrives. So the simulation holds one masked vector at a time, however many are on their way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.client import (
    AwaitingShares,
    ClientRecord,
    ClientState,
    ClientTransition,
    Revealed,
    Withdrawn,
)
from fecosr.secagg.messages import (
    ClientMessage,
    ConsistencySignature,
    EncryptedShares,
    KeyAdvert,
    MaskedInput,
    Phase,
    ServerMessage,
    ShareDelivery,
    UnmaskShares,
)
from fecosr.secagg.rules import Rule
from fecosr.secagg.server import (
    Aborted,
    Completed,
    DropoutReason,
    RunningState,
    ServerRecord,
    ServerState,
    ServerTransition,
)
from fecosr.simulation.network import Network
from fecosr.simulation.trace import Trace

_PHASE_OF: Final[Mapping[type[ClientMessage], Phase]] = {
    KeyAdvert: Phase.ADVERTISE_KEYS,
    EncryptedShares: Phase.SHARE_KEYS,
    MaskedInput: Phase.MASKED_INPUT,
    ConsistencySignature: Phase.CONSISTENCY,
    UnmaskShares: Phase.UNMASK,
}


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


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """Carry the masked input with which a client that waited for shares answers them."""

    sender: NodeId
    waiting: AwaitingShares
    delivery: ShareDelivery


@dataclass(frozen=True, slots=True)
class Crash:
    """Stop one client for good; the server may or may not notice."""

    client: NodeId
    noticed: bool


Event = ToServer | ToClient | Upload | Crash


class Drivers:
    """Let one thing happen after another until the server has ended.

    Args:
        network: everything that is on its way.
        expected: the clients.
        opened: the server's first transition.
        leaving: in which phase a client crashes instead of answering.
        clock: returns seconds, by which the server's share of the work is told.
    """

    def __init__(
        self,
        network: Network[Event],
        expected: frozenset[NodeId],
        opened: ServerTransition,
        leaving: Mapping[NodeId, tuple[Phase, Crash]],
        clock: Callable[[], float],
    ) -> None:
        self._network = network
        self._leaving = leaving
        self._server = opened.state
        self._deadline = opened.deadline
        self._clock = clock
        self._uploading: set[NodeId] = set()
        self.now = 0.0
        self.server_seconds = 0.0
        self.clients: dict[NodeId, ClientState] = {}
        self.crashed: set[NodeId] = set()
        self.server_records: list[ServerRecord] = []
        self.client_records: dict[NodeId, list[ClientRecord]] = {}
        self.violations: list[ProtocolViolation] = []
        self.trace = Trace(expected)

    def run(self, watch: Callable[[ServerState], None]) -> Completed | Aborted:
        """Return how the session ended, having shown `watch` the server's state after everything."""
        while not isinstance(self._server, Completed | Aborted):
            self._happen(self._server)
            watch(self._server)
        return self._server

    def adopt_client(self, client: NodeId, step: ClientTransition) -> None:
        """Store a client's records, then send its messages, unless it leaves now."""
        self.client_records.setdefault(client, []).extend(step.records)
        self.clients[client] = step.state
        for message in step.outbox:
            if not self._leaves(client, _PHASE_OF.get(type(message))):
                self._network.send(ToServer(client, message), self.now)

    def _leaves(self, client: NodeId, phase: Phase | None) -> bool:
        when, crash = self._leaving.get(client, (None, None))
        if crash is None or when is not phase:
            return False
        self._network.schedule(crash, self.now)
        self.crashed.add(client)
        return True

    def _happen(self, server: RunningState) -> None:
        deadline = float("inf") if self._deadline is None else self._deadline
        if deadline <= self._network.next_at():
            self.now = deadline
            self._adopt_server(server, self._timed(lambda: server.expire(self.now)))
            return
        self.now = self._network.next_at()
        match self._network.receive():
            case Crash(client, noticed):
                self.crashed.add(client)
                if noticed:
                    reason = DropoutReason.DISCONNECTED
                    self._adopt_server(server, self._timed(lambda: server.drop(client, reason, self.now)))
            case ToServer(sender, message):
                self._server_receives(server, sender, message)
            case ToClient(destination, message) if destination not in self.crashed:
                self._client_receives(destination, message)
            case Upload() as upload if upload.sender not in self.crashed:
                self._upload_ends(server, upload)

    def _adopt_server(self, before: RunningState, step: ServerTransition) -> None:
        self.server_records.extend(step.records)
        self.trace.note(before, step.state)
        self._server, self._deadline = step.state, step.deadline
        for envelope in step.outbox:
            self._network.send(ToClient(envelope.to, envelope.message), self.now)

    def _timed(self, act: Callable[[], ServerTransition]) -> ServerTransition:
        """Let the server do something, and count how long it takes."""
        begin = self._clock()
        try:
            return act()
        finally:
            self.server_seconds += self._clock() - begin

    def _server_receives(self, server: RunningState, sender: NodeId, message: ClientMessage) -> None:
        try:
            step = self._timed(lambda: server.receive(sender, message, self.now))
        except ProtocolViolation as violation:
            # What the network delayed or repeated says nothing against its sender.
            if violation.rule == Rule.LATE:
                return
            self.violations.append(violation)
            step = server.drop(sender, DropoutReason.VIOLATION, self.now)
        else:
            if type(message) in _PHASE_OF:
                self.trace.answered[server.phase].add(sender)
        self._adopt_server(server, step)

    def _client_receives(self, client: NodeId, message: ServerMessage) -> None:
        state = self.clients[client]
        if isinstance(state, Revealed | Withdrawn) or client in self._uploading:
            return
        if isinstance(state, AwaitingShares) and isinstance(message, ShareDelivery):
            if not self._leaves(client, Phase.MASKED_INPUT):
                self._uploading.add(client)
                self._network.send(Upload(client, state, message), self.now)
            return
        try:
            step = state.receive(message)
        except ProtocolViolation as violation:
            if violation.rule == Rule.LATE:
                return
            self.violations.append(violation)
            step = state.withdraw(violation.rule)
        self.adopt_client(client, step)

    def _upload_ends(self, server: RunningState, upload: Upload) -> None:
        """Mask the client's vector and hand it in; where the network repeats it, the same bytes once more."""
        client = upload.sender
        try:
            step = upload.waiting.receive(upload.delivery)
        except ProtocolViolation as violation:
            self.violations.append(violation)
            step = upload.waiting.withdraw(violation.rule)
        if client in self._uploading:
            self._uploading.remove(client)
            self.client_records[client].extend(step.records)
            self.clients[client] = step.state
        for message in step.outbox:
            self._server_receives(server, client, message)
