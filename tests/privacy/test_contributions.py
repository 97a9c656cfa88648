import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from fecosr.errors import MisuseError
from fecosr.privacy.contributions import UserSum, from_ring, noisy_sum, to_ring
from fecosr.privacy.integer_mechanism import IntegerMechanism

SEED = bytes(range(32))


def _mechanism(num_parameters: int, clip_norm: float = 1.0, clip_units: int = 1 << 16) -> IntegerMechanism:
    return IntegerMechanism(num_parameters, clip_norm, clip_units, 1 << 24, 1)


def _units(vector: npt.NDArray[np.float32], mechanism: IntegerMechanism) -> npt.NDArray[np.int64]:
    """Return what one user alone adds to a sum."""
    users = UserSum(mechanism)
    users.add([vector])
    return users.total()


def _exact_squared_norm(units: npt.NDArray[np.int64]) -> int:
    return sum(value * value for value in units.tolist())


@given(
    hnp.arrays(np.float32, 7, elements=st.floats(width=32, allow_nan=True, allow_infinity=True)),
    st.floats(1e-20, 1e20),
    st.integers(1, 1 << 20),
)
def test_no_vector_whatever_exceeds_the_bound(
    vector: npt.NDArray[np.float32], clip_norm: float, clip_units: int
) -> None:
    units = _units(vector, _mechanism(7, clip_norm, clip_units))
    assert _exact_squared_norm(units) <= clip_units**2


@pytest.mark.parametrize("length", [1, 3, 100_000])
def test_a_long_vector_reaches_the_bound_but_never_passes_it(length: int) -> None:
    vector = np.random.default_rng(0).standard_normal(length).astype(np.float32) * 1e6
    norm = math.sqrt(_exact_squared_norm(_units(vector, _mechanism(length))))
    assert (1 << 16) * 0.99 < norm <= 1 << 16


def test_a_vector_within_the_bound_is_only_rounded_toward_zero() -> None:
    vector = np.array([0.25, -0.25, 1e-9, -1e-9, 0.1], np.float32)
    units = _units(vector, _mechanism(5, clip_units=1000))
    assert units.tolist() == [250, -250, 0, 0, 100]


def test_huge_and_tiny_vectors_keep_their_direction() -> None:
    for scale in (1e-38, 1e30):
        units = _units(np.array([3.0, -4.0], np.float32) * np.float32(scale), _mechanism(2, 1e-38, 1000))
        assert units.tolist() == pytest.approx([600, -800], abs=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_counts_as_zero(value: float) -> None:
    assert not _units(np.array([1, value], np.float32), _mechanism(2)).any()


def test_a_sum_without_noise_comes_back_up_to_one_unit_per_user() -> None:
    rng = np.random.default_rng(1)
    users = rng.standard_normal((20, 50)).astype(np.float32) * 0.01
    mechanism = _mechanism(50)
    total = UserSum(mechanism)
    for user in users:
        total.add([user[:20], user[20:]])
    assert (
        np.abs(from_ring(to_ring(total.total()), mechanism) - users.sum(axis=0)).max() <= 20 * mechanism.unit
    )


def test_shares_add_up_to_the_noise_that_was_promised() -> None:
    mechanism = IntegerMechanism(100_000, 1.0, 1 << 16, 1 << 24, 3)
    nothing = np.zeros(100_000, np.int64)
    ring = np.zeros(100_000, np.uint32)
    for share in range(mechanism.num_shares):
        ring += to_ring(noisy_sum(nothing, mechanism, bytes([share]) * 32))
    spread = ring.view(np.int32) / math.sqrt(mechanism.total_variance)
    assert stats.kstest(spread, "norm").pvalue > 1e-4
    assert not nothing.any()


def test_negative_sums_survive_the_ring() -> None:
    mechanism = _mechanism(2, clip_norm=8.0, clip_units=8)
    assert from_ring(to_ring(np.array([-5, 7])), mechanism).tolist() == [-5.0, 7.0]


def test_noise_is_a_function_of_the_seed() -> None:
    mechanism, total = _mechanism(40_000), np.arange(40_000)
    assert np.array_equal(noisy_sum(total, mechanism, SEED), noisy_sum(total, mechanism, SEED))
    assert not np.array_equal(noisy_sum(total, mechanism, SEED), noisy_sum(total, mechanism, SEED[::-1]))


def test_rows_go_where_they_belong_and_count_for_the_norm() -> None:
    users = UserSum(_mechanism(10, clip_norm=5.0, clip_units=50))
    for scale, row in ((1, 9), (10, 7)):
        dense = np.array([3 * scale, 0], np.float32)
        users.add([dense, np.array([4 * scale], np.float32)], np.array([row]))
    assert users.total().tolist() == [60, 0, 0, 0, 0, 0, 0, 40, 0, 40]


def test_every_user_is_clipped_anew() -> None:
    users = UserSum(_mechanism(2, clip_units=100))
    for scale in (1e20, 1.0, 1e-20):
        users.add([np.array([0.6, 0.8], np.float32) * np.float32(scale)])
    assert users.total().tolist() == pytest.approx([120, 160], abs=2)


@pytest.mark.parametrize("wrong", [np.zeros(3, np.float32), np.zeros(5, np.float32), np.zeros(4)])
def test_refuses_vectors_of_another_length_or_type(wrong: npt.NDArray[np.float32]) -> None:
    with pytest.raises(MisuseError):
        UserSum(_mechanism(4)).add([wrong])
    with pytest.raises(MisuseError):
        from_ring(np.zeros(3, np.uint32), _mechanism(4))
