import json
import os
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from fecosr.audit.report import AuditReport
from fecosr.cli import harness
from fecosr.errors import ConfigError
from fecosr.harness.conclusion import Outcome
from fecosr.harness.expect import Expect
from fecosr.harness.expectations import Verdict
from fecosr.harness.faults import kinds
from fecosr.harness.observation import Observation, PartyState
from fecosr.harness.scenario import Scenario, shipped_scenarios
from fecosr.harness.summary import KilledNode, MarketFigures, Summary

METRICS = {"hr@10": 0.5, "ndcg@10": 0.25}


class Runs:
    """Stand in for the runner: remember what was asked for, return what was prepared."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts = verdicts
        self.asked: list[tuple[str, Path, Path | None]] = []

    def __call__(
        self, scenario: Scenario, out: Path, _watcher: object, *, keep_kits: Path | None, spawn: object
    ) -> Outcome:
        self.asked.append((scenario.name, out, keep_kits))
        methods = {"popularity": METRICS, "local": METRICS, "fecosr": METRICS}
        summary = Summary(
            markets=(MarketFigures("fr", 9, 8, 50, "titles", methods),),
            rounds=3,
            killed=(KilledNode("fr", 2, "unmask", restarted=True),),
            survivors={2: ("de", "uk")},
            seconds=4.0,
        )
        observation = Observation(parties={"fr": PartyState(last_error="node_failed [no] data")})
        return Outcome(out, self.verdicts, summary, AuditReport(()), observation)


GOOD = Verdict("3 rounds released", True, "3 were")
BAD = Verdict("the run folder passes the audit", False, "record 3 does not verify")


def test_a_run_that_holds_is_shown_in_full(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = Runs(GOOD)
    monkeypatch.setattr(harness, "run_scenario", runs)

    wanted = harness.Wanted(out=tmp_path / "run", keep_kits=tmp_path / "kits")
    assert harness.run_files(["demo"], wanted) == 0

    assert runs.asked == [("demo", tmp_path / "run", tmp_path / "kits")]
    shown = capsys.readouterr().out
    assert "holds  3 rounds released: 3 were" in shown
    assert "1 of 1 expectations hold" in shown
    assert f"run folder: {tmp_path / 'run'}" in shown
    assert "fr was killed in round 2 at unmask and came back; round 2 went on with de, uk" in shown
    assert "privacy: nothing is known" in shown
    assert "node_failed" not in shown


def test_a_run_that_fails_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(harness, "run_scenario", Runs(GOOD, BAD))

    assert harness.run_demo(None, tmp_path / "run", None) == 1

    shown = capsys.readouterr().out
    assert "FAILS  the run folder passes the audit: record 3 does not verify" in shown
    assert "1 of 2 expectations hold" in shown
    assert "fr said: node_failed [no] data" in shown


def test_the_demo_finds_itself_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = Runs(GOOD)
    monkeypatch.setattr(harness, "run_scenario", runs)
    monkeypatch.chdir(tmp_path)

    assert harness.run_demo(None, None, 2) == 0

    assert [out for _, out, _ in runs.asked] == [Path("runs/demo-1")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_signal_ends_a_run_as_an_interrupt_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    def terminated(*_: Any, **__: Any) -> Outcome:
        os.kill(os.getpid(), number)
        raise AssertionError("the signal was ignored")

    monkeypatch.setattr(harness, "run_scenario", terminated)
    before = signal.getsignal(number)

    with pytest.raises(KeyboardInterrupt):
        harness.run_demo(None, tmp_path, None)

    assert signal.getsignal(number) is before


def test_several_scenarios_run_one_after_the_other_and_leave_results(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = Runs(GOOD, BAD)
    monkeypatch.setattr(harness, "run_scenario", runs)
    wanted = harness.Wanted(
        out=tmp_path / "runs", junit=tmp_path / "junit.xml", json=tmp_path / "results.json"
    )

    assert harness.run_files(["demo", "privacy"], wanted) == 1

    assert [(name, out) for name, out, _ in runs.asked] == [
        ("demo", tmp_path / "runs" / "demo"),
        ("privacy", tmp_path / "runs" / "privacy"),
    ]
    suites = ET.parse(tmp_path / "junit.xml").getroot()
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in suites] == [
        ("demo", "2", "1"),
        ("privacy", "2", "1"),
    ]
    (failure,) = suites[0].iter("failure")
    assert failure.get("message") == "record 3 does not verify"
    assert "fr said: node_failed [no] data" in (failure.text or "")
    results = json.loads((tmp_path / "results.json").read_text())
    assert [(result["name"], result["holds"]) for result in results] == [("demo", False), ("privacy", False)]
    shown = capsys.readouterr().out
    assert "FAILS  demo  4 s; the run folder passes the audit: record 3 does not verify" in shown
    assert "0 of 2 scenarios hold" in shown


def test_an_unusable_scenario_is_told_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = Runs(GOOD)
    monkeypatch.setattr(harness, "run_scenario", runs)

    with pytest.raises(ConfigError, match="cannot be read"):
        harness.run_files(["demo", str(tmp_path / "absent.toml")], harness.Wanted())
    with pytest.raises(ConfigError, match="have one name"):
        harness.run_files(["demo", "demo"], harness.Wanted())
    assert runs.asked == []


def test_without_names_every_shipped_scenario_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = Runs(GOOD)
    monkeypatch.setattr(harness, "run_scenario", runs)

    assert harness.run_files([], harness.Wanted(out=tmp_path)) == 0

    assert len(runs.asked) == len(shipped_scenarios()) - 1


def test_every_shipped_scenario_is_listed_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    harness.list_scenarios()

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 30
    assert all(len(line.split("  ", 1)[1]) > 20 for line in lines)


def test_every_key_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    harness.print_keys()

    shown = capsys.readouterr().out
    for kind, section in kinds().items():
        assert f'kind = "{kind}"' in shown
        assert all(f"\n{name}: " in shown for name in section.model_fields if name != "kind")
    assert all(f"\n{name}: " in shown for name in (*Expect.model_fields, "base", "data.synthetic.seed"))
