"""A public random rotation that spreads an update evenly over its coordinates.

A small ring has few steps for the largest coordinate there can be. Before the rotation that is the whole
norm; afterwards hardly more than the norm over the root of the block length, and the steps are finer by that.

The vector is cut into blocks of B elements, B the largest power of two within its length and MAX_BLOCK. In
each block signs are flipped by the bits of a keystream, and the Walsh-Hadamard transform, divided by the
root of B, is taken. What is left over at the end is covered by one more block, the last B elements, which is
rotated last and overlaps with its neighbour. Every step is orthogonal, so norm and length stay as they are.

Reference: Ailon, Chazelle 2009 (fast Johnson-Lindenstrauss transform);
Suresh et al. 2017, "Distributed Mean Estimation with Limited Communication".
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.crypto.key_agreement import derive_key
from fecosr.crypto.labels import Label
from fecosr.crypto.prg import expand

MAX_BLOCK: Final = 1 << 16
"""256 KiB of float32: all passes of the transform stay in cache."""
FAILURE_BITS: Final = 40
"""The chance that any coordinate of one rotated update is above its bound is at most 2^-40."""
_BITS_PER_ELEMENT: Final = 32

Reals = npt.NDArray[np.float32]


def block_length(length: int) -> int:
    """Return B, the largest power of two that is at most `length` and MAX_BLOCK."""
    return int(min(MAX_BLOCK, 1 << (length.bit_length() - 1)))


def coordinate_bound(norm: float, length: int) -> float:
    """Return what no coordinate of a rotated vector of at most this L2 norm exceeds, but with chance 2^-40.

    norm * sqrt(2 ln(4 B / 2^-40) / B), and never more than the norm itself.

    Guarantees:
        A coordinate is a sum of the block's elements with independent random signs, over sqrt(B). By
        Hoeffding it is beyond x with chance at most 2 exp(-x^2 B / (2 s)), s being the block's squared norm.
        All s add up to at most norm^2, and where x^2 B >= 4 norm^2 that chance is convex in s, so the sum
        over all blocks of B coordinates each is largest with everything in one block. The overlapping block
        comes on top: 4 B exp(-x^2 B / (2 norm^2)) in all, for signs that do not depend on the vector.
    """
    block = block_length(length)
    log = math.log(4 * block) + FAILURE_BITS * math.log(2)
    return norm * min(1.0, math.sqrt(2 * log / block))


def rotate(vector: Reals, seed: bytes) -> None:
    """Rotate float32 [P] in place; everybody who knows the public 32-byte `seed` makes the same rotation."""
    signs = _signs(vector.size, seed)
    for block, flips in zip(_blocks(vector), signs, strict=True):
        _flip(block, flips)
        _transform(block)


def rotate_back(vector: Reals, seed: bytes) -> None:
    """Undo `rotate` in place, up to float32 rounding."""
    signs = _signs(vector.size, seed)
    for block, flips in zip(reversed(_blocks(vector)), reversed(signs), strict=True):
        _transform(block)
        _flip(block, flips)


def _blocks(vector: Reals) -> Sequence[Reals]:
    """Return the blocks as views, in the order in which they are rotated."""
    size = block_length(vector.size)
    starts = list(range(0, vector.size - size + 1, size))
    if vector.size % size:
        starts.append(vector.size - size)
    return [vector[start : start + size] for start in starts]


def _signs(length: int, seed: bytes) -> npt.NDArray[np.uint8]:
    """Return for every block, in order, one bit for each element, as octets: uint8 [blocks, B / 8]."""
    size = block_length(length)
    num_octets = -(-size // 8)
    num_blocks = -(-length // size)
    key = derive_key(seed, Label.ROTATION_SIGNS)
    elements = expand(key, -(-num_blocks * num_octets // 4)).astype("<u4", copy=False)
    return elements.view(np.uint8)[: num_blocks * num_octets].reshape(num_blocks, num_octets)


def _flip(block: Reals, flips: npt.NDArray[np.uint8]) -> None:
    """Negate the elements whose bit is set, lowest bit first."""
    bits = np.unpackbits(flips, count=block.size, bitorder="little").astype(np.uint32)
    bits <<= np.uint32(_BITS_PER_ELEMENT - 1)
    raw = block.view(np.uint32)
    np.bitwise_xor(raw, bits, out=raw)


def _transform(block: Reals) -> None:
    """Take the Walsh-Hadamard transform in natural order over sqrt(B), in place."""
    exponent = block.size.bit_length() - 1
    # As a matrix: columns first, then, transposed, rows. So every addition runs over contiguous memory.
    matrix = block.reshape(1 << (exponent // 2), -1) * np.float32(1 / math.sqrt(block.size))
    _butterflies(matrix)
    turned = matrix.T.copy()
    _butterflies(turned)
    block.reshape(matrix.shape)[:] = turned.T


def _butterflies(rows: Reals) -> None:
    """Transform every column, in place: sums and differences at distances 1, 2, 4, ..."""
    height, width = rows.shape
    distance = 1
    while distance < height:
        pairs = rows.reshape(-1, 2, distance * width)
        differences = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] += pairs[:, 1]
        pairs[:, 1] = differences
        distance *= 2
