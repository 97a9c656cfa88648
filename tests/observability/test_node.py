"""What a node's own log tells of it."""

from fecosr.observability.lines import LogLine
from fecosr.observability.measures import Measure, Traffic
from fecosr.observability.node import NodeView, after_node_line, node_measures

TOLD: list[tuple[float, str, dict[str, object]]] = [
    (1.0, "coordinator_not_reached", {}),
    (2.0, "coordinator_reached", {}),
    (3.0, "training_started", {"round": 1, "attempt": 1}),
    (8.0, "training_finished", {"round": 1, "attempt": 1}),
    (9.0, "phase_started", {"round": 1, "attempt": 1, "phase": "advertise_keys"}),
    (11.0, "phase_started", {"round": 1, "attempt": 1, "phase": "share_keys"}),
    (15.0, "round_closed", {"round": 1, "attempt": 1, "outcome": "released"}),
    (16.0, "refused", {"peer": "coordinator", "rule": "x"}),
    (20.0, "connection_lost", {"reason": "gone"}),
]


def told(lines: list[tuple[float, str, dict[str, object]]]) -> NodeView:
    view = NodeView("spring", "fr", "1")
    for at, event, fields in lines:
        view = after_node_line(view, LogLine(at, "info", event, fields))
    return view


def test_phases_are_timed_from_line_to_line() -> None:
    spent = {phase: h.total_seconds for phase, h in told(TOLD).phase_seconds.items()}
    assert spent == {"training": 5.0, "advertise_keys": 2.0, "share_keys": 4.0}


def test_connection_and_counts() -> None:
    assert told(TOLD[:2]).connected
    view = told(TOLD)
    assert not view.connected
    assert (view.failures, view.refusals, view.outcomes) == (1, 1, {"released": 1})
    assert view.levels == {"info": len(TOLD)}


def test_the_metrics_name_the_market_and_no_figure_of_its_data() -> None:
    view = told([*TOLD, (21.0, "node_ready", {"users": 4711, "items": 4712, "interactions": 4713})])
    measures: list[Measure] = list(node_measures(view, Traffic(1, 2)))
    labels, _ = measures[0].samples[0]
    assert labels == {"run": "spring", "version": "1", "party": "fr"}
    assert "471" not in repr(measures)
    assert {m.name for m in measures} >= {
        "fecosr_attempts_closed",
        "fecosr_phase_seconds",
        "fecosr_sent_bytes",
    }
