"""After a run of real processes, every market uses its own model, and nobody else has it."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
FinishedRun = tuple[Path, "subprocess.CompletedProcess[str]"]
pytestmark = [pytest.mark.system, pytest.mark.slow]

MARKETS = ("alpha", "beta", "gamma", "delta")


@pytest.mark.parametrize("market", MARKETS)
def test_evaluate_reproduces_the_report_exactly_also_from_a_copy(
    finished_run: FinishedRun, fecosr: Run, tmp_path: Path, market: str
) -> None:
    node = finished_run[0] / market
    report = json.loads((node / "report.json").read_text())
    copy = shutil.copytree(node / "model", tmp_path / "elsewhere")
    expected = {"test": report["methods"]["fecosr"], "validation": report["fine_tuning"]["validation"]}
    for part, figures in expected.items():
        command = fecosr("evaluate", str(copy), "--part", part, "--json")
        assert command.returncode == 0, command.stderr
        found = json.loads(command.stdout)
        assert {name: found[name] for name in figures} == figures
        assert found["data_of_training"] is True
        assert found["users"] == report["evaluated_users"]


def test_every_user_of_a_market_gets_recommendations(
    finished_run: FinishedRun, fecosr: Run, tmp_path: Path
) -> None:
    out, command = finished_run
    assert f"try fecosr recommend {out / 'alpha' / 'model'} --k 5" in command.stdout
    recommended = fecosr(
        "recommend", str(out / "alpha" / "model"), "--k", "5", "--out", str(tmp_path / "top.parquet")
    )
    assert recommended.returncode == 0, recommended.stderr
    table = pl.read_parquet(tmp_path / "top.parquet")
    assert (table.height, table["user"].n_unique()) == (300, 60)


def test_nothing_of_a_market_model_is_with_the_coordinator(finished_run: FinishedRun) -> None:
    folder = finished_run[0] / "coordinator"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"adapter." in path.read_bytes()] == []
    assert list(folder.rglob("model.json")) == []
