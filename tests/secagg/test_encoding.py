import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fecosr.crypto.prg import expand
from fecosr.errors import CryptoError, MisuseError
from fecosr.secagg.encoding import UpdateEncoding
from fecosr.secagg.packing import packed_bytes
from fecosr.secagg.rotation import rotate, rotate_back
from tests.reference.fixed_point import encode_slots, rounding_bits

SEED = b"\x21" * 32


def unit_update(num_parameters: int, clip_norm: float, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    direction = np.random.default_rng(seed).standard_normal(num_parameters)
    return (direction / np.linalg.norm(direction) * clip_norm).astype(np.float32)


def test_the_layout_is_update_weight_loss_count() -> None:
    encoding = UpdateEncoding(num_parameters=2, clip_norm=1.0, num_summands=4, max_loss=8.0)
    vector = encoding.encode(np.array([0.5, -0.25], dtype=np.float32), 0.5, 2.0, SEED)
    assert encoding.length == 5
    # Every product here is a multiple of one unit, so nothing is left to rounding.
    expected = [
        int(0.25 * encoding.update_scale),
        2**32 - int(0.125 * encoding.update_scale),
        int(0.5 * encoding.weight_scale),
        int(1.0 * encoding.loss_scale),
        1,
    ]
    assert vector.tolist() == expected


@pytest.mark.parametrize("num_parameters", [1, 7, 300])
def test_encoding_equals_the_exact_reference(num_parameters: int) -> None:
    encoding = UpdateEncoding(num_parameters, clip_norm=3.0, num_summands=5, max_loss=4.0)
    update = unit_update(num_parameters, 3.0, seed=num_parameters)
    weight, loss = 0.5, 1.25
    vector = encoding.encode(update, weight, loss, SEED)
    values = [*(weight * float(x) for x in update), weight, weight * loss]
    scales = [*([encoding.update_scale] * num_parameters), encoding.weight_scale, encoding.loss_scale]
    bits = rounding_bits(SEED, num_parameters + 2)
    assert vector[:-1].tolist() == encode_slots(values, scales, bits)


@pytest.mark.parametrize("ring_bits", [32, 24, 16])
def test_shrinking_while_encoding_equals_encoding_what_was_shrunk(ring_bits: int) -> None:
    encoding = UpdateEncoding(300, 3.0, 5, max_loss=4.0, ring_bits=ring_bits)
    long = unit_update(300, 12.0, seed=1)
    prepared = encoding.prepare(long, 0.5, 1.25, SEED, shrink=0.25)
    at_once = np.empty(encoding.length, np.uint32)
    prepared.write(0, at_once)
    # A quarter is exact in float32, so not even the rounding differs.
    assert at_once.tolist() == encoding.encode(long * np.float32(0.25), 0.5, 1.25, SEED).tolist()
    for wrong in (0.2501, 1.0, 0.0, -0.25, 4.0, math.nan):
        with pytest.raises(MisuseError):
            encoding.prepare(long, 0.5, 1.25, SEED, shrink=wrong)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    num_summands=st.integers(1, 64),
    clip_norm=st.floats(1e-4, 1e5),
    max_loss=st.floats(1e-3, 1e4),
    weights=st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=6),
    seed=st.integers(0, 2**20),
)
def test_the_sum_is_within_the_stated_error(
    num_summands: int, clip_norm: float, max_loss: float, weights: list[float], seed: int
) -> None:
    weights = weights[:num_summands]
    encoding = UpdateEncoding(9, clip_norm, num_summands, max_loss)
    total = np.zeros(encoding.length, dtype=np.uint32)
    exact = np.zeros(9)
    for i, weight in enumerate(weights):
        update = unit_update(9, clip_norm, seed + i)
        total += encoding.encode(update, weight, max_loss / 3, bytes([i]) * 32)
        exact += weight * update.astype(np.float64)
    decoded = encoding.decode(total, len(weights))
    allowed = len(weights) / encoding.update_scale + 2.0**-23 * clip_norm * len(weights)
    assert decoded.update_sum.dtype == np.float32
    assert np.abs(decoded.update_sum - exact).max() <= allowed
    assert abs(decoded.weight - sum(weights)) <= len(weights) / encoding.weight_scale
    assert abs(decoded.loss - sum(weights) * max_loss / 3) <= len(weights) * 1.001 / encoding.loss_scale


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 10**6), st.floats(1e-6, 1e6))
def test_the_extreme_sum_never_overflows(num_summands: int, bound: float) -> None:
    encoding = UpdateEncoding(1, bound, num_summands, bound)
    for scale, limit in (
        (encoding.update_scale, bound * (1 + 1e-6)),
        (encoding.weight_scale, 1.0),
        (encoding.loss_scale, bound),
    ):
        largest = math.floor(limit * scale) + 1
        assert num_summands * largest < 2**31
        # The scale is not needlessly coarse: four times as much would overflow.
        assert num_summands * (limit * 4 * scale + 1) >= 2**31


def test_the_extreme_sum_is_decoded_exactly() -> None:
    encoding = UpdateEncoding(1, clip_norm=1.0, num_summands=64, max_loss=1.0)
    for sign in (1.0, -1.0):
        update = np.array([sign], dtype=np.float32)
        total = sum(
            (encoding.encode(update, 1.0, 1.0, bytes([i]) * 32) for i in range(64)),
            start=np.zeros(encoding.length, dtype=np.uint32),
        )
        decoded = encoding.decode(total, 64)
        assert decoded.update_sum.tolist() == [64.0 * sign]
        assert (decoded.weight, decoded.loss) == (64.0, 64.0)


def test_rounding_is_unbiased() -> None:
    encoding = UpdateEncoding(1, clip_norm=1.0, num_summands=2, max_loss=1.0)
    coarse = 0.3 / encoding.update_scale
    update = np.full(1, coarse, dtype=np.float32)
    ups = sum(int(encoding.encode(update, 1.0, 0.0, i.to_bytes(32, "big"))[0]) for i in range(2000))
    # 2000 coins of probability 0.3: 600 on average, standard deviation 20.5.
    assert 500 < ups < 700


def test_rounding_depends_on_the_seed_only_through_its_own_derivation() -> None:
    encoding = UpdateEncoding(1000, clip_norm=1.0, num_summands=2, max_loss=1.0)
    update = unit_update(1000, 1.0, seed=1)
    assert np.array_equal(encoding.encode(update, 1.0, 0.0, SEED), encoding.encode(update, 1.0, 0.0, SEED))
    assert not np.array_equal(
        encoding.encode(update, 1.0, 0.0, SEED), encoding.encode(update, 1.0, 0.0, bytes(32))
    )
    assert rounding_bits(SEED, 4) != expand(SEED, 4).tolist()


def test_a_large_loss_is_cut() -> None:
    encoding = UpdateEncoding(1, clip_norm=1.0, num_summands=2, max_loss=2.0)
    vector = encoding.encode(np.zeros(1, dtype=np.float32), 1.0, 1e9, SEED)
    assert encoding.decode(vector, 1).loss == 2.0


@pytest.mark.parametrize(
    ("update", "weight", "loss"),
    [
        ([2.0, 0.0], 1.0, 0.0),
        ([1.0, 0.01], 1.0, 0.0),
        ([math.nan, 0.0], 1.0, 0.0),
        ([math.inf, 0.0], 1.0, 0.0),
        ([3e38, 0.0], 1.0, 0.0),
        ([0.0, 0.0, 0.0], 1.0, 0.0),
        ([0.0, 0.0], 0.0, 0.0),
        ([0.0, 0.0], 1.5, 0.0),
        ([0.0, 0.0], math.nan, 0.0),
        ([0.0, 0.0], 1.0, math.nan),
        ([0.0, 0.0], 1.0, math.inf),
        ([0.0, 0.0], 1.0, -0.5),
    ],
)
def test_what_cannot_be_encoded_is_refused(update: list[float], weight: float, loss: float) -> None:
    encoding = UpdateEncoding(2, clip_norm=1.0, num_summands=4, max_loss=8.0)
    with pytest.raises(MisuseError):
        encoding.encode(np.array(update, dtype=np.float32), weight, loss, SEED)


def test_an_update_of_another_type_is_refused() -> None:
    encoding = UpdateEncoding(2, clip_norm=1.0, num_summands=4, max_loss=8.0)
    wrong: Any = np.zeros(2, dtype=np.float64)
    with pytest.raises(MisuseError):
        encoding.encode(wrong, 1.0, 0.0, SEED)


@pytest.mark.parametrize(
    ("num_parameters", "clip_norm", "num_summands", "max_loss"),
    [
        (0, 1.0, 4, 8.0),
        (1, 0.0, 4, 8.0),
        (1, math.inf, 4, 8.0),
        (1, math.nan, 4, 8.0),
        (1, 1.0, 0, 8.0),
        (1, 1.0, 2**31, 8.0),
        (1, 1.0, 4, -1.0),
    ],
)
def test_an_encoding_that_cannot_be_safe_is_refused(
    num_parameters: int, clip_norm: float, num_summands: int, max_loss: float
) -> None:
    with pytest.raises(MisuseError):
        UpdateEncoding(num_parameters, clip_norm, num_summands, max_loss)


def test_a_sum_that_is_not_the_survivors_is_refused() -> None:
    encoding = UpdateEncoding(2, clip_norm=1.0, num_summands=4, max_loss=8.0)
    total = encoding.encode(np.zeros(2, dtype=np.float32), 1.0, 1.0, SEED)
    with pytest.raises(CryptoError):
        encoding.decode(total, 2)
    with pytest.raises(CryptoError):
        encoding.decode(expand(SEED, encoding.length), 1)
    for slot, value in ((2, 0), (2, 2**31 - 1), (3, 2**31 - 1), (3, 2**32 - 1)):
        impossible = total.copy()
        impossible[slot] = value
        with pytest.raises(CryptoError):
            encoding.decode(impossible, 1)
    with pytest.raises(MisuseError):
        encoding.decode(total[:-1], 1)
    with pytest.raises(MisuseError):
        encoding.decode(total, 5)
    wrong: Any = total.astype(np.int64)
    with pytest.raises(MisuseError):
        encoding.decode(wrong, 1)


SMALL_RINGS = (24, 16)


@pytest.mark.parametrize("ring_bits", SMALL_RINGS)
@pytest.mark.parametrize("num_summands", [1, 3, 20, 1000])
def test_a_small_ring_equals_the_exact_reference(ring_bits: int, num_summands: int) -> None:
    encoding = UpdateEncoding(50, 3.0, num_summands, max_loss=4.0, ring_bits=ring_bits, rotation_seed=SEED)
    update = unit_update(50, 3.0, seed=num_summands)
    spread = update.copy()
    rotate(spread, SEED)
    vector = encoding.encode(update, 0.5, 1.25, SEED)
    scales = [*([encoding.update_scale] * 50), encoding.weight_scale, encoding.loss_scale]
    *elements, weight, loss = encode_slots(
        [*(0.5 * float(x) for x in spread), 0.5, 0.5 * 1.25], scales, rounding_bits(SEED, 52)
    )
    assert [x % 2**ring_bits for x in vector[:50].tolist()] == [x % 2**ring_bits for x in elements]
    base = 2**encoding.digit_bits
    slots = vector[50:].tolist()
    assert all(slot < base for slot in slots[:-1])
    digits = iter(slots)
    for value, num_digits in ((weight, encoding.num_weight_digits), (loss, encoding.num_loss_digits)):
        assert sum(next(digits) * base**place for place in range(num_digits)) == value
    assert list(digits) == [1]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    ring_bits=st.sampled_from(SMALL_RINGS),
    num_summands=st.integers(1, 1000),
    num_parameters=st.sampled_from([1, 5, 300]),
    max_loss=st.floats(1e-3, 1e4),
    weights=st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=6),
    seed=st.integers(0, 2**20),
)
def test_a_sum_in_a_small_ring_is_within_the_stated_error(
    *,
    ring_bits: int,
    num_summands: int,
    num_parameters: int,
    max_loss: float,
    weights: list[float],
    seed: int,
) -> None:
    weights = weights[:num_summands]
    encoding = UpdateEncoding(num_parameters, 2.0, num_summands, max_loss, ring_bits)
    in_full = UpdateEncoding(num_parameters, 2.0, num_summands, max_loss)
    total = np.zeros(encoding.length, dtype=np.uint32)
    full_total = np.zeros(in_full.length, dtype=np.uint32)
    exact = np.zeros(num_parameters)
    for i, weight in enumerate(weights):
        update = unit_update(num_parameters, 2.0, seed + i)
        # What travels is cut to the ring; the sum is not, before it is decoded.
        total += encoding.encode(update, weight, max_loss / 3, bytes([i]) * 32) % np.uint32(2**ring_bits)
        full_total += in_full.encode(update, weight, max_loss / 3, bytes([i]) * 32)
        exact += weight * update.astype(np.float64)
    decoded, in_full_decoded = encoding.decode(total, len(weights)), in_full.decode(full_total, len(weights))
    rounding = math.sqrt(num_parameters) * len(weights) / encoding.update_scale
    assert np.linalg.norm(decoded.update_sum - exact) <= rounding + 1e-5 * len(weights)
    # Weight, loss and count lose nothing to the smaller ring.
    assert (decoded.weight, decoded.loss) == (in_full_decoded.weight, in_full_decoded.loss)


def test_the_error_of_a_parameter_has_the_stated_deviation() -> None:
    encoding = UpdateEncoding(4096, 1.0, 20, 8.0, ring_bits=16)
    update = unit_update(4096, 1.0, seed=4)
    total = sum(
        (encoding.encode(update, 1.0, 0.0, bytes([i]) * 32) for i in range(20)),
        start=np.zeros(encoding.length, dtype=np.uint32),
    )
    errors = encoding.decode(total, 20).update_sum - 20 * update.astype(np.float64)
    deviation = float(np.sqrt(np.square(errors).mean()))
    stated = math.sqrt(20) / (2 * encoding.update_scale)
    assert stated / 2 < deviation <= stated


@settings(derandomize=True, deadline=None)
@given(st.sampled_from([32, 24, 16]), st.integers(1, 5000), st.integers(1, 10**6), st.floats(1e-3, 1e4))
def test_the_extreme_sum_never_overflows_any_ring(
    ring_bits: int, num_summands: int, num_parameters: int, bound: float
) -> None:
    encoding = UpdateEncoding(num_parameters, bound, num_summands, bound, ring_bits)
    largest = math.floor(encoding.update_bound * encoding.update_scale) + 1
    assert num_summands * largest < 2 ** (ring_bits - 1)
    assert num_summands * (encoding.update_bound * 4 * encoding.update_scale + 1) >= 2 ** (ring_bits - 1)
    assert num_summands * (2**encoding.digit_bits - 1) < 2**ring_bits
    for limit, num_digits in (
        (encoding.weight_scale, encoding.num_weight_digits),
        (bound * encoding.loss_scale, encoding.num_loss_digits),
    ):
        assert limit + 1 < 2 ** (num_digits * encoding.digit_bits)


@pytest.mark.parametrize("ring_bits", SMALL_RINGS)
def test_a_coordinate_beyond_the_bound_is_cut_and_cannot_overflow(ring_bits: int) -> None:
    encoding = UpdateEncoding(4096, 1.0, 30, 8.0, ring_bits=ring_bits, rotation_seed=SEED)
    # Whoever knows the signs can build an update whose rotation has its whole norm in one coordinate.
    spike = np.zeros(4096, dtype=np.float32)
    spike[7] = 0.999999
    rotate_back(spike, SEED)
    total = sum(
        (encoding.encode(spike, 1.0, 8.0, bytes([i]) * 32) for i in range(30)),
        start=np.zeros(encoding.length, dtype=np.uint32),
    )
    opened = encoding.decode(total, 30).update_sum
    rotate(opened, SEED)
    assert opened[7] == pytest.approx(30 * encoding.update_bound, rel=1e-2)
    assert np.abs(np.delete(opened, 7)).max() <= 30 / encoding.update_scale + 1e-4


@pytest.mark.parametrize(("ring_bits", "most_bytes"), [(32, 4.0), (24, 3.0), (16, 2.0)])
def test_an_upload_has_the_bytes_of_its_ring(ring_bits: int, most_bytes: float) -> None:
    for num_parameters in (10_000, 999_999):
        encoding = UpdateEncoding(num_parameters, 1.0, 200, 50.0, ring_bits)
        assert packed_bytes(encoding.length, ring_bits) <= most_bytes * num_parameters + 60


def test_a_ring_that_is_too_small_or_unknown_is_refused() -> None:
    for ring_bits, num_summands in ((16, 2**15), (24, 2**23), (20, 4), (8, 4)):
        with pytest.raises(MisuseError):
            UpdateEncoding(10, 1.0, num_summands, 8.0, ring_bits)
    with pytest.raises(MisuseError):
        UpdateEncoding(10, 1.0, 4, 8.0, 16, rotation_seed=bytes(31))


@pytest.mark.parametrize("ring_bits", SMALL_RINGS)
def test_a_sum_in_a_small_ring_that_is_not_the_survivors_is_refused(ring_bits: int) -> None:
    encoding = UpdateEncoding(10, 1.0, 4, 8.0, ring_bits)
    total = encoding.encode(np.zeros(10, dtype=np.float32), 1.0, 1.0, SEED)
    for slot in (10, encoding.length - 1):
        impossible = total.copy()
        impossible[slot : slot + encoding.num_weight_digits] = 2**ring_bits - 1
        with pytest.raises(CryptoError):
            encoding.decode(impossible, 1)
