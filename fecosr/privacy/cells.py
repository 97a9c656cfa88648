"""The tables by which a discrete Gaussian is drawn: cells of consecutive integers and an alias table.

A cell is a run of `2^low_bits` integers. Its weight is that of its integer nearest to zero, as if all were as
likely as that one; a drawn integer is then kept with probability exp(-(x^2 - nearest^2) / (2 variance)).
"""

from dataclasses import dataclass, field
from math import isqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.errors import MisuseError
from fecosr.privacy.exponential import scaled_exp

CELL_BITS: Final = 11
NUM_CELLS: Final = 1 << CELL_BITS
COIN_BITS: Final = 22
"""First bits of the uniform number that decides between a cell and its alias."""
KEEP_BITS: Final = 14
"""First bits of the uniform number that decides whether an integer is kept."""
LOW_BITS: Final = 64 - CELL_BITS - COIN_BITS - KEEP_BITS
"""Most bits that say which integer of a cell is meant: one 64-bit word then decides nearly every draw."""
WEIGHT_BITS: Final = 192
"""Bits of a cell's weight."""
TAIL_STDDEVS: Final = 13
"""Integers further out than this are left out; together they weigh less than exp(-13^2 / 2) < 2^-121."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Hold the tables of one variance.

    A column is one entry of the alias table: the cell of the same number, and the one that fills it up.

    Attributes:
        variance: the parameter sigma^2 of the discrete Gaussian.
        low_bits: log2 of the number of integers in a cell.
        nearest: of each cell, the integer nearest to zero, int64 [NUM_CELLS].
        coins: first COIN_BITS bits of the chance of a column's own cell, uint64 [NUM_CELLS].
        exact_coins: those chances times `total_weight`, exactly.
        total_weight: of all cells.
        aliases: the other cell of each column, int64 [NUM_CELLS].
        first: first integer of the cell chosen by `2 * column + (1 if it is the alias)`, int64 [2 NUM_CELLS].
        surely_kept: below this a KEEP_BITS number keeps every integer of that cell, uint64 [2 NUM_CELLS].
    """

    variance: int
    low_bits: int
    nearest: npt.NDArray[np.int64] = field(repr=False)
    coins: npt.NDArray[np.uint64] = field(repr=False)
    exact_coins: tuple[int, ...] = field(repr=False)
    total_weight: int = field(repr=False)
    aliases: npt.NDArray[np.int64] = field(repr=False)
    first: npt.NDArray[np.int64] = field(repr=False)
    surely_kept: npt.NDArray[np.uint64] = field(repr=False)


def make_cells(variance: int) -> Cells:
    """Return the tables for the discrete Gaussian with parameter sigma^2 = `variance`.

    Raises:
        MisuseError: the variance is below 1, or so large that a cell does not fit its bits.
    """
    if variance < 1:
        raise MisuseError("the variance of integer noise is an integer of at least 1")
    reach = TAIL_STDDEVS * (isqrt(variance) + 1)
    low_bits = max(0, (reach - 1).bit_length() - (CELL_BITS - 1))
    if low_bits > LOW_BITS:
        raise MisuseError("the variance of integer noise is too large")
    size = 1 << low_bits
    firsts = [(cell - NUM_CELLS // 2) * size for cell in range(NUM_CELLS)]
    nearest = [first if first >= 0 else first + size - 1 for first in firsts]
    furthest = [first + size - 1 if first >= 0 else first for first in firsts]
    weights = [scaled_exp(x * x, 2 * variance, WEIGHT_BITS) for x in nearest]
    coins, aliases = _alias_table(weights)
    total = sum(weights)
    kept = [
        max(0, scaled_exp(far * far - near * near, 2 * variance, KEEP_BITS) - 1)
        for near, far in zip(nearest, furthest, strict=True)
    ]
    chosen = [cell for column, alias in enumerate(aliases) for cell in (column, alias)]
    return Cells(
        variance=variance,
        low_bits=low_bits,
        nearest=np.array(nearest, np.int64),
        coins=np.array([(coin << COIN_BITS) // total for coin in coins], np.uint64),
        exact_coins=tuple(coins),
        total_weight=total,
        aliases=np.array(aliases, np.int64),
        first=np.array([firsts[cell] for cell in chosen], np.int64),
        surely_kept=np.array([kept[cell] for cell in chosen], np.uint64),
    )


def _alias_table(weights: list[int]) -> tuple[list[int], list[int]]:
    """Return, for each column, the share of its own cell out of the total weight, and its alias.

    Reference: Vose 1991, "A Linear Algorithm for Generating Random Numbers with a Given Distribution", here
    with integers, so that nothing is rounded.
    """
    total = sum(weights)
    room = [weight * len(weights) for weight in weights]
    aliases = list(range(len(weights)))
    coins = [total] * len(weights)
    poor = [cell for cell, part in enumerate(room) if part < total]
    rich = [cell for cell, part in enumerate(room) if part >= total]
    while poor and rich:
        cell, donor = poor.pop(), rich.pop()
        coins[cell], aliases[cell] = room[cell], donor
        room[donor] -= total - room[cell]
        (poor if room[donor] < total else rich).append(donor)
    return coins, aliases
