"""Who is invited to a round: nobody's choice, everybody's computation."""

import hashlib
from collections import Counter

import pytest

from fecosr.crypto.labels import sha256
from fecosr.federation.cohort import Roster, invited, num_invited
from fecosr.ids import NodeId, RunId

RUN = RunId("spring")


def roster_of(count: int) -> Roster:
    nodes = {NodeId(f"m{place}"): sha256(f"key {place}".encode()) for place in range(count)}
    return Roster(sha256(b"the coordinator"), nodes)


@pytest.mark.parametrize(
    ("participation", "num_markets", "expected"),
    [(1.0, 7, 7), (0.5, 7, 4), (0.7, 10, 7), (0.01, 10, 1), (3, 7, 3), (9, 7, 7), (1 / 3, 3, 1)],
)
def test_fractions_are_rounded_up_and_numbers_are_numbers(
    participation: float, num_markets: int, expected: int
) -> None:
    assert num_invited(participation, num_markets) == expected


def test_the_draw_is_the_smallest_hashes_of_run_round_roster_and_name() -> None:
    """The same in other words, so that other implementations can be written from it."""

    def encoded(*parts: bytes) -> bytes:
        label = b"fecosr/v1/participation"
        return b"".join(len(part).to_bytes(8, "big") + part for part in (label, *parts))

    roster = roster_of(9)
    pinned = b"".join(
        len(part).to_bytes(8, "big") + part
        for part in (
            b"fecosr/v1/participation",
            roster.coordinator,
            *(part for name, key in sorted(roster.nodes.items()) for part in (name.encode(), key)),
        )
    )
    everybody = hashlib.sha256(pinned).digest()
    lots = {
        name: hashlib.sha256(encoded(everybody, b"spring", (5).to_bytes(8, "big"), name.encode())).digest()
        for name in roster.nodes
    }
    assert invited(RUN, 5, roster, 4) == set(sorted(lots, key=lambda name: lots[name])[:4])


def test_run_round_and_roster_all_change_the_draw() -> None:
    roster = roster_of(40)
    draws = {
        invited(RUN, 1, roster, 0.5),
        invited(RUN, 2, roster, 0.5),
        invited(RunId("autumn"), 1, roster, 0.5),
        invited(RUN, 1, Roster(sha256(b"another"), roster.nodes), 0.5),
    }
    assert len(draws) == 4


def test_over_many_rounds_everybody_is_invited_alike() -> None:
    roster = roster_of(10)
    counts = Counter(name for number in range(1, 1001) for name in invited(RUN, number, roster, 3))
    # 300 expected, standard deviation 14.5.
    assert len(counts) == 10
    assert all(240 < count < 360 for count in counts.values())


def test_with_everybody_taking_part_nothing_is_drawn() -> None:
    roster = roster_of(5)
    assert invited(RUN, 1, roster, 1.0) == set(roster.nodes)
