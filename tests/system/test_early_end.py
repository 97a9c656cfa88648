"""Adam on the server, drawn cohorts, early end by the masked metric, and a coordinator that dies."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fecosr.config.parties import load_roster
from fecosr.config.plan import load_plan
from fecosr.federation.cohort import invited
from fecosr.ledger.log import decode_entry
from fecosr.ledger.records import Body, CoordinatorRestarted, RoundReleased, RunCompleted

Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = [pytest.mark.system, pytest.mark.slow]

SCENARIO = Path(__file__).with_name("early_end.toml")


@pytest.fixture(scope="module")
def out(fecosr: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a real run that passed every expectation."""
    folder = tmp_path_factory.mktemp("early-end") / "run"
    command = fecosr("harness", "run", str(SCENARIO), "--out", str(folder))
    assert command.returncode == 0, command.stdout + command.stderr
    return folder


@pytest.fixture(scope="module")
def bodies(out: Path) -> list[Body]:
    lines = (out / "coordinator" / "ledger.jsonl").read_bytes().splitlines()
    return [decode_entry(line, place).body for place, line in enumerate(lines)]


def releases(bodies: list[Body]) -> list[RoundReleased]:
    return [body for body in bodies if isinstance(body, RoundReleased)]


def test_every_round_is_of_invited_markets_only(out: Path, bodies: list[Body]) -> None:
    plan, roster = load_plan(out / "plan.toml").federation(), load_roster(out / "roster.toml")
    for body in releases(bodies):
        assert set(body.survivors) == invited(plan.run, body.round, roster, 3)


def test_every_market_ends_with_the_best_measured_model(out: Path, bodies: list[Body]) -> None:
    released = releases(bodies)
    metrics = [body.validation for body in released]
    assert all(isinstance(value, float) and 0 < value < 1 for value in metrics)
    best = max(range(1, len(released)), key=lambda number: (metrics[number] or 0.0, -number))
    (end,) = [body for body in bodies if isinstance(body, RunCompleted)]
    assert end.final_model_hash == released[best - 1].model_out
    for market in ("alpha", "beta", "gamma", "delta"):
        assert [path.stem for path in (out / market / "models").glob("*.safetensors")] == [
            end.final_model_hash.hex()
        ]


def test_the_moments_survived_the_coordinators_death(fecosr: Run, out: Path, bodies: list[Body]) -> None:
    """The audit redoes every step from the first moments on: moments that began afresh would not fit."""
    assert any(isinstance(body, CoordinatorRestarted) for body in bodies)
    report = fecosr("audit", str(out))
    assert report.returncode == 0, report.stdout
    rounds = len(releases(bodies))
    assert f"bit by bit: {rounds} of {rounds}" in report.stdout


def test_a_run_folder_without_sums_is_verified_and_says_what_it_cannot_see(
    fecosr: Run, out: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(out), str(copy)], check=True)
    for path in (copy / "coordinator" / "sums").iterdir():
        path.unlink()
    printed: dict[str, Any] = json.loads(fecosr("audit", str(copy), "--json").stdout)
    assert printed["verified"] is True
    assert "were made from their sums" in fecosr("audit", str(copy)).stdout
