"""What all parties of one secure aggregation must agree on before the first key is made."""

from dataclasses import dataclass

from fecosr.errors import MisuseError
from fecosr.secagg.packing import FULL_BITS, check_ring

CONTEXT_BYTES = 32
MAX_CLIENTS = 1024
"""The largest cohort: everybody still verifies everybody's advert."""


@dataclass(frozen=True, slots=True)
class SecAggParameters:
    """Fix the length of the vectors and the rules about how many clients must be present.

    Attributes:
        context: 32-byte hash of what the sum is for (the round manifest). Every key, associated datum and
            signature is bound to it, so that clients who were told different things can never cancel masks.
        length: number of ring elements (uint32) in each client's vector.
        n_min: fewest clients whose sum may be opened. Every client enforces it, at the adverts and again
            before it reveals a share.
        max_colluding: clients assumed to share everything they know with the server.
        ring_bits: 32, 24 or 16: masked vectors are cut to that many bits before they travel, and the sum is
            one modulo 2^ring_bits.

    Raises:
        MisuseError: a value is out of range, or `n_min < max_colluding + 2` (the sum would hide nobody).
    """

    context: bytes
    length: int
    n_min: int
    max_colluding: int
    ring_bits: int = FULL_BITS

    def __post_init__(self) -> None:
        if len(self.context) != CONTEXT_BYTES:
            raise MisuseError(f"context must be {CONTEXT_BYTES} bytes")
        check_ring(self.ring_bits)
        if self.length < 1:
            raise MisuseError("a vector needs at least one element")
        if self.max_colluding < 0:
            raise MisuseError("max_colluding cannot be negative")
        if self.n_min < self.max_colluding + 2:
            raise MisuseError("n_min must be at least max_colluding + 2, or the sum hides nobody")

    def threshold(self, num_clients: int) -> int:
        """Return t, how many of `num_clients` must sign a survivor list.

        The smallest t with `2 t > num_clients + max_colluding`: then two quorums that sign two different
        survivor lists would need more than `max_colluding` clients in both, so at most one list can win.
        Where everybody holds shares of everybody's secrets, as many open one.

        Reference: Bell et al. 2020 (SecAgg+), Section 4, the consistency check.
        """
        return (num_clients + self.max_colluding) // 2 + 1

    def fewest_survivors(self, num_clients: int) -> int:
        """Return how many of `num_clients` must survive a phase for the sum to be opened."""
        return max(self.n_min, self.threshold(num_clients))
