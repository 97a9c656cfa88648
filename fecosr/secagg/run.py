"""The whole protocol in one function: documentation, test oracle, and the smallest driver there is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fecosr.crypto.signatures import SigningKey
from fecosr.ids import NodeId
from fecosr.secagg.client import ClientState, Revealed, Withdrawn, begin
from fecosr.secagg.masking import Vector
from fecosr.secagg.messages import ClientMessage, Phase
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.server import (
    Aborted,
    Completed,
    DropoutReason,
    Envelope,
    RunningState,
    ServerState,
    open_session,
)

Leaves = Callable[[NodeId, Phase], bool]
"""Says whether a client leaves in a phase instead of answering."""

_NOW: Final = 0.0
_NO_LIMITS: Final = dict.fromkeys(Phase, float("inf"))


@dataclass(frozen=True, slots=True, eq=False)
class Participant:
    """Hold what one client brings to a session.

    Attributes:
        client: its name.
        identity: its signing key.
        vector: what it adds to the sum, uint32 [length].
        entropy: 32 fresh bytes.
    """

    client: NodeId
    identity: SigningKey
    vector: Vector = field(repr=False)
    entropy: bytes = field(repr=False)


def nobody_leaves(client: NodeId, phase: Phase) -> bool:
    """Return that the client stays."""
    del client, phase
    return False


def run_secagg(
    parameters: SecAggParameters, participants: Sequence[Participant], leaves: Leaves = nobody_leaves
) -> Completed | Aborted:
    """Add up the vectors of all participants that do not leave.

    Every turn of the loop is one phase: each client answers the server's last message or leaves, and the
    server answers all of them together.

    | phase | client says | server answers |
    |---|---|---|
    | AdvertiseKeys | KeyAdvert: signed fresh keys, commitment to its seed | AdvertList: all of them |
    | ShareKeys | EncryptedShares: of its seed and its mask key, one pair for each | ShareDelivery: its own |
    | MaskedInput | MaskedInput: vector + masks, who dealt unusably | SurvivorList: whose vectors came |
    | Consistency | ConsistencySignature: I signed this list and no other | ConsistencyProof: a quorum did |
    | Unmask | UnmaskShares: survivors' seeds, dropouts' mask keys | opens the secrets, takes the masks out |

    Args:
        parameters: what everybody agreed on.
        participants: the clients.
        leaves: whether a client leaves in a phase instead of answering.

    Returns:
        The sum over the survivors, or why there is none.
    """
    roster = {participant.client: participant.identity.public for participant in participants}
    server: ServerState = open_session(parameters, roster, frozenset(roster), _NO_LIMITS, _NOW).state
    clients: dict[NodeId, ClientState] = {}
    answers: dict[NodeId, ClientMessage] = {}
    for someone in participants:
        begun = begin(parameters, someone.client, someone.identity, roster, someone.vector, someone.entropy)
        clients[someone.client], (answers[someone.client],) = begun.state, begun.outbox

    while not isinstance(server, Completed | Aborted):
        server, envelopes = _server_turn(server, answers, leaves)
        clients, answers = _clients_turn(clients, envelopes)
    return server


def _server_turn(
    server: RunningState, answers: Mapping[NodeId, ClientMessage], leaves: Leaves
) -> tuple[ServerState, Sequence[Envelope]]:
    state: ServerState = server
    envelopes: Sequence[Envelope] = ()
    for client, answer in answers.items():
        if isinstance(state, Completed | Aborted):
            break
        if leaves(client, server.phase):
            step = state.drop(client, DropoutReason.DISCONNECTED, _NOW)
        else:
            step = state.receive(client, answer, _NOW)
        state, envelopes = step.state, step.outbox
    return state, envelopes


def _clients_turn(
    clients: Mapping[NodeId, ClientState], envelopes: Sequence[Envelope]
) -> tuple[dict[NodeId, ClientState], dict[NodeId, ClientMessage]]:
    states, answers = dict(clients), dict[NodeId, ClientMessage]()
    for envelope in envelopes:
        state = states[envelope.to]
        if isinstance(state, Revealed | Withdrawn):
            continue
        step = state.receive(envelope.message)
        states[envelope.to], (answers[envelope.to],) = step.state, step.outbox
    return states, answers
