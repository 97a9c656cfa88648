import math
from typing import Any

import numpy as np
import pytest

from fecosr.secagg.rotation import MAX_BLOCK, block_length, coordinate_bound, rotate, rotate_back
from tests.reference.fixed_point import rotated

SEED = b"\x5e" * 32
Reals = np.ndarray[Any, np.dtype[np.float32]]


def random_vector(length: int) -> Reals:
    return np.random.default_rng(length).standard_normal(length, dtype=np.float32)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 9, 13, 64, 100, 129])
def test_rotating_equals_the_definition(length: int) -> None:
    vector = random_vector(length)
    expected = rotated([float(x) for x in vector], SEED, MAX_BLOCK)
    rotate(vector, SEED)
    assert vector == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("length", [1, 3, 31, 1000, MAX_BLOCK, MAX_BLOCK + 5, 3 * MAX_BLOCK - 1])
def test_rotating_back_undoes_it_and_the_norm_stays(length: int) -> None:
    vector = random_vector(length)
    turned = vector.copy()
    rotate(turned, SEED)
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(vector), rel=1e-5)
    # One element may be left as it was; more cannot be.
    assert length == 1 or not np.array_equal(turned, vector)
    rotate_back(turned, SEED)
    assert turned == pytest.approx(vector, abs=1e-5)


def test_the_rotation_depends_on_its_seed() -> None:
    one, other = random_vector(100), random_vector(100)
    rotate(one, SEED)
    rotate(other, bytes(32))
    assert not np.allclose(one, other)


@pytest.mark.parametrize("length", [4096, 5000, MAX_BLOCK + 77])
def test_no_coordinate_exceeds_its_bound(length: int) -> None:
    spike = np.zeros(length, dtype=np.float32)
    spike[length // 3] = 1.0
    flat = np.full(length, 1 / math.sqrt(length), dtype=np.float32)
    for vector in (spike, flat, random_vector(length)):
        norm = float(np.linalg.norm(vector))
        rotate(vector, SEED)
        assert np.abs(vector).max() <= coordinate_bound(norm, length)


@pytest.mark.parametrize("length", [1024, 70_000, 10**7])
def test_the_bound_is_exceeded_with_chance_two_to_the_minus_forty(length: int) -> None:
    bound, block = coordinate_bound(1.0, length), block_length(length)
    assert 4 * block * math.exp(-(bound**2) * block / 2) == pytest.approx(2**-40)
    # What the union over blocks needs: the chance is convex in a block's squared norm.
    assert bound**2 * block >= 4


def test_the_bound_never_exceeds_the_norm() -> None:
    assert [coordinate_bound(2.0, length) for length in (1, 2, 16, 64)] == [2.0] * 4
    assert coordinate_bound(2.0, 10**7) < 2.0 / 28
