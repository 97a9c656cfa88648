"""Faults against stand-ins: processes that follow a script, stop where they are told, and write a report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fecosr.harness.conclusion import Outcome
from fecosr.harness.events import Struck
from fecosr.harness.observation import Observation
from fecosr.harness.runner import run_scenario
from fecosr.harness.scenario import Scenario

MakeScenario = Callable[..., Scenario]
Strike = Callable[..., Outcome]
pytestmark = pytest.mark.usefixtures("stand_ins")


class Nobody:
    def show(self, observation: Observation) -> None:
        pass


@pytest.fixture
def strike(make_scenario: MakeScenario, tmp_path: Path) -> Strike:
    """Run a scenario of three stand-ins with these faults."""

    def run(*faults: dict[str, Any], **expect: Any) -> Outcome:
        expected = {"max_seconds": 60.0, "audit": "skipped", "dropouts": {2: ["beta"]}, **expect}
        return run_scenario(make_scenario(faults=faults, expect=expected), tmp_path / "run", Nobody())

    return run


def failures(outcome: Outcome) -> dict[str, str]:
    return {verdict.expectation: verdict.found for verdict in outcome.verdicts if not verdict.holds}


def at(
    kind: str, target: str = "beta", number: int = 1, phase: str = "unmask", **more: Any
) -> dict[str, Any]:
    return {"kind": kind, "target": target, "round": number, "phase": phase, **more}


def test_a_paused_process_goes_on_where_it_stood(strike: Strike) -> None:
    outcome = strike(at("pause", for_seconds=0.1))

    assert failures(outcome) == {}
    assert outcome.observation.struck == [Struck("beta", 0, "beta was stopped for 0.1 s")]
    assert outcome.observation.parties["beta"].times == 1


def test_two_faults_at_one_point_both_happen(strike: Strike) -> None:
    outcome = strike(at("pause", for_seconds=0.1), at("slow", factor=2.0, for_seconds=0.1))

    assert failures(outcome) == {}
    assert [struck.fault for struck in outcome.observation.struck] == [0, 1]


def test_a_process_that_does_not_end_as_it_should_is_named(strike: Strike) -> None:
    outcome = strike(at("restart"))

    assert failures(outcome)["beta ends within 10 s of a SIGTERM at unmask of round 1"] == "exit code -15"


def test_a_process_without_room_is_started_again_where_there_is_some(strike: Strike) -> None:
    outcome = strike(at("full_disk", for_seconds=60.0, number=2))

    assert failures(outcome) == {}
    assert [(end.returncode, end.fault) for end in outcome.observation.endings if end.name == "beta"] == [
        (1, 0),
        (0, None),
    ]


def test_a_kill_by_time_needs_no_point(strike: Strike) -> None:
    outcome = strike({"kind": "kill", "target": "gamma", "at_seconds": 0.0, "restart": True})

    assert failures(outcome) == {}
    assert outcome.observation.parties["gamma"].times == 2


def test_a_fault_that_was_never_reached_fails_the_run(strike: Strike) -> None:
    outcome = strike({"kind": "garbage", "at_seconds": 50.0})

    assert failures(outcome) == {
        "a stranger throws random bytes at the port after 50 s": "it never came to that"
    }


def test_a_node_with_a_link_is_sent_to_it(strike: Strike) -> None:
    """The stand-in ends at once unless it is sent to the coordinator's own port."""
    outcome = strike({"kind": "delay", "target": "beta", "at_seconds": 0.0, "seconds": 1.0})

    assert "beta ended with 1" in failures(outcome)["every process that was not killed on purpose exits 0"]


def test_bounds_that_are_not_kept_are_named(strike: Strike) -> None:
    outcome = strike(
        min_survivors=3,
        abort_reasons=["too_few"],
        refusals={"beta": "a rule"},
        said={"beta": ["node_ready", "nonsense"]},
        exits={"gamma": 2},
        metrics={"fecosr": {"hr@10": 0.9}},
        max_epsilon=1.0,
        memory={"node_bytes": 1, "growth": 1.0},
        sums="recomputed",
    )

    found = failures(outcome)
    assert found["no sum is over fewer than 3 markets"] == "2, in round 2"
    assert found["attempts are aborted for too_few"] == "nothing"
    assert found["beta refuses by the rule 'a rule'"] == "nothing"
    assert found["beta logs node_ready, nonsense"] == "not nonsense"
    assert "gamma ended with 0" in found["every process that was not killed on purpose exits 0, but gamma 2"]
    assert found["fecosr has a mean hr@10 of at least 0.9"] == "0.5000"
    assert found["no market's users have more than epsilon 1"] == "no privacy was accounted for"
    assert found["every sum is that of its survivors' updates, up to stochastic rounding"] == (
        "it was not recomputed"
    )
    assert "every node stays below 0 MB" in found
    assert len(found) >= 9
