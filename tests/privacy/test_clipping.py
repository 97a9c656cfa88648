import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fecosr.errors import MisuseError
from fecosr.privacy.clipping import clip, clipping

Vector = npt.NDArray[np.float32]
SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
LARGEST = float(np.finfo(np.float32).max)


def exact_square(vector: Vector) -> Fraction:
    return sum((Fraction(float(value)) ** 2 for value in vector), Fraction(0))


@given(
    hnp.arrays(
        np.float32, st.integers(0, 40), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    ),
    st.floats(min_value=1e-50, max_value=1e50),
)
def test_norm_is_bounded_in_exact_arithmetic_for_any_vector(update: Vector, clip_norm: float) -> None:
    assert exact_square(clip(update, clip_norm)) <= Fraction(clip_norm) ** 2
    factor = clipping(update, clip_norm).factor
    assert 0 < factor <= 1
    assert exact_square(update) * Fraction(factor) ** 2 <= Fraction(clip_norm) ** 2
    # A factor below the normal range of float32 is known to one denormal step only, and so is its product.
    step = SMALLEST * float(np.abs(update).max(initial=0.0))
    np.testing.assert_allclose(clip(update, clip_norm), update * factor, rtol=1e-5, atol=1e-37 + step)


def test_a_factor_below_the_normal_range_of_float32_still_clips() -> None:
    update = np.full(31, 1.1354005e12, dtype=np.float32)
    clipped = clip(update, 2.812105439438905e-28)
    assert exact_square(clipped) <= Fraction(2.812105439438905e-28) ** 2
    np.testing.assert_allclose(clipped, update * clipping(update, 2.812105439438905e-28).factor, rtol=1e-4)


@pytest.mark.parametrize("value", [LARGEST, SMALLEST, 1.0, -LARGEST, 3 * SMALLEST])
@pytest.mark.parametrize("clip_norm", [1.0, 1e-3, 1e-44, 1e-45, 1e38, math.pi])
def test_norm_is_bounded_at_the_edges_of_float32(value: float, clip_norm: float) -> None:
    clipped = clip(np.full(1000, value, dtype=np.float32), clip_norm)
    assert exact_square(clipped) <= Fraction(clip_norm) ** 2
    assert np.all(np.isfinite(clipped))


@pytest.mark.parametrize("size", [1, 7, 65_536, 65_537, 300_000])
def test_no_summation_order_passes_the_bound(size: int) -> None:
    update = np.random.default_rng(size).normal(5.0, size=size).astype(np.float32)
    clipped = clip(update, 0.5).astype(np.float64)
    squares = clipped * clipped
    for total in (math.fsum(squares), float(np.sum(squares)), float(np.cumsum(squares)[-1])):
        assert math.sqrt(total) <= 0.5
    assert math.sqrt(math.fsum(squares)) >= 0.5 * (1 - 1e-6)


def test_direction_is_kept() -> None:
    update = np.array([3.0, -4.0], dtype=np.float32)
    assert clip(update, 1.0) == pytest.approx([0.6, -0.8], rel=1e-6)


def test_update_within_the_bound_comes_back_unchanged_in_a_new_array() -> None:
    update = np.array([0.25, -0.5, SMALLEST], dtype=np.float32)
    clipped = clip(update, 1.0)
    assert clipped.tobytes() == update.tobytes()
    assert not np.shares_memory(clipped, update)


def test_clipping_twice_changes_nothing_more() -> None:
    update = np.random.default_rng(5).normal(size=10_000).astype(np.float32)
    once = clip(update, 2.0)
    assert clip(once, 2.0).tobytes() == once.tobytes()


def test_empty_and_zero_updates_stay_as_they_are() -> None:
    assert clip(np.zeros(0, dtype=np.float32), 1.0).size == 0
    assert not clip(np.zeros(5, dtype=np.float32), 1.0).any()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_value_that_is_not_finite_is_refused(bad: float) -> None:
    update = np.ones(70_000, dtype=np.float32)
    update[69_999] = bad
    with pytest.raises(MisuseError, match="finite"):
        clip(update, 1.0)


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, math.nan, math.inf])
def test_useless_bound_is_refused(clip_norm: float) -> None:
    with pytest.raises(MisuseError, match="clip_norm"):
        clip(np.ones(3, dtype=np.float32), clip_norm)


@pytest.mark.parametrize(
    "update", [np.ones(3), np.ones((3, 1), dtype=np.float32), np.ones(3, dtype=np.int32)]
)
def test_anything_but_a_float32_vector_is_refused(update: npt.NDArray[np.float32]) -> None:
    with pytest.raises(MisuseError, match="float32"):
        clip(update, 1.0)
