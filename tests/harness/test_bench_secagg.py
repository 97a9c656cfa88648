import math

import numpy as np

from fecosr.crypto.prg import expand
from fecosr.crypto.shamir import PRIME, lagrange_weights
from fecosr.harness import bench_secagg


def test_every_figure_is_a_comparison() -> None:
    figures = bench_secagg.measure(num_parameters=3000, repetitions=1)
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names)
    for subject in (
        "mask",
        "encode and mask",
        "clip and encode",
        "peak memory",
        "Shamir: share",
        "Shamir: re",
    ):
        assert any(name.startswith(subject) for name in names)
    assert all(0 < figure.ratio < math.inf for figure in figures)


def test_the_floor_adds_true_keystreams() -> None:
    vector = np.zeros(70_000, dtype=np.uint32)
    bench_secagg._add_bare_keystreams(vector, 2)
    assert np.array_equal(vector, expand(bytes(32), 70_000) + expand(bytes([1]) * 32, 70_000))


def test_the_naive_references_reckon_right() -> None:
    shares = bench_secagg._naive_split(bytes(32), 3, 5)
    weights = lagrange_weights([1, 3, 5])
    opened = sum(w * int.from_bytes(shares[x - 1], "big") for w, x in zip(weights, (1, 3, 5), strict=True))
    assert opened % PRIME == 0
