from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fecosr.audit.findings import Finding
from fecosr.audit.report import AuditReport
from fecosr.harness.events import Exited, Happening, Started, parse_line
from fecosr.harness.expectations import Evidence, judge
from fecosr.harness.observation import Observation
from fecosr.harness.scenario import Scenario
from fecosr.harness.summary import MarketFigures

MakeScenario = Callable[..., Scenario]
METRICS = {"hr@10": 0.5, "ndcg@10": 0.25, "mrr": 0.2}
RECORDED = Path(__file__).with_name("recorded_run.txt")
"""One line per happening: the process, what it did, and how often, with which code, or what it logged."""


def recorded(*, without: str = "", instead: dict[str, str] | None = None) -> list[Happening]:
    happenings: list[Happening] = []
    text = RECORDED.read_text()
    for old, new in (instead or {}).items():
        text = text.replace(old, new)
    for line in text.splitlines():
        if without and without in line:
            continue
        name, kind, rest = line.split(" ", 2)
        if kind == "started":
            happenings.append(Started(name, int(rest)))
        elif kind == "exited":
            happenings.append(Exited(name, int(rest)))
        elif (event := parse_line(name, rest.encode())) is not None:
            happenings.append(event)
    return happenings


def figures(name: str, **changes: Any) -> MarketFigures:
    methods = {"popularity": METRICS, "local": METRICS, "fecosr": METRICS}
    values = {"users": 9, "items": 8, "interactions": 50, "semantics": "text", "methods": methods, **changes}
    return MarketFigures(market=name, **values)


def evidence(happenings: list[Happening] | None = None, **changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "figures": {name: figures(name) for name in ("alpha", "beta", "gamma")},
        "audit": AuditReport(()),
        "seconds": 12.0,
        "out_of_time": False,
    }
    return Evidence(Observation.of(recorded() if happenings is None else happenings), **{**values, **changes})


def failures(scenario: Scenario, evidence: Evidence) -> dict[str, str]:
    return {verdict.expectation: verdict.found for verdict in judge(scenario, evidence) if not verdict.holds}


@pytest.fixture
def audited(make_scenario: MakeScenario) -> Scenario:
    return make_scenario(expect={"max_seconds": 20.0})


def test_a_run_as_it_should_be_holds_in_every_respect(audited: Scenario) -> None:
    assert [verdict.sentence() for verdict in judge(audited, evidence())] == [
        "holds  over within 20 s: it took 12.0 s",
        "holds  2 rounds released: 2 were",
        "holds  beta dies of SIGKILL at masked_input of round 2: it did, while it was at 'masked_input'",
        "holds  round 2 is released without beta: beta was missing, 2 survivors: alpha, gamma",
        "holds  every process that was not killed on purpose exits 0: all did",
        "holds  alpha ends with a fine-tuned model and sound figures: 9 users, 8 items",
        "holds  beta ends with a fine-tuned model and sound figures: 9 users, 8 items",
        "holds  gamma ends with a fine-tuned model and sound figures: 9 users, 8 items",
        "holds  the run folder passes the audit: verified",
    ]


@pytest.mark.parametrize(
    ("changes", "expectation", "found"),
    [
        ({"seconds": 20.5}, "over within 20 s", "it took 20.5 s"),
        ({"out_of_time": True}, "over within 20 s", "it was ended then"),
        (
            {"audit": AuditReport((Finding(3, "chain", "Record 3 does not verify."),))},
            "the run folder passes the audit",
            "Record 3 does not verify.",
        ),
        (
            {"figures": {name: figures(name) for name in ("alpha", "beta")}},
            "gamma ends with a fine-tuned model and sound figures",
            "it wrote no report that can be read",
        ),
    ],
)
def test_what_does_not_hold_is_named(
    audited: Scenario, changes: dict[str, Any], expectation: str, found: str
) -> None:
    assert failures(audited, evidence(**changes)) == {expectation: found}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"users": 0}, "it has 0 users, fewer than 1"),
        ({"items": 0}, "it has no items"),
        ({"methods": {"popularity": METRICS, "local": METRICS}}, "it has no figures for fecosr"),
        (
            {"methods": {"popularity": METRICS, "local": {}, "fecosr": {"mrr": float("nan")}}},
            "it has no figures for local; fecosr has mrr nan",
        ),
    ],
)
def test_unsound_figures_are_named(audited: Scenario, changes: dict[str, Any], found: str) -> None:
    reports = {name: figures(name) for name in ("alpha", "gamma")}

    failed = failures(audited, evidence(figures={**reports, "beta": figures("beta", **changes)}))

    assert failed == {"beta ends with a fine-tuned model and sound figures": found}


def test_a_run_that_never_completed(audited: Scenario) -> None:
    failed = failures(audited, evidence(recorded(without="run_completed")))

    assert failed == {"2 rounds released": "the run never completed; the last was round 2"}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("exited -9", "exited 0", "it ended with exit code 0"),
        ("exited -9", "exited -15", "it ended with exit code -15"),
        ('"phase_started", "round": 2', '"phase_started", "round": 1', "it died in round 1"),
    ],
)
def test_a_kill_that_was_not_the_one_asked_for(audited: Scenario, old: str, new: str, found: str) -> None:
    failed = failures(audited, evidence(recorded(instead={old: new})))

    assert failed == {"beta dies of SIGKILL at masked_input of round 2": found}


def test_a_kill_nobody_asked_for(make_scenario: MakeScenario) -> None:
    scenario = make_scenario(faults=[], expect={"max_seconds": 20.0, "dropouts": {"2": ["beta"]}})

    assert failures(scenario, evidence()) == {
        "every process that was not killed on purpose exits 0": "beta ended with -9 at 'masked_input'"
    }


def test_somebody_missing_without_a_reason(make_scenario: MakeScenario) -> None:
    scenario = make_scenario(expect={"max_seconds": 20.0, "dropouts": {}})

    assert failures(scenario, evidence()) == {
        "round 2 is released without losing anybody": "beta was missing, 2 survivors: alpha, gamma"
    }


def test_nobody_missing_where_somebody_should_be(audited: Scenario) -> None:
    log = recorded(instead={'"dropouts": {"beta": "disconnected"}': '"dropouts": {}'})

    assert list(failures(audited, evidence(log))) == ["round 2 is released without beta"]
    assert list(failures(audited, evidence(recorded(without='"round_released", "round": 2')))) == [
        "round 2 is released without beta"
    ]


def test_a_process_that_was_still_running(audited: Scenario) -> None:
    failed = failures(audited, evidence(recorded(without="gamma exited")))

    assert failed == {
        "every process that was not killed on purpose exits 0": (
            "gamma was still running when the run was given up"
        )
    }


def test_an_audit_nobody_asked_for_is_not_judged(scenario: Scenario) -> None:
    assert failures(scenario, evidence(audit=AuditReport((Finding(0, "chain", "broken"),)))) == {}
