"""The sparse mask graph from its definition, counting instead of summing tails."""

import hashlib
from fractions import Fraction
from math import comb
from typing import Any

from tests.reference.protocol import encoding, require

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


def check_graph(case: dict[str, Any]) -> None:
    """Refuse a graph that does not follow from session, names and number of colluding clients."""
    session, clients = bytes.fromhex(case["session"]), case["clients"]

    def place(name: str) -> bytes:
        return hashlib.sha256(encoding("fecosr/v1/graph", session, name.encode())).digest()

    shape = (case["num_neighbours"], case["threshold"], case["window_survivors"])
    require(degree(len(clients), case["max_colluding"]) == shape, "another value")
    ring = sorted(clients, key=place)
    require(ring == case["ring"], "another value")
    half, at = shape[0] // 2, ring.index(case["client"])
    around = [ring[(at + step) % len(ring)] for step in range(-half, half + 1) if step]
    require(sorted(around) == case["neighbours"], "another value")
