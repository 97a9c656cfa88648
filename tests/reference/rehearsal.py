"""Every state and message of one whole session, kept by phase, for tests that want to step in anywhere."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import pytest

from fecosr.crypto.signatures import SigningKey
from fecosr.errors import ProtocolViolation
from fecosr.ids import COORDINATOR, NodeId
from fecosr.secagg.client import ClientRecord, ClientState, RunningClient, begin
from fecosr.secagg.masking import Vector
from fecosr.secagg.messages import (
    AdvertList,
    ClientMessage,
    ConsistencyProof,
    Phase,
    ServerMessage,
    ShareDelivery,
    SurvivorList,
)
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.rules import Rule
from fecosr.secagg.run import Participant
from fecosr.secagg.server import (
    CohortFixed,
    CollectingInputs,
    CollectingSignatures,
    CollectingUnmaskShares,
    Completed,
    DropoutReason,
    RunningState,
    ServerRecord,
    ServerState,
    open_session,
)

PHASE_SECONDS = dict.fromkeys(Phase, 10.0)
NAMES = tuple(NodeId(name) for name in ("at", "be", "cz", "de", "es", "fr", "gr", "hu", "it"))
CONTEXT = b"\xc0" * 32
ME = NodeId("be")
"""Whom the tests look over the shoulder of."""


def identity_of(client: NodeId) -> SigningKey:
    return SigningKey(client.encode().ljust(32, b"."))


def names_of(num_clients: int) -> Sequence[NodeId]:
    if num_clients <= len(NAMES):
        return NAMES[:num_clients]
    return [NodeId(f"m{number:04}") for number in range(num_clients)]


def make_participants(
    num_clients: int, length: int = 6, seed: int = 0, entropy: bytes = b""
) -> list[Participant]:
    """Return clients with vectors over the whole ring; more than have names of their own are numbered."""
    rng = np.random.default_rng(seed)
    return [
        Participant(
            client,
            identity_of(client),
            rng.integers(0, 2**32, length, dtype=np.uint32),
            (client.encode() + entropy).ljust(32, b"!"),
        )
        for client in names_of(num_clients)
    ]


def plain_sum(
    participants: Iterable[Participant], survivors: Iterable[NodeId], ring_bits: int = 32
) -> list[int]:
    """Return what the sum must be, one Python integer after another."""
    chosen = set(survivors)
    vectors = [someone.vector.tolist() for someone in participants if someone.client in chosen]
    return [sum(column) % 2**ring_bits for column in zip(*vectors, strict=True)]


@dataclass
class Rehearsal:
    """Hold what happened.

    Attributes:
        servers: the server at the beginning of each phase.
        said: what each client answered in each phase.
        clients: each client while it waits for the server's answer of each phase.
        told: that answer.
    """

    parameters: SecAggParameters
    participants: list[Participant]
    roster: Mapping[NodeId, bytes]
    servers: dict[Phase, RunningState] = field(default_factory=dict)
    said: dict[Phase, dict[NodeId, ClientMessage]] = field(default_factory=dict)
    clients: dict[Phase, dict[NodeId, RunningClient]] = field(default_factory=dict)
    told: dict[Phase, dict[NodeId, ServerMessage]] = field(default_factory=dict)
    server_records: list[ServerRecord] = field(default_factory=list)
    client_records: list[ClientRecord] = field(default_factory=list)
    outcome: ServerState | None = None

    @property
    def session(self) -> bytes:
        return next(record.session for record in self.server_records if isinstance(record, CohortFixed))

    def collect(
        self, phase: Phase, said: Mapping[NodeId, ClientMessage] | None = None, now: float = 0.0
    ) -> ServerState:
        """Let the server of one phase take in the phase's answers, or others in their place."""
        state: ServerState = fresh(self.servers[phase])
        for sender, message in (self.said[phase] if said is None else said).items():
            assert isinstance(state, RunningState)
            state = state.receive(sender, message, now).state
        return state


Told = TypeVar("Told", AdvertList, ShareDelivery, SurvivorList, ConsistencyProof)


def told_in(play: Rehearsal, phase: Phase, kind: type[Told]) -> Told:
    """Return what the server told `ME` in a phase."""
    message = play.told[phase][ME]
    assert isinstance(message, kind)
    return message


def assert_client_refuses(
    play: Rehearsal, phase: Phase, message: ServerMessage, rule: Rule, peer: NodeId = COORDINATOR
) -> None:
    """Check that the client names the rule and who broke it, and that the honest message still works."""
    state = play.clients[phase][ME]
    with pytest.raises(ProtocolViolation) as refusal:
        state.receive(message)
    assert (refusal.value.rule, refusal.value.peer, refusal.value.phase) == (rule, peer, phase)
    assert state.receive(play.told[phase][ME]).outbox


def assert_server_refuses(
    play: Rehearsal, phase: Phase, message: ClientMessage, rule: Rule, sender: NodeId = ME
) -> None:
    """Check that the server names the rule and who broke it, and that the honest session still works."""
    state: ServerState = fresh(play.servers[phase])
    assert isinstance(state, RunningState)
    with pytest.raises(ProtocolViolation) as refusal:
        state.receive(sender, message, 0.0)
    assert (refusal.value.rule, refusal.value.peer, refusal.value.phase) == (rule, sender, phase)
    for client, said in play.said[phase].items():
        assert isinstance(state, RunningState)
        state = state.receive(client, said, 0.0).state
    assert isinstance(state, Completed) or (isinstance(state, RunningState) and state.phase is not phase)


def fresh(state: RunningState) -> RunningState:
    """Return the state with a running sum of its own."""
    if isinstance(state, CollectingInputs | CollectingSignatures | CollectingUnmaskShares):
        return replace(state, total=state.total.copy())
    return state


Forge = Callable[[ClientState, ClientMessage], ClientMessage]
"""Says what a client says that is in a state and would have said something."""


def honest(state: ClientState, message: ClientMessage) -> ClientMessage:
    """Return what the client would have said."""
    del state
    return message


def rehearse(
    num_clients: int = 5,
    *,
    leaves: Callable[[NodeId, Phase], bool] = lambda _client, _phase: False,
    n_min: int = 3,
    max_colluding: int = 1,
    context: bytes = CONTEXT,
    participants: list[Participant] | None = None,
    ring_bits: int = 32,
    forge: Forge = honest,
) -> Rehearsal:
    """Play a session phase by phase, keeping everything; `forge` says what a client says instead."""
    people = participants or make_participants(num_clients)
    roster = {client: identity_of(client).public for client in (*NAMES, *(p.client for p in people))}
    parameters = SecAggParameters(context, len(people[0].vector), n_min, max_colluding, ring_bits)
    play = Rehearsal(parameters, people, roster)
    expected = frozenset(someone.client for someone in people)
    server: ServerState = open_session(parameters, roster, expected, PHASE_SECONDS, 0.0).state
    begun = {p.client: begin(parameters, p.client, p.identity, roster, p.vector, p.entropy) for p in people}
    states: dict[NodeId, ClientState] = {client: step.state for client, step in begun.items()}
    answers = {client: step.outbox[0] for client, step in begun.items()}
    while isinstance(server, RunningState):
        phase = server.phase
        play.servers[phase] = fresh(server)
        play.said[phase] = {client: said for client, said in answers.items() if not leaves(client, phase)}
        play.clients[phase] = {client: states[client] for client in answers}  # type: ignore[misc]  # all wait
        play.told[phase] = {}
        for client, answer in answers.items():
            if not isinstance(server, RunningState):
                break
            if leaves(client, phase):
                step = server.drop(client, DropoutReason.DISCONNECTED, 0.0)
            else:
                play.said[phase][client] = forge(states[client], answer)
                step = server.receive(client, play.said[phase][client], 0.0)
            server = step.state
            play.server_records.extend(step.records)
            play.told[phase] |= {envelope.to: envelope.message for envelope in step.outbox}
        answers = {}
        for client, message in play.told[phase].items():
            waiting = play.clients[phase][client]
            moved = waiting.receive(message)
            play.client_records.extend(moved.records)
            states[client], answers[client] = moved.state, moved.outbox[0]
    play.outcome = server
    return play


def vector_of(participants: Iterable[Participant], client: NodeId) -> Vector:
    return next(someone.vector for someone in participants if someone.client == client)
