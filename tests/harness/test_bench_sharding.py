"""The benchmark of a divided catalogue, with one that is not huge."""

import pytest

from fecosr.harness.bench_sharding import measure


@pytest.mark.slow
@pytest.mark.system
def test_two_shards_are_compared_with_one_process() -> None:
    figures = measure(num_items=2000)
    assert [figure.unit for figure in figures] == ["s", "MiB"]
    assert all(figure.reference_name == "one process" and figure.ours > 0 for figure in figures)
