"""Integer noise, exactly distributed: P(x) proportional to exp(-x^2 / (2 variance)) over all integers x.

A cell of consecutive integers is drawn from an alias table, an integer of the cell uniformly, and it is kept
with the right probability (99 % are). Uniform numbers are compared bit by bit only as far as is needed: the
first bits decide nearly always, floating point decides only where it cannot be wrong, and integers the rest.
So the vector is a function of the seed alone, the same on every machine.

Reference: Canonne, Kamath, Steinke 2020, "The Discrete Gaussian for Differential Privacy" (the distribution;
they sample it one by one with exact coins).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.crypto.key_agreement import derive_key
from fecosr.crypto.labels import Label
from fecosr.crypto.prg import PRG_SEED_BYTES, Keystream
from fecosr.errors import MisuseError
from fecosr.privacy.cells import CELL_BITS, COIN_BITS, KEEP_BITS, LOW_BITS, Cells, make_cells
from fecosr.privacy.exponential import scaled_exp

BLOCK_DRAWS: Final = 1 << 14
"""Draws made at a time: few enough that they and their words stay in cache."""
_FLOAT_ERROR: Final = 2.0**-40
"""Far more than floating point can be wrong about a uniform number or a probability."""
_EXACT_BITS: Final = 192
_WORD_BITS: Final = 64

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]


def sample_discrete_gaussian(seed: bytes, length: int, variance: int) -> npt.NDArray[np.int32]:
    """Return `length` independent draws of integer noise, int32 [length].

    Args:
        seed: 32 uniform bytes that are used for nothing else.
        length: how many.
        variance: the parameter sigma^2, an integer; from 4 on it is the variance to 16 digits.

    Raises:
        MisuseError: an argument is not as described.

    Guarantees:
        Law: within 2^-120 of the discrete Gaussian in total variation, per draw, if AES-256 is a
        pseudorandom permutation. No draw is further from zero than 14 sigma + 14.
    """
    if length < 0:
        raise MisuseError("a vector cannot have negative length")
    noise = np.empty(length, np.int32)  # [length]
    NoiseStream(seed, variance).fill(noise)
    return noise


class NoiseStream:
    """Give out integer noise block after block, so that a long vector of it need not exist.

    Args:
        seed: 32 uniform bytes that are used for nothing else.
        variance: the parameter sigma^2.

    Raises:
        MisuseError: an argument is not as described.
    """

    def __init__(self, seed: bytes, variance: int) -> None:
        if len(seed) != PRG_SEED_BYTES:
            raise MisuseError(f"a seed is {PRG_SEED_BYTES} bytes")
        self._cells = _cells(variance)
        self._words = _WordSource(derive_key(seed, Label.NOISE))
        self._draws = _Draws.empty()

    def fill(self, block: npt.NDArray[np.int32]) -> None:
        """Overwrite `block` with the next draws.

        Which draws they are depends on how many came before, and for all but the last block of a vector on
        nothing else if its size is a multiple of BLOCK_DRAWS.
        """
        for start in range(0, len(block), BLOCK_DRAWS):
            part = block[start : start + BLOCK_DRAWS]
            part[:] = self._drawn(len(part))

    def _drawn(self, count: int) -> Integers:
        """Return `count` draws, int64 [count]; they are overwritten by the next call."""
        cells, draws = self._cells, self._draws
        values, unsure = _first_look(cells, self._words.take(draws.words[:count]), draws)
        if len(unsure):
            words = draws.words[unsure]
            kept = _second_look(cells, words, self._words)
            values[unsure] = kept.values
            rejected = unsure[~kept.accepted]
            while len(rejected):
                words = self._words.take(np.empty(len(rejected), np.uint64))
                kept = _second_look(cells, words, self._words)
                values[rejected] = kept.values
                rejected = rejected[~kept.accepted]
        return values


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """Hold the memory of one block, because new memory would cost more than the draws."""

    words: Words
    fields: Words
    columns: Integers
    looked_up: Words
    values: Integers
    unsure: npt.NDArray[np.bool_]
    flags: npt.NDArray[np.bool_]

    @staticmethod
    def empty() -> "_Draws":
        words, fields, looked_up = (np.empty(BLOCK_DRAWS, np.uint64) for _ in range(3))
        columns, values = (np.empty(BLOCK_DRAWS, np.int64) for _ in range(2))
        unsure, flags = (np.empty(BLOCK_DRAWS, np.bool_) for _ in range(2))
        return _Draws(words, fields, columns, looked_up, values, unsure, flags)


@dataclass(frozen=True, slots=True, eq=False)
class _Decided:
    """Hold draws and which of them are kept."""

    values: Integers
    accepted: npt.NDArray[np.bool_]


class _WordSource:
    """Read a keystream as 64-bit words, and now and then as one long integer."""

    def __init__(self, seed: bytes) -> None:
        self._keystream = Keystream(seed)

    def take(self, words: Words) -> Words:
        """Overwrite `words`, at most BLOCK_DRAWS, with the next ones and return it."""
        self._keystream.fill(words.view(np.uint32))
        return words

    def integer(self, bits: int) -> int:
        """Return a uniform integer of so many bits, a multiple of 64."""
        return int.from_bytes(self.take(np.empty(bits // _WORD_BITS, np.uint64)).tobytes(), "little")


@lru_cache(maxsize=4)
def _cells(variance: int) -> Cells:
    return make_cells(variance)


def _first_look(cells: Cells, words: Words, draws: _Draws) -> tuple[Integers, Integers]:
    """Return a draw for each word, and the places where its bits did not suffice to be sure of it."""
    count = len(words)
    columns, fields, looked_up = draws.columns[:count], draws.fields[:count], draws.looked_up[:count]
    values, unsure, flags = draws.values[:count], draws.unsure[:count], draws.flags[:count]
    np.right_shift(words, _WORD_BITS - CELL_BITS, out=columns.view(np.uint64))
    np.right_shift(words, KEEP_BITS + LOW_BITS, out=fields)
    np.bitwise_and(fields, (1 << COIN_BITS) - 1, out=fields)
    np.take(cells.coins, columns, out=looked_up, mode="clip")
    np.equal(fields, looked_up, out=unsure)
    np.greater(fields, looked_up, out=flags)
    np.add(columns, columns, out=columns)
    np.add(columns, flags, out=columns)
    np.take(cells.first, columns, out=values, mode="clip")
    np.take(cells.surely_kept, columns, out=looked_up, mode="clip")
    np.right_shift(words, LOW_BITS, out=fields)
    np.bitwise_and(fields, (1 << KEEP_BITS) - 1, out=fields)
    np.greater_equal(fields, looked_up, out=flags)
    np.logical_or(unsure, flags, out=unsure)
    np.bitwise_and(words, (1 << cells.low_bits) - 1, out=fields)
    np.add(values, fields.view(np.int64), out=values)
    return values, np.flatnonzero(unsure)


def _second_look(cells: Cells, words: Words, source: _WordSource) -> _Decided:
    """Return the draw of each word and whether it is kept, reading as many further bits as that takes."""
    columns = (words >> np.uint64(_WORD_BITS - CELL_BITS)).astype(np.int64)
    coins = words >> np.uint64(KEEP_BITS + LOW_BITS) & np.uint64((1 << COIN_BITS) - 1)
    chosen = np.where(coins < cells.coins[columns], columns, cells.aliases[columns])
    for place in np.flatnonzero(coins == cells.coins[columns]):
        column = int(columns[place])
        if _is_own_cell(cells, column, int(coins[place]), source):
            chosen[place] = column
    size = np.int64(1 << cells.low_bits)
    nearest = cells.nearest[chosen]
    first = np.where(nearest >= 0, nearest, nearest - size + 1)
    values = first + (words & np.uint64(size - 1)).astype(np.int64)
    keep = words >> np.uint64(LOW_BITS) & np.uint64((1 << KEEP_BITS) - 1)
    return _Decided(values, _kept(cells, values, nearest, keep, source))


def _is_own_cell(cells: Cells, column: int, coin: int, source: _WordSource) -> bool:
    """Decide a coin whose first bits are those of its chance."""
    further = (coin << _EXACT_BITS) | source.integer(_EXACT_BITS)
    return further * cells.total_weight < cells.exact_coins[column] << (_EXACT_BITS + COIN_BITS)


def _kept(
    cells: Cells, values: Integers, nearest: Integers, keep: Words, source: _WordSource
) -> npt.NDArray[np.bool_]:
    """Return whether each integer is kept: the number that starts with `keep` is below exp(-exponent)."""
    further = source.take(np.empty(len(keep), np.uint64))
    uniform = (keep + further * 2.0**-_WORD_BITS) * 2.0**-KEEP_BITS
    exponent = (values - nearest) * (values + nearest)
    chance = np.exp(-exponent / (2 * cells.variance))
    accepted = uniform < chance
    for place in np.flatnonzero(np.abs(uniform - chance) < _FLOAT_ERROR):
        bits = (int(keep[place]) << _WORD_BITS) | int(further[place])
        bits = bits << _EXACT_BITS | source.integer(_EXACT_BITS)
        precision = KEEP_BITS + _WORD_BITS + _EXACT_BITS
        accepted[place] = bits < scaled_exp(int(exponent[place]), 2 * cells.variance, precision)
    return accepted
