from collections.abc import Callable

import pytest

from fecosr.harness.events import Exited, Happening, Started, parse_line
from fecosr.harness.observation import Observation, ReleasedRound

LogEvent = Callable[..., Happening]


def test_a_node_is_followed_from_start_to_figures(logged: LogEvent) -> None:
    script: list[tuple[Happening, str, float | None]] = [
        (Started("fr", 1), "starting", None),
        (logged("fr", "node_ready", users=9), "ready", None),
        (logged("fr", "training_started", round=1), "training", None),
        (logged("fr", "training_progress", round=1, fraction=0.25), "training", 0.25),
        (logged("fr", "phase_started", round=1, phase="share_keys"), "share_keys", None),
        (Exited("fr", -9), "killed", None),
        (Started("fr", 2), "restarted", None),
        (logged("fr", "evaluation_started", method="local"), "evaluating local", None),
        (logged("fr", "local_progress", fraction=0.25, epoch=10), "training alone", 0.25),
        (logged("fr", "fine_tuning_started"), "fine-tuning", None),
        (logged("fr", "fine_tuning_progress", fraction=0.5, epoch=3), "fine-tuning", 0.5),
        (logged("fr", "evaluation_started", method="fecosr"), "evaluating fecosr", None),
        (logged("fr", "report_written", path="x"), "evaluated", None),
        (Exited("fr", 0), "evaluated", None),
    ]
    observation = Observation()
    for happening, activity, fraction in script:
        observation.see(happening)
        assert (observation.party("fr").activity, observation.party("fr").fraction) == (activity, fraction)

    killed, ended = observation.endings
    assert (killed.killed, killed.times, killed.round, killed.activity) == (True, 1, 1, "share_keys")
    assert (ended.killed, ended.times, ended.returncode) == (False, 2, 0)


def test_what_the_coordinator_released_is_kept(logged: LogEvent) -> None:
    released = {
        "attempt": 2,
        "survivors": ["fr", "de"],
        "dropouts": {"uk": "deadline"},
        "loss": 5,
        "seconds": 0.5,
    }
    observation = Observation.of(
        [
            logged("coordinator", "coordinator_ready", port=4711),
            logged("coordinator", "round_aborted", round=1, attempt=1, reason="too few"),
            logged("coordinator", "round_released", round=1, **released),
        ]
    )

    assert observation.port == 4711
    assert observation.aborted == ["round 1, attempt 1: too few"]
    assert observation.released == {1: ReleasedRound(1, 2, ("de", "fr"), ("uk",), 5.0, 0.5)}
    assert (observation.rounds(), observation.completed_rounds) == (1, None)

    observation.see(logged("coordinator", "run_completed", rounds=3))
    assert observation.rounds() == 3


def test_a_node_cannot_speak_for_the_coordinator(logged: LogEvent) -> None:
    observation = Observation.of(
        [logged("fr", "run_completed", rounds=3), logged("fr", "coordinator_ready", port=1)]
    )

    assert (observation.completed_rounds, observation.port) == (None, None)


@pytest.mark.parametrize(
    "line",
    [
        b'{"event": "phase_started"}',
        b'{"event": "round_released", "round": "x", "survivors": 3, "loss": "low"}',
        b'{"event": ["a"], "fraction": true}',
        b"[1, 2]",
        b"\xff\xfe",
        b'{"event": "training_progr',
    ],
)
def test_no_line_of_a_log_can_end_the_harness(line: bytes) -> None:
    event = parse_line("coordinator", line)

    assert event is not None
    Observation.of([event])


def test_the_last_thing_that_went_wrong_is_remembered(logged: LogEvent) -> None:
    observation = Observation.of([logged("fr", "node_failed", level="error", error="no data", exit_code=2)])
    assert observation.party("fr").last_error == "node_failed no data"

    line = parse_line("fr", b"ValueError: not an event")
    assert line is not None
    observation.see(line)
    observation.see(logged("fr", "round_closed", level="info"))
    assert observation.party("fr").last_error == "ValueError: not an event"
    assert parse_line("fr", b"  \n") is None
