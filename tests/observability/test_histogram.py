"""Durations in buckets."""

import pytest

from fecosr.observability.histogram import BOUNDS_SECONDS, Histogram


@pytest.mark.parametrize(
    ("seconds", "place"), [(0.0, 0), (0.01, 0), (0.011, 1), (3600.0, 11), (3600.1, 12), (-5.0, 0)]
)
def test_a_bound_belongs_to_its_bucket(seconds: float, place: int) -> None:
    histogram = Histogram().plus(seconds)
    assert histogram.counts.index(1) == place
    assert histogram.total_seconds == max(0.0, seconds)


def test_buckets_are_cumulated_for_prometheus() -> None:
    cumulated = Histogram().plus(0.02).plus(5.0).plus(9999.0).cumulated()
    assert [bound for bound, _ in cumulated] == [*map(str, BOUNDS_SECONDS), "+Inf"]
    assert [count for _, count in cumulated] == [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3]
