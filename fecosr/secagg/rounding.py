"""Stochastic rounding: reals become ring elements block by block, up or down by a coin of the right bias."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fecosr.crypto.prg import Keystream


@dataclass(frozen=True, slots=True, eq=False)
class PreparedUpdate:
    """Hold one client's update, checked, and write it as ring elements where and when they are needed.

    Attributes:
        update: float32 [P], not yet multiplied by its weight.
        factor: weight times scale.
        extras: the slots after the update, already ring elements.
        rounding_key: seed of the keystream that rounds.
    """

    update: npt.NDArray[np.float32] = field(repr=False)
    factor: float = field(repr=False)
    extras: npt.NDArray[np.uint32] = field(repr=False)
    rounding_key: bytes = field(repr=False)

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
        round_into(block[: part.size], part, self.factor)
        if part.size < block.size:
            first = start + part.size - len(self.update)
            block[part.size :] = self.extras[first : first + block.size - part.size]


def round_into(bits: npt.NDArray[np.uint32], values: npt.NDArray[np.floating], factor: float) -> None:
    """Replace uniform `bits` by the stochastically rounded `values * factor`, in two's complement."""
    rounded = values.astype(np.float64)
    rounded *= factor
    fractions = bits.astype(np.float64)
    fractions *= 2.0**-32
    rounded += fractions
    np.floor(rounded, out=rounded)
    bits.view(np.int32)[:] = rounded
