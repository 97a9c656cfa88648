"""Who takes part in a simulation, and with which vector."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from fecosr.crypto.prg import expand
from fecosr.crypto.signatures import SigningKey
from fecosr.ids import NodeId, node_id
from fecosr.secagg.masking import Vector


class Participating(Protocol):
    """Be what a session needs of a client; `vector` is asked for only when it is masked or added up."""

    @property
    def client(self) -> NodeId:
        """Return its name."""

    @property
    def identity(self) -> SigningKey:
        """Return its signing key."""

    @property
    def entropy(self) -> bytes:
        """Return its 32 bytes for this session."""

    @property
    def vector(self) -> Vector:
        """Return what it adds to the sum, uint32 [length]."""


@dataclass(frozen=True, slots=True)
class SeededParticipant:
    """Derive all that a client brings from the simulation's seed, its vector anew each time it is asked for.

    So a thousand clients cost the memory of one vector, not of a thousand.

    Attributes:
        client: its name.
        length: elements of its vector.
        seed: of the simulation.
    """

    client: NodeId
    length: int
    seed: int
    identity: SigningKey = field(init=False)
    entropy: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", SigningKey(self._derive("identity")))
        object.__setattr__(self, "entropy", self._derive("entropy"))

    @property
    def vector(self) -> Vector:
        """Return its vector, uniform over the whole ring, uint32 [length]."""
        return expand(self._derive("vector"), self.length)

    def _derive(self, purpose: str) -> bytes:
        return hashlib.sha256(f"fecosr simulation {self.seed} {self.client} {purpose}".encode()).digest()


def seeded_participants(num_clients: int, length: int, seed: int) -> tuple[SeededParticipant, ...]:
    """Return `num_clients` clients named node-0001 and so on."""
    return tuple(
        SeededParticipant(node_id(f"node-{number:04}"), length, seed) for number in range(1, num_clients + 1)
    )


def oracle_sum(participants: Iterable[Participating], survivors: Iterable[NodeId], length: int) -> Vector:
    """Return what the sum over `survivors` must be, added up in the clear, uint32 [length]."""
    chosen = frozenset(survivors)
    total = np.zeros(length, dtype=np.uint64)  # [length]
    for someone in participants:
        if someone.client in chosen:
            total += someone.vector
    return (total % 2**32).astype(np.uint32)
