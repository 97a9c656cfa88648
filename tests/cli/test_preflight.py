import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.cli import app as cli

Preflight = Callable[..., tuple[int, str]]


@pytest.fixture
def preflight(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Preflight:
    """Run `fecosr preflight`; return its exit code and standard output."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fecosr", "preflight", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as exited:
            cli.main()
        return int(exited.value.code or 0), capsys.readouterr().out

    return run


@pytest.fixture
def kits(
    federation_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:
    monkeypatch.setattr(
        sys, "argv", ["fecosr", "provision", str(federation_file), "--out", str(tmp_path / "kits")]
    )
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert not exited.value.code
    capsys.readouterr()
    config = tmp_path / "kits" / "coordinator" / "coordinator.toml"
    config.write_text(config.read_text().replace("0.0.0.0:7443", "127.0.0.1:0"))
    return tmp_path / "kits"


def test_a_kit_that_is_well_is_shown_as_such(preflight: Preflight, kits: Path) -> None:
    code, said = preflight(str(kits / "coordinator"), "--json")
    report = json.loads(said)
    assert (code, report["ok"]) == (0, True)
    assert {"permissions", "certificate", "clock", "storage", "port"} <= {
        finding["check"] for finding in report["findings"]
    }
    plan = next(finding["message"] for finding in report["findings"] if finding["check"] == "plan")
    plan_hash = plan.split(" has the hash ")[1].split(";")[0]
    assert preflight(str(kits / "coordinator"), "--plan-hash", plan_hash)[0] == 0
    assert preflight(str(kits / "coordinator"), "--plan-hash", "00" * 32)[0] == 1


def test_what_is_in_the_way_comes_with_what_to_do(preflight: Preflight, kits: Path) -> None:
    (kits / "fr" / "identity.key").chmod(0o644)
    code, said = preflight(str(kits / "fr"))
    assert code == 1
    assert f"to do: chmod 600 {kits / 'fr' / 'identity.key'}" in " ".join(said.split())
    assert "in the way" in said.splitlines()[-1]


def test_what_is_no_kit_is_unusable(preflight: Preflight, tmp_path: Path) -> None:
    assert preflight(str(tmp_path), "--json") == (2, "")
    assert preflight(str(tmp_path), "--plan-hash", "xyz")[0] == 2
