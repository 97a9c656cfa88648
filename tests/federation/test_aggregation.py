import hashlib

import numpy as np
import pytest

from fecosr.errors import MisuseError
from fecosr.federation.aggregation import is_finite, mean_update, parameters_hash, sum_hash, weight_of
from fecosr.secagg.encoding import DecodedSum


@pytest.mark.parametrize(
    ("num_users", "exponent", "expected"),
    [(25, 1.0, 0.25), (25, 0.5, 0.5), (25, 0.0, 1.0), (100, 0.5, 1.0), (1000, 1.0, 1.0)],
)
def test_weight_is_tempered_and_never_above_one(num_users: int, exponent: float, expected: float) -> None:
    assert weight_of(num_users, reference_num_users=100, exponent=exponent) == expected


def test_a_market_without_users_is_refused() -> None:
    with pytest.raises(MisuseError, match="without users"):
        weight_of(0, reference_num_users=100, exponent=1.0)


def test_the_mean_is_of_the_sums_and_keeps_float32() -> None:
    total = DecodedSum(np.array([1.0, -3.0], dtype=np.float32), weight=2.0, loss=1.0)
    mean = mean_update(total)
    np.testing.assert_array_equal(mean, np.array([0.5, -1.5], dtype=np.float32))
    assert mean.dtype == np.float32


def test_a_sum_is_named_by_its_little_endian_elements() -> None:
    assert sum_hash(np.array([1], dtype=np.uint32)) == hashlib.sha256(b"\x01\x00\x00\x00").digest()


def test_the_hash_is_of_little_endian_float32_bytes() -> None:
    assert parameters_hash(np.array([1.0], dtype=np.float32)) == hashlib.sha256(b"\x00\x00\x80\x3f").digest()
    swapped = np.array([1.0], dtype=">f4").astype(np.float32)
    assert parameters_hash(swapped) == hashlib.sha256(b"\x00\x00\x80\x3f").digest()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 99_999])
def test_one_element_that_is_not_finite_is_found(odd: float, place: int) -> None:
    vector = np.ones(100_000, dtype=np.float32)
    assert is_finite(vector)
    vector[place] = odd
    assert not is_finite(vector)
    vector[50_000] = -odd
    assert not is_finite(vector)


def test_a_vector_whose_sum_overflows_is_finite_all_the_same() -> None:
    largest = np.finfo(np.float32).max
    assert is_finite(np.full(1000, largest, dtype=np.float32))
    assert is_finite(np.empty(0, dtype=np.float32))
