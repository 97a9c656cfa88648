"""The sparse mask graph from its definition, counting instead of summing tails."""

import hashlib
from collections.abc import Collection, Sequence
from fractions import Fraction
from functools import cache
from math import comb
from typing import Any

from tests.reference.protocol import encoding, require, threshold_of

SECURE, CORRECT = Fraction(1, 2**40), Fraction(1, 2**20)


def chance_above(limit: int, population: int, marked: int, drawn: int) -> Fraction:
    """Return how likely more than `limit` of those drawn are marked."""
    ways = sum(comb(marked, count) * comb(population - marked, drawn - count) for count in range(limit + 1))
    return 1 - Fraction(ways, comb(population, drawn))


def exceeded_by_nobody(population: int, marked: int, drawn: int, trials: Fraction) -> int:
    """Return the smallest number that in so many trials is exceeded with chance 2^-40 at most."""
    limit = 0
    while trials * chance_above(limit, population, marked, drawn) > SECURE:
        limit += 1
    return limit


@cache
def degree(num_clients: int, colluding: int) -> tuple[int, int, int]:
    """Return neighbours, threshold and survivors per window: the first that keep all promises."""
    leaving = num_clients // 10
    for neighbours in range(2, num_clients - 1, 2):
        half = neighbours // 2
        bad = exceeded_by_nobody(num_clients - 1, colluding, neighbours, Fraction(num_clients))
        threshold = (neighbours + bad) // 2 + 1
        pairs = Fraction(num_clients * num_clients // 2)
        window = exceeded_by_nobody(num_clients, colluding, neighbours, pairs) // 2 + 1
        if threshold > neighbours or window > half:
            continue
        stuck = chance_above(neighbours - threshold, num_clients - 1, leaving, neighbours)
        torn = chance_above(half - window, num_clients, leaving, half)
        if num_clients * max(stuck, torn) <= CORRECT:
            return neighbours, threshold, window
    raise AssertionError("only the complete graph is safe")


def ring_of(session: bytes, clients: Sequence[str]) -> list[str]:
    """Return the clients in the order of their hashes."""

    def place(name: str) -> bytes:
        return hashlib.sha256(encoding("fecosr/v1/graph", session, name.encode())).digest()

    return sorted(clients, key=place)


class Graph:
    """Say who makes masks with whom and holds whose shares, in a complete graph or on the ring.

    Attributes:
        threshold: how many shares open a secret.
        is_sparse: whether there is a ring.
    """

    def __init__(self, session: bytes, names: Sequence[str], max_colluding: int) -> None:
        self._names = sorted(names)
        self.is_sparse = len(names) > 64
        self.threshold = threshold_of(len(names), max_colluding)
        if self.is_sparse:
            num_neighbours, self.threshold, self._fewest = degree(len(names), max_colluding)
            self._ring, self._half = ring_of(session, names), num_neighbours // 2

    def neighbours(self, name: str) -> list[str]:
        """Return with whom a client makes masks, sorted."""
        if not self.is_sparse:
            return [other for other in self._names if other != name]
        at = self._ring.index(name)
        steps = (step for step in range(-self._half, self._half + 1) if step)
        return sorted(self._ring[(at + step) % len(self._ring)] for step in steps)

    def holders(self, name: str) -> list[str]:
        """Return who holds a client's shares, sorted by name, which is also the order of positions."""
        return self.neighbours(name) if self.is_sparse else self._names

    def isolated(self, sharers: Collection[str]) -> set[str]:
        """Return whom too few neighbours would be left, with all that follows from their leaving."""
        left = set(sharers)
        while self.is_sparse:
            lonely = {name for name in left if len(left & set(self.neighbours(name))) < self.threshold}
            if not lonely:
                break
            left -= lonely
        return set(sharers) - left

    def has_gap(self, survivors: Collection[str]) -> bool:
        """Return whether half a neighbourhood in a row holds too few survivors."""
        if not self.is_sparse:
            return False
        size = len(self._ring)
        windows = ([self._ring[(at + step) % size] for step in range(self._half)] for at in range(size))
        return any(len(set(window) & set(survivors)) < self._fewest for window in windows)


def check_graph(case: dict[str, Any]) -> None:
    """Refuse a graph that does not follow from session, names and number of colluding clients."""
    session, clients = bytes.fromhex(case["session"]), case["clients"]

    shape = (case["num_neighbours"], case["threshold"], case["window_survivors"])
    require(degree(len(clients), case["max_colluding"]) == shape, "another value")
    ring = ring_of(session, clients)
    require(ring == case["ring"], "another value")
    half, at = shape[0] // 2, ring.index(case["client"])
    around = [ring[(at + step) % len(ring)] for step in range(-half, half + 1) if step]
    require(sorted(around) == case["neighbours"], "another value")
