"""The metrics of a coordinator."""

from collections.abc import Mapping

from fecosr.ids import NodeId
from fecosr.observability.histogram import Histogram
from fecosr.observability.measures import Measure, Traffic, run_measures
from fecosr.observability.view import RunView
from tests.reference.watched_run import WatchedRun

Key = tuple[str, tuple[tuple[str, str], ...]]


def values(view: RunView, traffic: Traffic | None = None) -> Mapping[Key, float | Histogram]:
    measures: list[Measure] = list(run_measures(view, traffic or Traffic(), lambda _view, _market: None))
    assert len({measure.name for measure in measures}) == len(measures), "each name once"
    return {
        (measure.name, tuple(sorted(labels.items()))): value
        for measure in measures
        for labels, value in measure.samples
    }


def test_a_finished_run_in_figures(begun: WatchedRun) -> None:
    found = values(begun.go_on().view, Traffic(received_bytes=10, sent_bytes=20))
    assert found["fecosr_rounds_released", ()] == 2
    assert found["fecosr_nodes_connected", ()] == 4
    assert found["fecosr_state", (("state", "finishing"),)] == 1
    assert found["fecosr_state", (("state", "round"),)] == 0
    assert found["fecosr_market_sums", (("market", "uk"),)] == 2
    assert found["fecosr_received_bytes", ()] == 10
    assert found["fecosr_sent_bytes", ()] == 20
    unmask = found["fecosr_phase_seconds", (("phase", "unmask"),)]
    assert isinstance(unmask, Histogram)
    assert sum(unmask.counts) == 2


def test_dropouts_and_aborts_carry_their_reasons(begun: WatchedRun) -> None:
    begun.go_on(lambda run: run.view.phase == "masked_input")
    begun.node_crashes(NodeId("uk"))
    found = values(begun.go_on(lambda run: run.view.released == 1).view)
    assert found["fecosr_dropouts", (("market", "uk"), ("reason", "disconnected"))] == 1
    assert found["fecosr_node_connected", (("market", "uk"),)] == 0


def test_a_run_that_has_not_begun_has_metrics_too() -> None:
    found = values(RunView())
    assert found["fecosr_rounds_released", ()] == 0
    assert found["fecosr_state", (("state", "starting"),)] == 1
    assert not any(name == "fecosr_budget_epsilon" for name, _ in found), "nothing is promised"
