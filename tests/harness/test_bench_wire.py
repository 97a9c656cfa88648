"""The wire benchmark with real processes and a short vector: every figure is there and is a comparison."""

import math

import pytest

from fecosr.harness import bench_wire
from fecosr.harness.wire_runs import Bench, Rounds, WireRun, provisioned


@pytest.mark.slow
def test_a_run_of_real_processes_yields_seconds_and_memory() -> None:
    with provisioned(3, 1000, rounds=3) as bench:
        run = bench.run_protocol()
        runs = [run.rounds, *(bench.run_bare(least_work=work) for work in (False, True))]
    for rounds in runs:
        assert len(rounds.seconds) == 2
        assert all(0 < seconds < math.inf for seconds in rounds.seconds)
        # A round of so few parameters may take less than a clock tick.
        assert 0 <= rounds.processor_seconds < math.inf
    with provisioned(3, 1000, rounds=3) as bench:
        far = bench.run_protocol(delay_seconds=0.02)
    # The model is asked for and comes, and the five phases are two ways each.
    assert min(far.rounds.seconds) > 10 * 0.02
    assert min(run.coordinator_bytes, run.node_bytes) > 1 << 20


def test_every_figure_is_beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(_bench: Bench, *, least_work: bool) -> Rounds:
        return Rounds((1.5,), 2.5) if least_work else Rounds((1.0,), 2.0)

    def run(_bench: Bench, delay_seconds: float = 0.0) -> WireRun:
        return WireRun(Rounds((2.0 + delay_seconds,), 5.0), 90, 80)

    monkeypatch.setattr(Bench, "run_protocol", run)
    monkeypatch.setattr(Bench, "run_bare", bare)
    monkeypatch.setattr(bench_wire, "CROWD", 3)
    figures = bench_wire.measure(num_parameters=4)
    assert [figure.ratio for figure in figures[:6]] == [2.0, 2.0 / 1.5, 2.5, 2.0, 1.5, 1.25]
    seconds, processor = "s", "processor s"
    assert [figure.unit for figure in figures[:6]] == [seconds] * 2 + [processor] * 2 + [seconds, processor]
    assert sum("peak memory" in figure.name for figure in figures) == 2
    (far,) = [figure for figure in figures if "an answer takes 100 ms" in figure.name]
    assert (far.ours, far.reference) == (2.05, 2.0)
    (empty,) = [figure for figure in figures if figure.name.startswith("empty round")]
    assert (empty.ours, empty.reference) == (2.0, 0.15)
