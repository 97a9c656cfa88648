"""Who takes part in a simulation, and with which vector."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from fecosr.crypto.prg import BLOCK_ELEMENTS, Keystream
from fecosr.crypto.signatures import SigningKey
from fecosr.ids import NodeId, node_id
from fecosr.secagg.masking import Summand, Vector
from fecosr.secagg.parameters import SecAggParameters


class Participating(Protocol):
    """Be what a session needs of a client."""

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
    def vector(self) -> Vector | Summand:
        """Return what it adds to the sum, uint32 [length], or what writes it when it is needed."""


@dataclass(frozen=True, slots=True)
class SeededVector:
    """Write a vector that is uniform over the whole ring, so that a thousand of them need no memory.

    Attributes:
        seed: 32 bytes that decide the vector.
        length: how many elements it has.
    """

    seed: bytes = field(repr=False)
    length: int

    def write(self, start: int, block: Vector) -> None:
        """Overwrite `block`, uint32 [at most BLOCK_ELEMENTS], with the elements from `start` on."""
        Keystream(self.seed, start).fill(block)


@dataclass(frozen=True, slots=True)
class SeededParticipant:
    """Derive all that a client brings from the simulation's seed.

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
    vector: SeededVector = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", SigningKey(self._derive("identity")))
        object.__setattr__(self, "entropy", self._derive("entropy"))
        object.__setattr__(self, "vector", SeededVector(self._derive("vector"), self.length))

    def _derive(self, purpose: str) -> bytes:
        return hashlib.sha256(f"fecosr simulation {self.seed} {self.client} {purpose}".encode()).digest()


def seeded_participants(num_clients: int, length: int, seed: int) -> tuple[SeededParticipant, ...]:
    """Return `num_clients` clients named node-0001 and so on."""
    return tuple(
        SeededParticipant(node_id(f"node-{number:04}"), length, seed) for number in range(1, num_clients + 1)
    )


def oracle_sum(
    participants: Iterable[Participating], survivors: Iterable[NodeId], parameters: SecAggParameters
) -> Vector:
    """Return what the sum over `survivors` must be, added up in the clear, uint32 [length]."""
    chosen = frozenset(survivors)
    total = np.zeros(parameters.length, dtype=np.uint64)  # [length]
    for someone in participants:
        if someone.client in chosen:
            _add(total, someone.vector)
    return (total % (1 << parameters.ring_bits)).astype(np.uint32)


def _add(total: np.ndarray[tuple[int], np.dtype[np.uint64]], vector: Vector | Summand) -> None:
    if isinstance(vector, np.ndarray):
        total += vector
        return
    for start in range(0, vector.length, BLOCK_ELEMENTS):
        block = np.empty(min(BLOCK_ELEMENTS, vector.length - start), dtype=np.uint32)
        vector.write(start, block)
        total[start : start + block.size] += block
