import numpy as np

from fecosr.ids import NodeId
from fecosr.simulation.participants import oracle_sum, seeded_participants


def test_the_seed_decides_everything_a_participant_brings() -> None:
    once, again = (seeded_participants(3, 8, seed=1) for _ in range(2))
    other = seeded_participants(3, 8, seed=2)
    for first, second, third in zip(once, again, other, strict=True):
        assert first == second
        assert first.vector.tolist() == second.vector.tolist()
        assert first.vector.tolist() != third.vector.tolist()
        assert first.entropy != third.entropy
        assert first.identity.public != third.identity.public


def test_no_two_participants_bring_the_same() -> None:
    people = seeded_participants(20, 4, seed=1)
    assert len({someone.client for someone in people}) == 20
    assert len({someone.entropy for someone in people}) == 20
    assert len({someone.vector.tobytes() for someone in people}) == 20
    assert all(someone.entropy != someone.identity.seed for someone in people)


def test_the_vector_is_made_anew_each_time_it_is_asked_for() -> None:
    (someone,) = seeded_participants(1, 4, seed=1)
    someone.vector[:] = 0
    assert someone.vector.any()
    assert "entropy" not in repr(someone)


def test_the_oracle_adds_up_the_chosen_modulo_two_to_the_32() -> None:
    people = seeded_participants(5, 6, seed=3)
    chosen = [NodeId("node-0001"), NodeId("node-0004"), NodeId("node-0005")]
    columns = zip(*(people[i].vector.tolist() for i in (0, 3, 4)), strict=True)
    total = oracle_sum(people, chosen, 6)
    assert total.dtype == np.uint32
    assert total.tolist() == [sum(column) % 2**32 for column in columns]
    assert oracle_sum(people, [], 6).tolist() == [0] * 6
