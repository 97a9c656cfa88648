"""Ring elements as they travel: 4, 3 or 2 bytes each, so that a smaller ring makes a smaller upload.

All arithmetic is on uint32 modulo 2^32. A smaller ring is its low bits: because 2^16 and 2^24 divide 2^32,
sums and masks agree modulo the smaller power as well, so it is enough to cut every masked vector once, before
it travels, and the sum once, at the end. One mask generator serves all rings; what is cut off was uniform.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fecosr.crypto.prg import BLOCK_ELEMENTS
from fecosr.errors import MisuseError

RING_BITS: Final = (32, 24, 16)
"""The rings there are, by the binary logarithm of their size."""
FULL_BITS: Final = 32
Packed = npt.NDArray[Any]
"""Elements as they travel, little-endian: uint32 [length], uint8 [length, 3] or uint16 [length]."""


def check_ring(ring_bits: int) -> None:
    """Refuse a ring that there is no packing for.

    Raises:
        MisuseError: it is none of RING_BITS.
    """
    if ring_bits not in RING_BITS:
        raise MisuseError(f"a ring has {', '.join(map(str, RING_BITS))} bits, not {ring_bits}")


def packed_bytes(length: int, ring_bits: int) -> int:
    """Return how many bytes `length` elements take when they travel."""
    return length * ring_bits // 8


def make_room(length: int, ring_bits: int) -> Packed:
    """Return an array for `length` packed elements, its contents undefined.

    Raises:
        MisuseError: there is no such ring.
    """
    check_ring(ring_bits)
    return _shaped(np.empty(packed_bytes(length, ring_bits), dtype=np.uint8), ring_bits)


def from_octets(octets: bytes | memoryview | npt.NDArray[np.uint8], ring_bits: int) -> Packed:
    """Return the packed elements that `octets` hold, without copying them.

    Raises:
        MisuseError: there is no such ring, or the octets are not a whole number of elements.
    """
    check_ring(ring_bits)
    row = octets if isinstance(octets, np.ndarray) else np.frombuffer(octets, dtype=np.uint8)
    if row.size % (ring_bits // 8):
        raise MisuseError("octets are not a whole number of ring elements")
    return _shaped(row, ring_bits)


def is_packed(vector: Packed, length: int, ring_bits: int) -> bool:
    """Return whether `vector` has the form of `length` packed elements of this ring."""
    if ring_bits == 24:
        return vector.dtype == np.uint8 and vector.shape == (length, 3)
    return vector.dtype == (np.uint32 if ring_bits == FULL_BITS else np.uint16) and vector.shape == (length,)


def pack_into(packed: Packed, block: npt.NDArray[np.uint32]) -> None:
    """Overwrite `packed` with the elements of `block`, reduced to the ring of `packed`."""
    if packed.ndim == 1:
        np.copyto(packed, block, casting="unsafe")
        return
    octets = block.view(np.uint8).reshape(-1, 4)
    # Byte by byte: numpy copies three long columns six times as fast as many rows of three.
    for column in range(3):
        packed[:, column] = octets[:, column]


def add_packed(total: npt.NDArray[np.uint32], packed: Packed) -> None:
    """Add packed elements to the sum, in place, block by block.

    Args:
        total: uint32 [length].
        packed: as many elements of any ring.
    """
    block = np.zeros(min(total.size, BLOCK_ELEMENTS), dtype=np.uint32)
    for start in range(0, total.size, BLOCK_ELEMENTS):
        sums = total[start : start + BLOCK_ELEMENTS]
        part = packed[start : start + BLOCK_ELEMENTS]
        np.add(sums, part if part.ndim == 1 else _widened(part, block[: sums.size]), out=sums)


def empty_sum(length: int) -> npt.NDArray[np.uint32]:
    """Return a sum of nothing, uint32 [length], that takes no memory and cannot be added to."""
    return np.broadcast_to(np.uint32(0), (length,))


def begin_sum(packed: Packed, length: int, *, may_keep: bool) -> npt.NDArray[np.uint32]:
    """Return a sum of one vector, uint32 [length], that can be added to.

    Args:
        packed: as many elements of any ring.
        length: the number of elements.
        may_keep: whether `packed` itself may become the sum, where it can.
    """
    if may_keep and packed.ndim == 1 and packed.dtype == np.uint32 and packed.flags.writeable:
        return packed
    total = np.zeros(length, dtype=np.uint32)  # [length]
    add_packed(total, packed)
    return total


def reduce_to_ring(total: npt.NDArray[np.uint32], ring_bits: int) -> None:
    """Reduce the elements, in place, modulo 2^ring_bits."""
    if ring_bits < FULL_BITS:
        np.bitwise_and(total, np.uint32((1 << ring_bits) - 1), out=total)


def _widened(part: Packed, block: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    octets = block.view(np.uint8).reshape(-1, 4)
    for column in range(3):
        octets[:, column] = part[:, column]
    return block


def _shaped(octets: npt.NDArray[np.uint8], ring_bits: int) -> Packed:
    if ring_bits == 24:
        return octets.reshape(-1, 3)
    return octets.view("<u4") if ring_bits == FULL_BITS else octets.view("<u2")
