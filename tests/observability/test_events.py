"""What the coordinator's log lines add to a view."""

import pytest

from fecosr.ids import NodeId
from fecosr.observability.events import after_line
from fecosr.observability.lines import LogLine
from fecosr.observability.view import MOST_LINES, RunView
from fecosr.secagg.messages import Phase
from tests.reference.watched_run import WatchedRun


def line(event: str, at: float = 5.0, level: str = "info", **fields: object) -> LogLine:
    return LogLine(at, level, event, fields)


def test_connections_are_followed(begun: WatchedRun) -> None:
    assert all(market.connected for market in begun.view.markets.values())
    view = after_line(begun.view, line("node_disconnected", market="fr", at=77.0))
    assert (view.markets["fr"].connected, view.markets["fr"].changed) == (False, 77.0)
    assert view.markets["de"].connected


def test_every_phase_is_timed(begun: WatchedRun) -> None:
    view = begun.go_on().view
    assert view.phase_seconds.keys() == {phase.value for phase in Phase}
    assert {sum(histogram.counts) for histogram in view.phase_seconds.values()} == {2}
    assert sum(view.round_seconds.counts) == 2


def test_loss_and_seconds_join_the_round_that_was_released(begun: WatchedRun) -> None:
    released = begun.go_on().view.rounds
    assert [seen.loss for seen in released] == pytest.approx([1.5, 1.5], abs=0.01)
    assert all(seen.seconds is not None for seen in released)


def test_a_late_line_of_another_round_joins_none(begun: WatchedRun) -> None:
    view = begun.go_on().view
    assert after_line(view, line("round_released", round=9, loss=0.1, seconds=1)).rounds == view.rounds


def test_only_a_process_that_ended_well_completes_a_run(begun: WatchedRun) -> None:
    view = begun.go_on().view
    assert after_line(view, line("coordinator_stopped", exit_code=143)).state == "finishing"
    assert after_line(view, line("coordinator_stopped", exit_code=0)).state == "completed"


def test_whoever_goes_after_the_sum_is_fixed_is_in_it(begun: WatchedRun) -> None:
    begun.go_on(lambda run: run.view.phase == "unmask")
    begun.node_crashes(NodeId("uk"))
    assert begun.view.lines[-1].event == "node_dropped"
    assert (begun.view.markets["uk"].part, begun.view.markets["uk"].connected) == ("in the sum", False)


def test_violations_are_the_markets_own(begun: WatchedRun) -> None:
    view = after_line(begun.view, line("node_violation", market="fr", rule="late"))
    view = after_line(view, line("protocol_violation", level="warning", market="fr", rule="x"))
    assert {name: market.violations for name, market in view.markets.items()} == {
        "de": 0,
        "fr": 2,
        "jp": 0,
        "uk": 0,
    }


def test_a_shared_metric_is_shown_until_the_next_one(begun: WatchedRun) -> None:
    view = after_line(begun.view, line("metric_shared", market="fr", round=1, validation=0.25))
    assert view.markets["fr"].validation == 0.25
    assert view.markets["de"].validation is None
    view = after_line(view, line("metric_shared", market="fr", round=2, validation=0.5))
    assert view.markets["fr"].validation == 0.5


def test_the_event_log_is_bounded_and_counted() -> None:
    view = RunView()
    for number in range(MOST_LINES + 50):
        view = after_line(view, line("noise", level="warning", number=number))
    assert len(view.lines) == MOST_LINES
    assert view.lines[-1].fields == {"number": MOST_LINES + 49}
    assert view.levels == {"warning": MOST_LINES + 50}


@pytest.mark.parametrize(
    "fields",
    [{}, {"market": 7}, {"market": ["fr"]}, {"market": "<b>"}, {"round": "one", "seconds": "long"}],
)
@pytest.mark.parametrize("event", ["node_connected", "round_released", "phase_started", "waiting_for", ""])
def test_no_line_can_hurt(begun: WatchedRun, event: str, fields: dict[str, object]) -> None:
    before = begun.view
    after = after_line(before, LogLine(5.0, "info", event, fields))
    assert after.markets == before.markets
    assert len(after.lines) == len(before.lines) + 1
