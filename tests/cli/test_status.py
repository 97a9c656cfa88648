import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.cli import app as cli
from fecosr.ids import RunId
from fecosr.ledger.records import NodeConvicted
from fecosr.storage.run_store import RunStore
from tests.reference.audited_run import MARKETS, make_run

Status = Callable[..., tuple[int, str, str]]


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Status:
    """Run `fecosr status`; return its exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fecosr", "status", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as exited:
            cli.main()
        said = capsys.readouterr()
        return int(exited.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    make_run().write(tmp_path / "run")
    for market in MARKETS[:2]:
        with RunStore(tmp_path / "run" / market / "node.sqlite", RunId("trial")) as store:
            store.claim(2, 1)
    return tmp_path / "run"


def test_a_run_folder_shows_coordinator_and_markets(status: Status, run_folder: Path) -> None:
    code, out, _ = status(str(run_folder))
    words = " ".join(out.split())
    assert code == 0
    assert "run trial coordinator not running state completed round 2 of 2" in words
    assert "round 2, the sum of de, fr, jp, us; model " in words
    assert "restarts 1" in words
    assert "fr not running round 2 attempt 1" in words


def test_a_convicted_market_is_shown(status: Status, tmp_path: Path) -> None:
    run = make_run()
    convicted = NodeConvicted(1, 2, bytes(32), MARKETS[3], "misdealt_shares", bytes(32))
    run.write(tmp_path / "run", (*run.bodies[:8], convicted, *run.bodies[8:]))
    words = " ".join(status(str(tmp_path / "run"))[1].split())
    assert "convicted: us misdealt_shares; left out while enough others are there" in words
    found = json.loads(status(str(tmp_path / "run"), "--json")[1])
    assert found["coordinator"]["convicted"] == {"us": ["misdealt_shares"]}


def test_programs_get_the_same_as_json(status: Status, run_folder: Path) -> None:
    code, out, _ = status(str(run_folder), "--json")
    found = json.loads(out)
    assert (code, found["coordinator"]["state"], sorted(found["nodes"])) == (0, "completed", ["de", "fr"])
    assert found["nodes"]["fr"]["round"] == 2
    assert sorted(found["coordinator"]["markets"]) == list(MARKETS)


def test_one_partys_folder_is_enough(status: Status, run_folder: Path) -> None:
    assert json.loads(status(str(run_folder / "coordinator"), "--json")[1])["nodes"] == {}
    assert json.loads(status(str(run_folder / "fr"), "--json")[1])["coordinator"] is None
    assert "round 2 attempt 1" in status(str(run_folder / "fr"))[1]


def test_a_kit_leads_to_its_storage(
    status: Status, run_folder: Path, federation_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kits = federation_file.parent / "kits"
    provision = ["fecosr", "provision", str(federation_file), "--out", str(kits)]
    monkeypatch.setattr(sys, "argv", [*provision, "--storage", str(run_folder)])
    with pytest.raises(SystemExit):
        cli.main()
    assert status(str(kits / "coordinator"))[0] == 0
    assert "fr not running round 2 attempt 1" in " ".join(status(str(kits / "fr"))[1].split())
    assert status(str(kits / "uk"))[0] == 2, "it has not begun"


@pytest.mark.parametrize("name", ["", "absent"])
def test_where_no_run_has_begun_there_is_nothing_to_say(status: Status, tmp_path: Path, name: str) -> None:
    code, out, err = status(str(tmp_path / name))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no run has begun here" in err


def test_a_ledger_that_was_changed_is_one_line_and_a_failure(status: Status, run_folder: Path) -> None:
    ledger = run_folder / "coordinator" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"round":1', b'"round":7', 1))
    code, _, err = status(str(run_folder))
    assert (code, err.count("\n")) == (1, 1)


def test_watching_ends_with_the_run(status: Status, run_folder: Path) -> None:
    code, out, _ = status(str(run_folder), "--watch", "0.2")
    assert code == 0
    assert "completed" in out
    assert "trial" in out


def test_watching_goes_on_while_a_process_runs(
    status: Status, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float] = []
    with RunStore(run_folder / MARKETS[0] / "node.sqlite", RunId("trial")) as store:

        def let_end(seconds: float) -> None:
            looked.append(seconds)
            if len(looked) == 2:
                store.close()

        monkeypatch.setattr("fecosr.cli.status.time.sleep", let_end)
        code, _, _ = status(str(run_folder), "--watch", "3")
    assert (code, looked) == (0, [3.0, 3.0])


def test_watching_what_is_no_run_is_refused(status: Status, tmp_path: Path) -> None:
    code, _, error = status(str(tmp_path), "--watch", "1")
    assert code == 2
    assert "no run has begun here" in error
