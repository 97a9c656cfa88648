import io
from collections.abc import Callable

import pytest
from rich.console import Console

from fecosr.harness.display import PlainDisplay, facts, progress_table
from fecosr.harness.events import Exited, Happening, Started
from fecosr.harness.observation import Observation
from fecosr.harness.scenario import Scenario

LogEvent = Callable[..., Happening]


def half_way(logged: LogEvent) -> Observation:
    released = {
        "attempt": 1,
        "survivors": ["alpha", "gamma"],
        "dropouts": {"beta": "disconnected"},
        "loss": 5.25,
    }
    return Observation.of(
        [
            logged("coordinator", "coordinator_ready", port=4711),
            logged("coordinator", "phase_started", round=2, phase="share_keys"),
            Started("beta", 1),
            logged("beta", "phase_started", round=1, phase="masked_input"),
            Exited("beta", -9),
            Started("beta", 2),
            logged("coordinator", "round_released", round=1, **released),
            logged("alpha", "training_progress", round=2, fraction=0.5),
            logged("gamma", "report_written", path="x"),
            Exited("gamma", 1),
        ]
    )


def test_everything_that_matters_is_a_fact(scenario: Scenario, logged: LogEvent) -> None:
    assert list(facts(scenario, half_way(logged))) == [
        "coordinator listens on port 4711; 3 market nodes started",
        "beta was killed (SIGKILL) in round 1 at masked input",
        "gamma failed with exit code 1",
        "beta was started again (start 2)",
        "round 1 of 2: sum of 2 markets opened without beta, loss 5.2500",
    ]


def test_a_released_metric_and_an_early_end_are_facts(scenario: Scenario, logged: LogEvent) -> None:
    released = {"attempt": 1, "survivors": ["alpha", "gamma"], "dropouts": {}, "validation": 0.125}
    observation = Observation.of(
        [
            logged("coordinator", "round_released", round=2, **released),
            logged("coordinator", "run_completed", rounds=2, final_round=1),
        ]
    )
    told = list(facts(scenario, observation))
    assert told == [
        "round 2 of 2: sum of 2 markets opened; the model before it: validation NDCG@10 0.1250",
        "the run is over; its final model is that of round 1",
    ]


def test_silence_is_broken_by_how_things_stand(
    scenario: Scenario, logged: LogEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), width=80, _environ={})
    display = PlainDisplay(scenario, console)

    for seconds in (0.0, 14.0, 16.0, 20.0, 32.0):
        clock[0] = seconds
        display.show(half_way(logged))

    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert [line for line in lines if not line.startswith("[    0 s]")] == [
        "[   16 s] beta restarted",
        "[   32 s] beta restarted",
    ]


def test_the_live_table_has_a_line_for_each_market_and_fits_80_columns(
    scenario: Scenario, logged: LogEvent
) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None, _environ={})

    console.print(progress_table(scenario, half_way(logged), 12.0))

    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert all(len(line) <= 80 for line in lines)
    assert lines[1].startswith("rounds  1 of 2")
    assert [line.split("  ")[0] for line in lines[2:5]] == ["alpha", "beta", "gamma"]
    assert "50%" in lines[2]
    assert lines[3].endswith("restarted")
    assert lines[5] == "coordinator: share keys   12 s"


def test_a_run_of_which_nothing_is_known_can_be_shown(scenario: Scenario) -> None:
    observation = Observation()

    assert list(facts(scenario, observation)) == []
    Console(file=io.StringIO()).print(progress_table(scenario, observation, 0.0))
