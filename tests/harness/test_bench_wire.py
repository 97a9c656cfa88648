"""The wire benchmark with real processes and a short vector: every figure is there and is a comparison."""

import math

import pytest

from fecosr.harness import bench_wire
from fecosr.harness.wire_runs import Bench, WireRun, provisioned


@pytest.mark.slow
def test_a_run_of_real_processes_yields_seconds_and_memory() -> None:
    with provisioned(3, 1000, rounds=2) as bench:
        run = bench.run_protocol()
        bare = [bench.bare_seconds(least_work=work) for work in (False, True)]
    assert len(run.seconds) == 1
    assert all(0 < seconds < math.inf for seconds in (*run.seconds, *bare))
    assert min(run.coordinator_bytes, run.node_bytes) > 1 << 20


def test_every_figure_is_beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "run_protocol", lambda _self: WireRun((2.0,), 90, 80))
    monkeypatch.setattr(Bench, "bare_seconds", lambda _self, least_work: 1.5 if least_work else 1.0)
    monkeypatch.setattr(bench_wire, "CROWD", 3)
    figures = bench_wire.measure(num_parameters=4)
    assert [figure.ratio for figure in figures[:2]] == [2.0, 2.0 / 1.5]
    assert sum("peak memory" in figure.name for figure in figures) == 2
    (empty,) = [figure for figure in figures if figure.name.startswith("empty round")]
    assert (empty.ours, empty.reference) == (2.0, 0.15)
