"""A coordinator and four market nodes as real processes, one of which is killed in the middle of a round."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
FinishedRun = tuple[Path, "subprocess.CompletedProcess[str]"]
pytestmark = pytest.mark.system


def test_every_expectation_of_the_scenario_holds(finished_run: FinishedRun) -> None:
    _, command = finished_run

    assert "10 of 10 expectations hold" in command.stdout, command.stdout + command.stderr
    assert command.returncode == 0
    assert "FAILS" not in command.stdout
    assert command.stderr == ""


def test_the_killed_node_is_not_in_the_sum_of_its_round_and_is_back_in_the_next(
    finished_run: FinishedRun,
) -> None:
    out, _ = finished_run

    summary = json.loads((out / "summary.json").read_text())
    everybody = ["alpha", "beta", "delta", "gamma"]
    assert summary["survivors"] == {"1": everybody, "2": ["alpha", "delta", "gamma"], "3": everybody}
    assert (summary["rounds"], summary["killed_nodes"]) == (3, ["beta"])
    assert 0 < summary["seconds"] < 240


def test_every_market_has_figures_for_every_method(finished_run: FinishedRun) -> None:
    out, _ = finished_run

    markets = json.loads((out / "summary.json").read_text())["markets"]
    assert list(markets) == ["alpha", "beta", "gamma", "delta"]
    for figures in markets.values():
        assert {"popularity", "local", "fecosr"} <= figures["methods"].keys()
        assert all(0 <= value <= 1 for metrics in figures["methods"].values() for value in metrics.values())
        assert figures["users"] >= 40


def test_what_is_said_about_privacy_is_that_there_is_none_beyond_the_sum(finished_run: FinishedRun) -> None:
    out, command = finished_run

    privacy = json.loads((out / "privacy_report.json").read_text())["privacy"]
    assert [entry["market"] for entry in privacy] == ["alpha", "beta", "delta", "gamma"]
    assert {(entry["mode"], entry["epsilon"]) for entry in privacy} == {("none", None)}
    assert "no differential privacy in this run" in command.stdout


def test_a_copy_of_the_run_folder_passes_the_audit(
    finished_run: FinishedRun, fecosr: Run, tmp_path: Path
) -> None:
    copy = shutil.copytree(finished_run[0], tmp_path / "copy")

    audit = fecosr("audit", str(copy), "--json")

    assert audit.returncode == 0, audit.stdout
    report = json.loads(audit.stdout)
    assert (report["verified"], report["findings"], report["rounds"]) == (True, [], 3)


def test_one_changed_byte_in_the_ledger_fails_the_audit(
    finished_run: FinishedRun, fecosr: Run, tmp_path: Path
) -> None:
    copy = shutil.copytree(finished_run[0], tmp_path / "copy")
    ledger = copy / "coordinator" / "ledger.jsonl"
    data = bytearray(ledger.read_bytes())
    place = data.index(b'"survivors"') + 1
    data[place] ^= 1
    ledger.write_bytes(data)

    audit = fecosr("audit", str(copy), "--json")

    assert audit.returncode == 1, audit.stdout
    assert json.loads(audit.stdout)["verified"] is False


def test_no_private_key_is_left_in_the_run_folder(finished_run: FinishedRun) -> None:
    out, _ = finished_run

    files = [path for path in out.rglob("*") if path.is_file()]
    assert [path for path in files if path.suffix == ".key" or b"PRIVATE KEY" in path.read_bytes()] == []
