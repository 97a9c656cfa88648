import pytest

from fecosr.errors import MisuseError
from fecosr.secagg.parameters import SecAggParameters


def make(n_min: int = 3, max_colluding: int = 1) -> SecAggParameters:
    return SecAggParameters(bytes(32), 4, n_min, max_colluding)


@pytest.mark.parametrize("max_colluding", [0, 1, 2, 5])
def test_two_quorums_share_more_clients_than_may_collude(max_colluding: int) -> None:
    parameters = make(max_colluding + 2, max_colluding)
    for num_clients in range(max_colluding + 2, 65):
        threshold = parameters.threshold(num_clients)
        # Two quorums of t among n overlap in at least 2 t - n clients.
        assert 2 * threshold - num_clients > max_colluding
        assert 2 * (threshold - 1) - num_clients <= max_colluding
        assert max_colluding < threshold <= num_clients


def test_the_fewest_survivors_respect_both_bounds() -> None:
    assert make(n_min=3).fewest_survivors(9) == 6
    assert make(n_min=8).fewest_survivors(9) == 8


@pytest.mark.parametrize(
    ("context", "length", "n_min", "max_colluding"),
    [
        (bytes(31), 4, 3, 1),
        (bytes(32), 0, 3, 1),
        (bytes(32), 4, 3, -1),
        (bytes(32), 4, 2, 1),
        (bytes(32), 4, 1, 0),
    ],
)
def test_values_that_would_hide_nobody_are_refused(
    context: bytes, length: int, n_min: int, max_colluding: int
) -> None:
    with pytest.raises(MisuseError):
        SecAggParameters(context, length, n_min, max_colluding)


def test_an_unknown_ring_is_refused() -> None:
    assert [SecAggParameters(bytes(32), 4, 3, 1, ring_bits).ring_bits for ring_bits in (32, 24, 16)]
    with pytest.raises(MisuseError):
        SecAggParameters(bytes(32), 4, 3, 1, 20)
