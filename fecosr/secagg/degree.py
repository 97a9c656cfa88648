"""How many neighbours a client needs in a sparse mask graph, by exact tail bounds on who they may be.

The graph is a ring in random order, in which everybody is a neighbour of the k/2 before and the k/2 after. So
the neighbours of a client are k of the n - 1 others, drawn without replacement: how many of them collude, or
drop out, is hypergeometric. A bound holds for all at once when n times the chance for one of them is small.

The chances are those of one draw. Whoever controls a client can draw again before the adverts are fixed, by
offering other keys, at the price of some hashes; each doubling of the draws costs one bit. Where
a tenth of up to about 200 clients collude, the bounds on these hold with certainty, whatever is drawn.

Reference: Bell et al. 2020 (SecAgg+), Sections 3 and 4.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import Final

SECURITY_BITS: Final = 40
"""What protects a client may fail with chance 2^-40 at most, over all clients of a session."""
CORRECTNESS_BITS: Final = 20
"""What lets a sum be opened may fail with chance 2^-20 at most, over all clients of a session."""
DROPOUT_RATE: Final = Fraction(1, 10)
"""The share of clients that may drop out before a sum is likely to be given up."""


@dataclass(frozen=True, slots=True)
class Degree:
    """Fix the shape of a sparse mask graph.

    Attributes:
        num_neighbours: k, even.
        threshold: t, how many neighbours' shares open a secret.
        window_survivors: how many survivors there must be among any k/2 clients in a row.
    """

    num_neighbours: int
    threshold: int
    window_survivors: int


@lru_cache(maxsize=128)
def sparse_degree(num_clients: int, max_colluding: int) -> Degree | None:
    """Return the fewest neighbours that are enough, or None where only all the others are.

    Guarantees:
        Agreement: 2 t > k + (colluding neighbours) for every client, but with chance 2^-40. So the two
        secrets of a client are never both opened, whatever two lists of survivors its neighbours follow.
        Connection: fewer than 2 `window_survivors` collude in any two disjoint windows of k/2 clients in a
        row, but with chance 2^-40. See `MaskGraph.has_gap` for what follows.
        Correctness: when a tenth of all clients drop out, t neighbours of every client stay, and
        `window_survivors` in every window, but with chance 2^-20 each.
    """
    dropouts = int(num_clients * DROPOUT_RATE)
    for num_neighbours in range(2, num_clients - 1, 2):
        degree = _with_neighbours(num_clients, max_colluding, num_neighbours)
        if degree.threshold <= num_neighbours and _stays_open(num_clients, dropouts, degree):
            return degree
    return None


def _with_neighbours(num_clients: int, max_colluding: int, num_neighbours: int) -> Degree:
    others = num_clients - 1
    colluding = _most(others, max_colluding, num_neighbours, num_clients)
    pairs_of_windows = num_clients * num_clients // 2
    in_two_windows = _most(num_clients, max_colluding, num_neighbours, pairs_of_windows)
    return Degree(num_neighbours, (num_neighbours + colluding) // 2 + 1, in_two_windows // 2 + 1)


def _stays_open(num_clients: int, dropouts: int, degree: Degree) -> bool:
    window = degree.num_neighbours // 2
    spare = degree.num_neighbours - degree.threshold
    spare_in_window = window - degree.window_survivors
    return (
        spare_in_window >= 0
        and num_clients * _chance_above(num_clients - 1, dropouts, degree.num_neighbours, spare)
        <= Fraction(1, 1 << CORRECTNESS_BITS)
        and num_clients * _chance_above(num_clients, dropouts, window, spare_in_window)
        <= Fraction(1, 1 << CORRECTNESS_BITS)
    )


def _most(population: int, marked: int, drawn: int, num_trials: int) -> int:
    """Return what the marked among those drawn exceed in none of so many trials, but with chance 2^-40."""
    bound = Fraction(comb(population, drawn), num_trials << SECURITY_BITS)
    above = 0
    most = min(marked, drawn)
    for count, ways in _ways_from_above(population, marked, drawn):
        above += ways
        if above > bound:
            return count
        most = count - 1
    return most


def _chance_above(population: int, marked: int, drawn: int, limit: int) -> Fraction:
    above = sum(ways for count, ways in _ways_from_above(population, marked, drawn) if count > limit)
    return Fraction(above, comb(population, drawn))


def _ways_from_above(population: int, marked: int, drawn: int) -> Iterator[tuple[int, int]]:
    """Yield every number of marked ones among those drawn, falling, and in how many ways it comes about."""
    for count in range(min(marked, drawn), max(0, drawn + marked - population) - 1, -1):
        yield count, comb(marked, count) * comb(population - marked, drawn - count)
