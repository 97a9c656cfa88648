import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from fecosr.errors import ConfigError
from fecosr.harness.display import watching
from fecosr.harness.observation import Observation
from fecosr.harness.runner import run_scenario
from fecosr.harness.scenario import Scenario

MakeScenario = Callable[..., Scenario]
pytestmark = pytest.mark.usefixtures("stand_ins")


def children() -> set[str]:
    tasks = Path("/proc/self/task").iterdir()
    return {pid for task in tasks for pid in (task / "children").read_text().split()}


class Watching:
    def __init__(self) -> None:
        self.times = 0

    def show(self, observation: Observation) -> None:
        self.times += 1


def test_a_killed_node_is_started_again_and_everything_is_judged(scenario: Scenario, tmp_path: Path) -> None:
    outcome = run_scenario(scenario, tmp_path / "run", Watching())

    assert [verdict.sentence() for verdict in outcome.verdicts if not verdict.holds] == []
    assert outcome.holds
    assert [killed.name for killed in outcome.summary.killed] == ["beta"]
    assert outcome.observation.parties["beta"].times == 2
    assert (tmp_path / "run" / "logs" / "beta.jsonl").read_text().count("node_ready") == 2


def test_the_run_folder_holds_what_it_takes_to_understand_the_run(scenario: Scenario, tmp_path: Path) -> None:
    run_scenario(scenario, tmp_path / "run", Watching())

    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {
        "plan.toml",
        "roster.toml",
        "summary.json",
        "privacy_report.json",
        "harness.json",
        "logs",
    } <= names
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["rounds"] == 2
    assert summary["killed_nodes"] == ["beta"]
    assert summary["kills"] == [{"name": "beta", "round": 2, "phase": "masked_input", "restarted": True}]
    assert summary["markets"]["alpha"]["users"] == 9
    assert summary["markets"]["alpha"]["methods"]["fecosr"]["hr@10"] == 0.5
    assert json.loads((tmp_path / "run" / "harness.json").read_text())["holds"] is True


def test_no_key_outlives_the_run_unless_it_was_asked_for(scenario: Scenario, tmp_path: Path) -> None:
    run_scenario(scenario, tmp_path / "run", Watching())
    assert list((tmp_path / "run").rglob("*.key")) == []

    run_scenario(scenario, tmp_path / "again", Watching(), keep_kits=tmp_path / "kits")
    assert len(list((tmp_path / "kits").rglob("*.key"))) == 4


def test_a_coordinator_comes_back_at_the_port_it_had(make_scenario: MakeScenario, tmp_path: Path) -> None:
    fault = {"kind": "kill", "target": "coordinator", "round": 1, "phase": "share_keys", "restart": True}
    expect = {"max_seconds": 20.0, "audit": "skipped", "dropouts": {"2": ["beta"]}}

    outcome = run_scenario(make_scenario(faults=[fault], expect=expect), tmp_path / "run", Watching())

    assert [verdict.sentence() for verdict in outcome.verdicts if not verdict.holds] == []
    asked = re.findall(r'"asked": "([^"]+)"', (tmp_path / "run" / "logs" / "coordinator.jsonl").read_text())
    assert asked == ["127.0.0.1:0", "127.0.0.1:54321"]


def test_a_node_that_fails_by_itself_fails_the_run_and_is_named(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "gamma")

    outcome = run_scenario(scenario, tmp_path / "run", Watching())

    assert not outcome.holds
    failed = {verdict.expectation: verdict.found for verdict in outcome.verdicts if not verdict.holds}
    assert "gamma ended with 3" in failed["every process that was not killed on purpose exits 0"]
    assert (
        failed["gamma ends with a fine-tuned model and sound figures"]
        == "it wrote no report that can be read"
    )
    assert failed["2 rounds released"].startswith("the run never completed")
    assert outcome.observation.parties["gamma"].last_error == "node_failed out of luck"
    assert outcome.summary.seconds < 10


def test_a_fault_that_never_happens_fails_the_run(make_scenario: MakeScenario, tmp_path: Path) -> None:
    fault = {"kind": "kill", "target": "alpha", "round": 1, "phase": "training", "restart": True}
    expect = {"max_seconds": 20.0, "audit": "skipped", "dropouts": {"2": ["beta"]}}

    outcome = run_scenario(make_scenario(faults=[fault], expect=expect), tmp_path / "run", Watching())

    failed = [verdict.sentence() for verdict in outcome.verdicts if not verdict.holds]
    assert failed == ["FAILS  alpha dies of SIGKILL at training of round 1: it ended with exit code 0"]


def test_a_run_folder_is_never_written_over(scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").touch()

    with pytest.raises(ConfigError, match="holds something already"):
        run_scenario(scenario, tmp_path / "run", Watching())


def test_an_interrupt_leaves_no_process_and_no_kit(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient:
        def show(self, observation: Observation) -> None:
            if observation.party("alpha").running:
                raise KeyboardInterrupt

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    # Other tests of this process may have left it a child, such as the tracker of multiprocessing.
    before = children()

    with pytest.raises(KeyboardInterrupt):
        run_scenario(scenario, tmp_path / "run", Impatient())

    assert list((tmp_path / "temporary").iterdir()) == []
    assert children() <= before


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_every_kind_of_terminal(
    scenario: Scenario, tmp_path: Path, terminal: bool
) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80, _environ={"TERM": "xterm"})

    with watching(scenario, console) as watcher:
        run_scenario(scenario, tmp_path / "run", watcher)

    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "round 2 of 2: sum of 2 markets opened without beta, loss 5.0000" in shown
    assert "beta was killed (SIGKILL) in round 2 at masked input" in shown
    assert ("\x1b[" in shown) is terminal
