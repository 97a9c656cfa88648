"""The parties of session vectors played by our state machines (see tests/reference/transcripts.py)."""

import numpy as np

from fecosr.crypto.signatures import SigningKey
from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.client import ClientState, Revealed, Withdrawn, begin
from fecosr.secagg.evidence import ChangedShare
from fecosr.secagg.messages import Phase
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.rules import Rule
from fecosr.secagg.run import Participant
from fecosr.secagg.server import (
    Aborted,
    Completed,
    DropoutReason,
    ServerState,
    ServerTransition,
    open_session,
)
from tests.reference.protocol import Refused
from tests.reference.transcripts import PlaysClient, PlaysServer, Sent
from tests.vectors.messages import Json, client_message, server_message, to_json

_NO_LIMITS = dict.fromkeys(Phase, float("inf"))


def parameters_of(vector: Json) -> SecAggParameters:
    """Return what everybody agreed on."""
    rules = vector["parameters"]
    return SecAggParameters(**{**rules, "context": bytes.fromhex(rules["context"])})


def roster_of(vector: Json) -> dict[NodeId, bytes]:
    """Return the pinned identities."""
    return {NodeId(name): bytes.fromhex(public) for name, public in vector["roster"].items()}


def participant_of(vector: Json, me: str) -> Participant:
    """Return what one client brings."""
    mine = vector["clients"][me]
    identity = SigningKey(bytes.fromhex(mine["identity_seed"]))
    elements = np.array(mine["vector"], dtype=np.uint32)
    return Participant(NodeId(me), identity, elements, bytes.fromhex(mine["entropy"]))


class _Client:
    def __init__(self, state: ClientState) -> None:
        self._state = state

    def receive(self, body: Json) -> Json:
        """Return the answer to one message."""
        assert not isinstance(self._state, Revealed | Withdrawn)
        try:
            step = self._state.receive(server_message(body))
        except ProtocolViolation as violation:
            raise Refused(Rule(violation.rule).name.lower(), violation.peer) from None
        self._state = step.state
        (answer,) = step.outbox
        return to_json(answer)


def _convicted(ended: Completed | Aborted) -> list[list[str]]:
    """Return who was convicted of what, and of whose secret the shares were."""
    return sorted(
        [
            conviction.culprit,
            conviction.fault.value,
            conviction.owner if isinstance(conviction, ChangedShare) else conviction.culprit,
        ]
        for conviction in ended.convictions
    )


class _Server:
    def __init__(self, state: ServerState, ring_bits: int) -> None:
        self._state = state
        self._ring_bits = ring_bits

    @property
    def outcome(self) -> Json | None:
        """Return how the session ended; None while it runs."""
        if isinstance(self._state, Completed):
            total = self._state.total.tolist()
            survivors = list(self._state.survivors)
            return {"survivors": survivors, "total": total, "convicted": _convicted(self._state)}
        if isinstance(self._state, Aborted):
            return {"aborted": self._state.reason.value, "convicted": _convicted(self._state)}
        return None

    def receive(self, sender: str, body: Json) -> Sent:
        """Return what is sent to whom after one message."""
        assert not isinstance(self._state, Completed | Aborted)
        try:
            step = self._state.receive(NodeId(sender), client_message(body, self._ring_bits), 0.0)
        except ProtocolViolation as violation:
            raise Refused(Rule(violation.rule).name.lower(), violation.peer) from None
        return self._adopt(step)

    def leave(self, client: str) -> Sent:
        """Return what is sent to whom after a client has left."""
        if isinstance(self._state, Completed | Aborted):
            return []
        return self._adopt(self._state.drop(NodeId(client), DropoutReason.DISCONNECTED, 0.0))

    def _adopt(self, step: ServerTransition) -> Sent:
        self._state = step.state
        return [(envelope.to, to_json(envelope.message)) for envelope in step.outbox]


class Ours:
    """Make the parties of a session vector from our state machines."""

    def client(self, vector: Json, me: str) -> tuple[PlaysClient, Json]:
        """Return a client and its first message."""
        who = participant_of(vector, me)
        begun = begin(
            parameters_of(vector), who.client, who.identity, roster_of(vector), who.vector, who.entropy
        )
        return _Client(begun.state), to_json(begun.outbox[0])

    def server(self, vector: Json) -> PlaysServer:
        """Return the server."""
        expected = frozenset(map(NodeId, vector["clients"]))
        opened = open_session(parameters_of(vector), roster_of(vector), expected, _NO_LIMITS, 0.0)
        return _Server(opened.state, vector["parameters"]["ring_bits"])
