"""Stochastic rounding: reals become ring elements block by block, up or down by a coin of the right bias."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fecosr.crypto.prg import BLOCK_ELEMENTS, Keystream

Scratch = npt.NDArray[np.float64]
"""Room for intermediate values, float64 [2, at least as many as are rounded]."""


def make_scratch(size: int) -> Scratch:
    """Return scratch for rounding up to `size` values at a time."""
    return np.empty((2, size))


@dataclass(frozen=True, slots=True, eq=False)
class PreparedUpdate:
    """Hold one client's update, checked, and write it as ring elements where and when they are needed.

    Attributes:
        update: float32 [P], not yet multiplied by its weight.
        factor: weight times scale.
        extras: the slots after the update, already ring elements.
        rounding_key: seed of the keystream that rounds.
        scratch: kept from block to block, because new memory would cost more than the rounding; so blocks
            are written one at a time.
    """

    update: npt.NDArray[np.float32] = field(repr=False)
    factor: float = field(repr=False)
    extras: npt.NDArray[np.uint32] = field(repr=False)
    rounding_key: bytes = field(repr=False)
    scratch: Scratch = field(init=False, repr=False, default_factory=lambda: make_scratch(BLOCK_ELEMENTS))

    @property
    def length(self) -> int:
        """Return the number of ring elements."""
        return len(self.update) + len(self.extras)

    def write(self, start: int, block: npt.NDArray[np.uint32]) -> None:
        """Overwrite `block` with the elements from `start` on.

        Args:
            start: a multiple of BLOCK_ELEMENTS.
            block: uint32 [at most BLOCK_ELEMENTS].
        """
        part = self.update[start : start + block.size]
        Keystream(self.rounding_key, start).fill(block[: part.size])
        round_into(block[: part.size], part, self.factor, self.scratch)
        if part.size < block.size:
            first = start + part.size - len(self.update)
            block[part.size :] = self.extras[first : first + block.size - part.size]


def round_into(
    bits: npt.NDArray[np.uint32], values: npt.NDArray[np.floating], factor: float, scratch: Scratch
) -> None:
    """Replace uniform `bits` by the stochastically rounded `values * factor`, in two's complement."""
    rounded, fractions = scratch[:, : values.size]
    np.copyto(rounded, values)
    np.multiply(rounded, factor, out=rounded)
    np.copyto(fractions, bits)
    np.multiply(fractions, 2.0**-32, out=fractions)
    np.add(rounded, fractions, out=rounded)
    np.floor(rounded, out=rounded)
    np.copyto(bits.view(np.int32), rounded, casting="unsafe")
