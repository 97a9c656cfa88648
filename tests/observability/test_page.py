"""What the dashboard is told, and that it is only what may be told."""

import json
import math
from dataclasses import replace

import pytest

from fecosr.observability.events import after_line
from fecosr.observability.lines import LogLine
from fecosr.observability.page import MOST_FIELD_CHARACTERS, MOST_FINDINGS, AuditSeen, audit_from, page
from fecosr.observability.view import RunView
from tests.reference.small_federation import SmallFederation
from tests.reference.watched_run import WatchedRun

HOSTILE = "</script><img src=x onerror=alert(1)>"


def unknown(_view: RunView, _market: str) -> None:
    return None


def test_the_page_of_a_run_is_json_without_any_secret(begun: WatchedRun, federation: SmallFederation) -> None:
    view = begun.go_on().view
    text = json.dumps(page(view, unknown, None), allow_nan=False)
    told = json.loads(text)
    assert (told["run"], told["released"], told["planned"]) == ("test", 2, 2)
    assert [market["name"] for market in told["markets"]] == ["de", "fr", "jp", "uk"]
    for key in (federation.coordinator_key, *federation.keys.values()):
        assert key.seed.hex() not in text


def test_the_last_line_comes_first_and_long_fields_are_cut() -> None:
    view = after_line(RunView(), LogLine(1.0, "info", "first", {}))
    view = after_line(view, LogLine(2.0, "info", "second", {"reason": "x" * 1000}))
    lines = page(view, unknown, None)["lines"]
    assert isinstance(lines, list)
    assert [line["event"] for line in lines] == ["second", "first"]
    assert len(lines[0]["fields"]["reason"]) == MOST_FIELD_CHARACTERS


@pytest.mark.parametrize(("epsilon", "shown"), [(1.5, 1.5), (0.0, 0.0), (None, None), (math.inf, None)])
def test_no_figure_is_shown_where_none_is_finite(
    begun: WatchedRun, epsilon: float | None, shown: float | None
) -> None:
    markets = page(begun.view, lambda _view, _market: epsilon, None)["markets"]
    assert isinstance(markets, list)
    assert {market["epsilon"] for market in markets} == {shown}


def test_the_round_shown_is_one_of_the_plan(begun: WatchedRun) -> None:
    view = begun.go_on().view
    assert view.round == 3
    assert page(view, unknown, None)["round"] == 2
    assert page(replace(view, planned=0), unknown, None)["round"] == 3


def test_an_audit_is_read_from_what_the_command_prints() -> None:
    finding = {"record": 3, "rule": "chain", "message": HOSTILE}
    seen = audit_from({"verified": False, "findings": [finding], "privacy": [], "rounds": 2}, 5.0)
    assert seen == AuditSeen(5.0, verified=False, rounds=2, findings=(f"chain: {HOSTILE}",))
    told = page(RunView(), unknown, seen)["audit"]
    assert told == {"at": 5.0, "verified": False, "rounds": 2, "findings": [f"chain: {HOSTILE}"]}


@pytest.mark.parametrize(
    "value", [None, 7, [], {}, {"verified": "yes", "rounds": 1, "findings": []}, {"verified": True}]
)
def test_what_is_no_audit_verifies_nothing(value: object) -> None:
    assert audit_from(value, 5.0) == AuditSeen(5.0, verified=None)


def test_an_audit_with_very_many_findings_is_cut() -> None:
    findings = [{"rule": "r", "message": "m"}, 7, *({"rule": "r", "message": "m" * 999} for _ in range(999))]
    seen = audit_from({"verified": False, "rounds": 1, "findings": findings}, 5.0)
    assert len(seen.findings) == MOST_FINDINGS
    assert seen.findings[1] == "unreadable"
    assert all(len(text) <= MOST_FIELD_CHARACTERS for text in seen.findings)


def test_numbers_of_a_line_are_for_people() -> None:
    line = LogLine(1.0, "info", "round_released", {"loss": 2.5915819108486176, "round": 13, "ok": True})
    told = json.loads(json.dumps(page(RunView(lines=(line,)), unknown, None)))
    assert told["lines"][0]["fields"] == {"loss": "2.592", "round": "13", "ok": "true"}
