"""The benchmark of the start-up, once and for real."""

import pytest

from fecosr.harness.bench_startup import measure


@pytest.mark.slow
@pytest.mark.system
def test_both_binaries_are_measured_beside_their_floors() -> None:
    figures = measure(turns=1)
    assert [figure.reference_name for figure in figures] == [
        "python -c 'import grpc, numpy'",
        "python -c 'import torch'",
        "python -c 'import torch'",
    ]
    assert figures[1].ours < figures[2].ours
    assert all(figure.ours > 0 and figure.reference > 0 for figure in figures)
