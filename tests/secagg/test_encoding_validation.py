"""A validation metric beside update, weight and loss: only its weighted mean can be read from a sum."""

from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fecosr.errors import CryptoError, MisuseError
from fecosr.secagg.encoding import UpdateEncoding

SEED: Final = bytes(range(32))
NOTHING: Final = np.zeros(3, dtype=np.float32)
metrics = st.none() | st.floats(0.0, 1.0)


def encoding_for(num_summands: int = 4, ring_bits: int = 32) -> UpdateEncoding:
    return UpdateEncoding(3, 1.0, num_summands, 8.0, ring_bits, with_validation=True)


def test_the_layout_is_update_weight_loss_validation_count() -> None:
    encoding = encoding_for()
    vector = encoding.encode(NOTHING, 0.5, 2.0, SEED, validation=0.25)
    weight = int(0.5 * encoding.weight_scale)
    # Every product here is a multiple of one unit, so nothing is left to rounding.
    assert vector.tolist() == [0, 0, 0, weight, int(encoding.loss_scale), weight, weight // 4, 1]
    unmeasured = encoding.encode(NOTHING, 0.5, 2.0, SEED)
    assert unmeasured.tolist() == [0, 0, 0, weight, int(encoding.loss_scale), 0, 0, 1]


def test_without_it_nothing_of_it_travels() -> None:
    without = UpdateEncoding(3, 1.0, 4, 8.0)
    assert without.length + 2 == encoding_for().length
    plain = without.encode(NOTHING, 0.3, 2.0, SEED)
    assert encoding_for().encode(NOTHING, 0.3, 2.0, SEED, 0.7)[:5].tolist() == plain[:5].tolist()
    assert without.decode(plain, 1).mean_validation is None


@settings(derandomize=True, deadline=None, max_examples=80)
@given(
    ring_bits=st.sampled_from([32, 24, 16]),
    spare=st.integers(0, 500),
    clients=st.lists(st.tuples(st.floats(1e-3, 1.0), metrics), min_size=1, max_size=6),
)
def test_the_mean_is_that_of_those_who_measured(
    ring_bits: int, spare: int, clients: list[tuple[float, float | None]]
) -> None:
    encoding = encoding_for(len(clients) + spare, ring_bits)
    total = np.zeros(encoding.length, dtype=np.uint32)
    for place, (weight, metric) in enumerate(clients):
        total += encoding.encode(NOTHING, weight, 1.0, bytes([place]) * 32, metric)
    decoded = encoding.decode(total, len(clients))
    measured = [(weight, metric) for weight, metric in clients if metric is not None]
    if not measured:
        assert decoded.mean_validation is None
        return
    unit = len(clients) / encoding.weight_scale
    weights = sum(weight for weight, _ in measured)
    assert decoded.validation_weight == pytest.approx(weights, abs=1.001 * unit)
    assert decoded.validation == pytest.approx(sum(w * m for w, m in measured), abs=1.001 * unit)
    assert decoded.mean_validation is not None
    assert 0 <= decoded.mean_validation <= 1


@settings(derandomize=True, deadline=None)
@given(st.sampled_from([32, 24, 16]), st.integers(1, 5000))
def test_perfect_metrics_of_everybody_never_overflow(ring_bits: int, num_summands: int) -> None:
    """The static proof: a slot holds at most num_summands times its largest digit."""
    encoding = UpdateEncoding(1, 1.0, num_summands, 8.0, ring_bits, with_validation=True)
    slots = encoding.encode(np.ones(1, dtype=np.float32), 1.0, 8.0, b"\xff" * 32, 1.0)[1:].astype(np.int64)
    assert (slots * num_summands < 2**ring_bits).all()
    assert encoding.weight_scale + 1 < 2 ** (encoding.num_weight_digits * encoding.digit_bits)


@pytest.mark.parametrize(
    ("slot", "added"),
    [
        (-2, 0.6),  # a metric above 1 by its own weight
        (-3, 0.6),  # a weight above that of the update
    ],
)
def test_a_metric_that_nobody_can_have_is_refused(slot: int, added: float) -> None:
    encoding = encoding_for()
    total = encoding.encode(NOTHING, 0.5, 2.0, SEED, validation=0.25)
    total[slot] += np.uint32(int(added * encoding.weight_scale))
    with pytest.raises(CryptoError, match="the validation metric in the sum is impossible"):
        encoding.decode(total, 1)


@pytest.mark.parametrize("validation", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_metric_out_of_range_is_not_encoded(validation: float) -> None:
    with pytest.raises(MisuseError, match="validation metric"):
        encoding_for().encode(NOTHING, 0.5, 2.0, SEED, validation)


def test_a_metric_the_plan_does_not_ask_for_is_not_encoded() -> None:
    with pytest.raises(MisuseError, match="a place in the encoding"):
        UpdateEncoding(3, 1.0, 4, 8.0).encode(NOTHING, 0.5, 2.0, SEED, 0.5)
