"""`fecosr fetch-run`, on kits as `fecosr provision` writes them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.cli import app as cli
from fecosr.ids import RunId

Fecosr = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fecosr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fecosr:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fecosr", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def kit(fecosr: Fecosr, federation_file: Path) -> Path:
    kits = federation_file.parent / "kits"
    fecosr("provision", str(federation_file), "--out", str(kits))
    return kits / "coordinator"


def test_a_kit_without_a_database_has_its_run_on_disk(fecosr: Fecosr, kit: Path, tmp_path: Path) -> None:
    code, _, err = fecosr("fetch-run", str(kit), "--out", str(tmp_path / "run"))
    assert (code, err.count("\n")) == (2, 1)
    assert "names no [database]" in err
    assert not (tmp_path / "run").exists()


def test_a_run_in_a_database_becomes_a_run_folder(
    fecosr: Fecosr, kit: Path, tmp_path: Path, database_url: str
) -> None:
    config = kit / "coordinator.toml"
    config.write_text(f'{config.read_text()}\n[database]\nurl = "{database_url}"\n')
    code, _, err = fecosr("fetch-run", str(kit), "--out", str(tmp_path / "run"))
    assert code == 1
    assert "no coordinator has ever kept a run in it" in err
    assert "fecosr fetch-run" in fecosr("status", str(kit))[2]

    from fecosr.config.plan import load_plan
    from fecosr.storage.postgres import RunDatabase

    with RunDatabase(database_url, None, RunId(load_plan(kit / "plan.toml").run.name)) as database:
        database.lines("ledger.jsonl").append(b"{}")
        database.files("models").write("m", b"model")
    code, out, _ = fecosr("fetch-run", str(config), "--out", str(tmp_path / "run"))
    assert (code, out) == (0, f"{tmp_path}/run/coordinator: 1 records, 1 files written, 0 there already\n")
    assert (tmp_path / "run" / "coordinator" / "models" / "m").read_bytes() == b"model"
    assert (tmp_path / "run" / "roster.toml").read_bytes() == (kit / "roster.toml").read_bytes()
