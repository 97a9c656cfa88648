from itertools import combinations

import pytest

from fecosr.secagg.degree import Degree, _chance_above, _most, sparse_degree


@pytest.mark.parametrize(
    ("num_clients", "expected"),
    [
        (100, Degree(32, 22, 6)),
        (200, Degree(56, 39, 11)),
        (500, Degree(82, 57, 17)),
        (1000, Degree(96, 67, 20)),
    ],
)
def test_a_tenth_colluding_and_a_tenth_dropping_out_takes_so_many_neighbours(
    num_clients: int, expected: Degree
) -> None:
    assert sparse_degree(num_clients, num_clients // 10) == expected


@pytest.mark.parametrize("limit", range(-1, 4))
def test_the_tail_is_what_counting_gives(limit: int) -> None:
    draws = list(combinations(range(9), 4))
    counted = sum(sum(one < 3 for one in draw) > limit for draw in draws)
    assert _chance_above(9, 3, 4, limit) * len(draws) == counted


def test_the_bound_on_colluding_neighbours_is_the_smallest_there_is() -> None:
    bound = _most(999, 100, 96, 1000)
    assert 1000 * _chance_above(999, 100, 96, bound) * 2**40 <= 1
    assert 1000 * _chance_above(999, 100, 96, bound - 1) * 2**40 > 1


@pytest.mark.parametrize("num_clients", [65, 100, 333, 1024])
@pytest.mark.parametrize("max_colluding", [0, 1, 5, 20])
def test_every_degree_keeps_its_promises(num_clients: int, max_colluding: int) -> None:
    degree = sparse_degree(num_clients, max_colluding)
    assert degree is not None
    k, t = degree.num_neighbours, degree.threshold
    assert k % 2 == 0
    assert k < num_clients - 1
    assert k // 2 < t <= k
    assert 1 <= degree.window_survivors <= k // 2
    assert num_clients * _chance_above(num_clients - 1, max_colluding, k, 2 * t - k - 1) * 2**40 <= 1
    both = 2 * degree.window_survivors - 1
    assert num_clients**2 // 2 * _chance_above(num_clients, max_colluding, k, both) * 2**40 <= 1
    assert num_clients * _chance_above(num_clients - 1, num_clients // 10, k, k - t) * 2**20 <= 1


def test_too_many_colluding_leave_only_the_complete_graph() -> None:
    assert sparse_degree(80, 70) is None
