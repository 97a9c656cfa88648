"""Who may take part, and which of them are invited to a round."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fecosr.crypto.labels import Label, encode, sha256
from fecosr.errors import MisuseError
from fecosr.ids import NodeId, RunId

PUBLIC_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Roster:
    """Pin the Ed25519 identity of the coordinator and of every market that may ever take part.

    The roster is fixed at provisioning and the same in every kit, so the coordinator can neither invent
    markets (Sybils) nor swap a market's keys.

    Attributes:
        coordinator: the coordinator's public key, 32 bytes.
        nodes: every market's public key, 32 bytes each, by name.
    """

    coordinator: bytes
    nodes: Mapping[NodeId, bytes]

    def __post_init__(self) -> None:
        keys = [self.coordinator, *self.nodes.values()]
        if any(len(public) != PUBLIC_KEY_BYTES for public in keys):
            raise MisuseError(f"an identity is {PUBLIC_KEY_BYTES} bytes")
        if len(set(keys)) != len(keys):
            raise MisuseError("two parties share one identity")
        object.__setattr__(self, "nodes", MappingProxyType(dict(sorted(self.nodes.items()))))


def num_invited(participation: float, num_markets: int) -> int:
    """Return how many markets are invited to a round.

    Args:
        participation: at most 1: a fraction of the markets, rounded up; above: a number of them.
        num_markets: in the roster.
    """
    if participation > 1:
        return min(int(participation), num_markets)
    # A fraction such as 0.7 is no binary number: seven tenths of ten markets are seven, not eight.
    return max(1, math.ceil(participation * num_markets - 1e-9))


def invited(run: RunId, round_number: int, roster: Roster, participation: float) -> frozenset[NodeId]:
    """Return the markets that are invited to a round, in every attempt at it; to round 0 all are.

    Those whose SHA-256 of run, round, roster and name is smallest. Coordinator, nodes and auditor compute it
    alike, so nobody can choose who takes part together with whom once the run is provisioned.
    """
    count = num_invited(participation, len(roster.nodes))
    if count == len(roster.nodes) or round_number == 0:
        return frozenset(roster.nodes)
    pinned = [part for name, public in roster.nodes.items() for part in (name.encode(), public)]
    everybody = sha256(encode(Label.PARTICIPATION, roster.coordinator, *pinned))
    number = round_number.to_bytes(8, "big")

    def lot(name: NodeId) -> bytes:
        return sha256(encode(Label.PARTICIPATION, everybody, run.encode(), number, name.encode()))

    return frozenset(sorted(roster.nodes, key=lot)[:count])
