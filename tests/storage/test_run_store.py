import sqlite3
from pathlib import Path

import pytest

from fecosr.errors import ProtocolViolation, StorageError
from fecosr.ids import RunId
from fecosr.storage.run_store import RunStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite3"


def test_claims_only_rise_and_survive_a_restart(path: Path, run: RunId) -> None:
    with RunStore(path, run) as store:
        assert store.latest() == (0, 0)
        store.claim(1, 1)
        store.claim(1, 2)
        store.claim(3, 1)
    with RunStore(path, run) as store:
        assert store.latest() == (3, 1)
        for asked in ((3, 1), (2, 9), (1, 1), (3, 0)):
            with pytest.raises(ProtocolViolation, match="is not after round 3 attempt 1") as refused:
                store.claim(*asked)
            assert refused.value.peer == "coordinator"
        assert store.latest() == (3, 1)
        store.claim(3, 2)


def test_values_survive_a_restart_and_are_replaced_whole(path: Path, run: RunId) -> None:
    with RunStore(path, run) as store:
        assert store.get("outcome") is None
        store.put("outcome", {"hr@10": 0.25, "name": "é"})
        store.put("outcome", [1, None, True])
    with RunStore(path, run) as store:
        assert store.get("outcome") == [1, None, True]


def test_values_json_cannot_hold_are_refused(path: Path, run: RunId) -> None:
    with RunStore(path, run) as store, pytest.raises(ValueError, match="JSON"):
        store.put("outcome", float("inf"))


def test_commits_are_made_to_survive_a_power_cut(path: Path, run: RunId) -> None:
    with RunStore(path, run) as store:
        assert store._connection is not None
        assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_second_owner_is_refused(path: Path, run: RunId) -> None:
    with RunStore(path, run), pytest.raises(StorageError, match="in use"):
        RunStore(path, run)


def test_the_state_of_another_run_is_refused_and_stays_unlocked(path: Path, run: RunId) -> None:
    RunStore(path, run).close()
    with pytest.raises(StorageError, match="state of run trial, not of other"):
        RunStore(path, RunId("other"))
    RunStore(path, run).close()


def test_another_schema_version_is_refused(path: Path, run: RunId) -> None:
    RunStore(path, run).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(StorageError, match="schema version 7"):
        RunStore(path, run)


def test_a_damaged_file_is_refused(path: Path, run: RunId) -> None:
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StorageError, match="not a database"):
        RunStore(path, run)


def test_a_closed_store_says_so(path: Path, run: RunId) -> None:
    store = RunStore(path, run)
    store.close()
    store.close()
    with pytest.raises(StorageError, match="closed"):
        store.claim(1, 1)


def test_an_interrupted_preparation_is_done_again(
    path: Path, run: RunId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fecosr.storage.run_store._SCHEMA", ("CREATE TABLE marker (run TEXT)", "broken"))
    with pytest.raises(StorageError, match="syntax error"):
        RunStore(path, run)
    monkeypatch.undo()
    with RunStore(path, run) as store:
        store.claim(1, 1)
