import numpy as np

from fecosr.crypto.prg import BLOCK_ELEMENTS, expand
from fecosr.ids import NodeId
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.run import Participant
from fecosr.simulation.participants import SeededParticipant, oracle_sum, seeded_participants


def elements(someone: SeededParticipant) -> list[int]:
    return [int(element) for element in expand(someone.vector.seed, someone.length)]


def rules(length: int, ring_bits: int = 32) -> SecAggParameters:
    return SecAggParameters(bytes(32), length, 2, 0, ring_bits)


def test_the_seed_decides_everything_a_participant_brings() -> None:
    once, again = (seeded_participants(3, 8, seed=1) for _ in range(2))
    other = seeded_participants(3, 8, seed=2)
    for first, second, third in zip(once, again, other, strict=True):
        assert first == second
        assert elements(first) != elements(third)
        assert first.entropy != third.entropy
        assert first.identity.public != third.identity.public


def test_no_two_participants_bring_the_same() -> None:
    people = seeded_participants(20, 4, seed=1)
    assert len({someone.client for someone in people}) == 20
    assert len({someone.entropy for someone in people}) == 20
    assert len({tuple(elements(someone)) for someone in people}) == 20
    assert all(someone.entropy != someone.identity.seed for someone in people)
    assert "entropy" not in repr(people)


def test_a_vector_is_written_wherever_it_is_needed() -> None:
    length = BLOCK_ELEMENTS + 10
    (someone,) = seeded_participants(1, length, seed=1)
    tail = np.zeros(10, dtype=np.uint32)
    someone.vector.write(BLOCK_ELEMENTS, tail)
    assert tail.tolist() == elements(someone)[BLOCK_ELEMENTS:]


def test_the_oracle_adds_up_the_chosen_modulo_the_ring() -> None:
    people = seeded_participants(5, 6, seed=3)
    chosen = [NodeId("node-0001"), NodeId("node-0004"), NodeId("node-0005")]
    columns = list(zip(*(elements(people[i]) for i in (0, 3, 4)), strict=True))
    total = oracle_sum(people, chosen, rules(6))
    assert total.dtype == np.uint32
    assert total.tolist() == [sum(column) % 2**32 for column in columns]
    assert oracle_sum(people, chosen, rules(6, 16)).tolist() == [sum(column) % 2**16 for column in columns]
    assert oracle_sum(people, [], rules(6)).tolist() == [0] * 6


def test_the_oracle_takes_written_and_given_vectors_of_any_length() -> None:
    length = BLOCK_ELEMENTS + 10
    people = seeded_participants(2, length, seed=3)
    given = [
        Participant(who.client, who.identity, np.array(elements(who), dtype=np.uint32), who.entropy)
        for who in people
    ]
    names = [someone.client for someone in people]
    written = oracle_sum(people, names, rules(length))
    assert np.array_equal(written, oracle_sum(given, names, rules(length)))
