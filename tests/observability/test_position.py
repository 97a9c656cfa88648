"""Where in the run a log line belongs."""

import pytest

from fecosr.observability.position import Position


def test_a_whole_attempt_as_a_node_tells_it() -> None:
    told: list[tuple[str, dict[str, object], tuple[int, int, str]]] = [
        ("node_ready", {}, (0, 0, "starting")),
        ("training_started", {"round": 1, "attempt": 2}, (1, 2, "gathering")),
        ("training_progress", {"round": 1, "fraction": 0.5}, (1, 2, "training")),
        ("phase_started", {"round": 1, "attempt": 2, "phase": "share_keys"}, (1, 2, "share_keys")),
        ("connection_lost", {"reason": "gone"}, (1, 2, "share_keys")),
        ("round_closed", {"round": 1, "attempt": 2}, (1, 2, "share_keys")),
        ("coordinator_reached", {}, (1, 2, "gathering")),
        ("training_started", {"round": 2, "attempt": 1}, (2, 1, "gathering")),
        ("final_model_kept", {}, (2, 1, "training")),
        ("fine_tuning_progress", {}, (2, 1, "fine_tuning")),
    ]
    position = Position()
    for event, fields, expected in told:
        here = position.of(event, fields)
        assert (here.round, here.attempt, here.phase) == expected, event
        position = position.after(event, fields)


@pytest.mark.parametrize("fields", [{"round": "3"}, {"round": None}, {"attempt": 4}, {"round": True}])
def test_what_is_no_round_moves_nothing(fields: dict[str, object]) -> None:
    assert Position(2, 1, "unmask").after("late_message", fields) == Position(2, 1, "unmask")
