"""What only a database has: one writer among several machines, and a connection that can be lost."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fecosr.errors import ConfigError, StorageError
from fecosr.ids import RunId
from tests.reference.postgres_server import PASSWORD, ROLE, PostgresServer

psycopg = pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
from fecosr.storage.postgres import RunDatabase  # noqa: E402 - only where psycopg is
from fecosr.storage.postgres_fetch import fetch_run  # noqa: E402


@pytest.fixture
def first(database_url: str, run: RunId) -> Iterator[RunDatabase]:
    with RunDatabase(database_url, None, run) as database:
        assert database.own()
        yield database


@pytest.fixture
def second(first: RunDatabase, database_url: str, run: RunId) -> Iterator[RunDatabase]:
    with RunDatabase(database_url, None, run) as database:
        yield database


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def hang_up_on(url: str, database: RunDatabase) -> None:
    ask(url, f"SELECT pg_terminate_backend({database._pid}, 10000)")


def test_one_connection_at_a_time_has_a_run(first: RunDatabase, second: RunDatabase) -> None:
    assert not second.own()
    assert second.owner() == first.owner()
    assert f"fecosr-coordinator {os.getpid()} on " in second.owner()
    first.close()
    # The server hears of it a moment later.
    assert any(second.own() for _ in range(10_000))


def test_the_run_is_free_when_its_connection_is_gone(
    first: RunDatabase, second: RunDatabase, database_url: str
) -> None:
    hang_up_on(database_url, first)
    assert second.owner() == ""
    assert second.own()


def test_another_run_is_another_matter(first: RunDatabase, database_url: str) -> None:
    first.files("models").write("m", b"ours")
    with RunDatabase(database_url, None, RunId("autumn")) as other:
        assert other.own()
        assert other.files("models").names() == []
        other.files("models").write("m", b"theirs")
    assert first.files("models").read("m") == b"ours"


def test_whoever_lost_the_database_stores_nothing(
    first: RunDatabase, second: RunDatabase, database_url: str
) -> None:
    lines, files = first.lines("ledger.jsonl"), first.files("models")
    lines.append(b"one")
    hang_up_on(database_url, first)
    with pytest.raises(StorageError, match="database postgres on "):
        first.check()
    for late in (lambda: lines.append(b"two"), lambda: files.write("m", b""), first.check, first.own):
        with pytest.raises(StorageError):
            late()
    assert second.own()
    assert second.lines("ledger.jsonl").read() == [b"one"]
    assert second.files("models").names() == []


def test_a_second_writer_would_be_noticed(first: RunDatabase, second: RunDatabase) -> None:
    """The lock keeps it out; if it did not, the numbers of the lines would."""
    theirs, ours = second.lines("ledger.jsonl"), first.lines("ledger.jsonl")
    ours.append(b"ours")
    with pytest.raises(StorageError, match="duplicate key"):
        theirs.append(b"theirs")
    assert ours.read() == [b"ours"]


def test_a_pool_of_connections_is_refused(first: RunDatabase) -> None:
    first._pid += 1
    lines = first.lines("ledger.jsonl")
    with pytest.raises(StorageError, match="not to a pool"):
        lines.append(b"ours")
    with pytest.raises(StorageError):
        first.check()


def test_a_database_that_stands_still_can_be_abandoned(first: RunDatabase) -> None:
    os.kill(first._pid, signal.SIGSTOP)
    raised: list[Exception] = []

    def wait_for_it() -> None:
        try:
            first.check()
        except StorageError as error:
            raised.append(error)

    waiting = threading.Thread(target=wait_for_it)
    waiting.start()
    try:
        first.abandon()
        waiting.join(60)
        assert not waiting.is_alive()
    finally:
        os.kill(first._pid, signal.SIGCONT)
    assert len(raised) == 1


def test_what_was_stored_survives_a_power_cut(
    postgres_server: PostgresServer, database_url: str, run: RunId
) -> None:
    database = RunDatabase(database_url, None, run)
    assert database.own()
    lines = database.lines("ledger.jsonl")
    for number in range(20):
        lines.append(b"%d" % number)
    database.files("sums").write("s", bytes(9 << 20))
    postgres_server.restart()
    with pytest.raises(StorageError):
        database.check()
    with RunDatabase(database_url, None, run) as again:
        assert again.own()
        assert again.lines("ledger.jsonl").read() == [b"%d" % number for number in range(20)]
        assert again.files("sums").read("s") == bytes(9 << 20)


def test_commits_are_waited_for(first: RunDatabase, database_url: str, run: RunId) -> None:
    ask(database_url, f"ALTER ROLE {ROLE} SET synchronous_commit = off")
    try:
        with RunDatabase(database_url, None, run) as database, database.connected() as connection:
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    finally:
        ask(database_url, f"ALTER ROLE {ROLE} RESET synchronous_commit")


def test_a_server_that_may_forget_is_refused(database_url: str, run: RunId) -> None:
    ask(database_url, "ALTER SYSTEM SET fsync = off")
    ask(database_url, "SELECT pg_reload_conf()")
    try:
        # The server takes its new settings in when it comes to it.
        while ask(database_url, "SHOW fsync") != [("off",)]:
            pass
        with pytest.raises(ConfigError, match="fsync = off"):
            RunDatabase(database_url, None, run)
    finally:
        ask(database_url, "ALTER SYSTEM RESET fsync")
        ask(database_url, "SELECT pg_reload_conf()")


def test_tables_of_another_version_are_left_alone(first: RunDatabase, database_url: str, run: RunId) -> None:
    ask(database_url, "UPDATE fecosr.version SET number = 7")
    with pytest.raises(StorageError, match="has schema version 7, this FeCoSR reads 1"):
        RunDatabase(database_url, None, run)


def test_a_role_that_may_not_make_tables_is_told_what_it_needs(database_url: str, run: RunId) -> None:
    ask(database_url, f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    try:
        url = database_url.replace(ROLE, "guest")
        with pytest.raises(ConfigError, match="GRANT CREATE ON DATABASE postgres TO guest"):
            RunDatabase(url, None, run)
        ask(database_url, "GRANT CREATE ON DATABASE postgres TO guest")
        RunDatabase(url, None, run).close()
    finally:
        ask(database_url, "DROP OWNED BY guest CASCADE")
        ask(database_url, "DROP ROLE guest")


def test_a_wrong_password_is_refused_and_never_shown(database_url: str, run: RunId) -> None:
    with pytest.raises(StorageError, match="password authentication failed") as refused:
        RunDatabase(database_url, "hunter2", run)
    assert "hunter2" not in str(refused.value)
    with RunDatabase(database_url, PASSWORD, run) as database:
        assert PASSWORD not in repr(database) + repr(database._connection) + repr(vars(database))


def test_a_server_that_is_not_there_is_one_line(run: RunId) -> None:
    with pytest.raises(StorageError, match=r"^database: connection (failed|is bad): ") as refused:
        RunDatabase("postgresql://operator@/x?host=/nowhere", None, run)
    assert "\n" not in str(refused.value)


def test_a_run_is_fetched_as_the_folder_it_would_be(
    first: RunDatabase, database_url: str, run: RunId, tmp_path: Path
) -> None:
    lines, files = first.lines("ledger.jsonl"), first.files("models")
    lines.append(b"one")
    files.write("m", b"model", bytes(5 << 20))
    first.files().write("countersignatures.jsonl", b"old\n")
    told: list[tuple[int, int]] = []
    fetched = fetch_run(database_url, None, run, tmp_path / "run", lambda *done: told.append(done))
    assert (fetched.records, fetched.written, fetched.kept) == (1, 2, 0)
    assert told == [(1, 2), (2, 2)]
    lines.append(b"two")
    first.files().write("countersignatures.jsonl", b"new\n")
    fetched = fetch_run(database_url, None, run, tmp_path / "run", lambda *_: None)
    assert (fetched.records, fetched.written, fetched.kept) == (2, 1, 1)
    assert (tmp_path / "run" / "ledger.jsonl").read_bytes() == b"one\ntwo\n"
    assert (tmp_path / "run" / "models" / "m").read_bytes() == b"model" + bytes(5 << 20)
    assert (tmp_path / "run" / "countersignatures.jsonl").read_bytes() == b"new\n"
    first.check()


def test_another_ledger_is_not_overwritten(
    first: RunDatabase, database_url: str, run: RunId, tmp_path: Path
) -> None:
    first.lines("ledger.jsonl").append(b"one")
    (tmp_path / "ledger.jsonl").write_bytes(b"one\nof another run\n")
    with pytest.raises(ConfigError, match="is not the beginning of this run's ledger"):
        fetch_run(database_url, None, run, tmp_path, lambda *_: None)
    assert (tmp_path / "ledger.jsonl").read_bytes() == b"one\nof another run\n"


def test_a_run_that_is_not_there_is_not_fetched(
    first: RunDatabase, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="holds no run autumn"):
        fetch_run(database_url, None, RunId("autumn"), tmp_path, lambda *_: None)


def test_a_database_without_tables_is_not_changed_by_a_look(
    database_url: str, run: RunId, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="no coordinator has ever kept a run in it"):
        fetch_run(database_url, None, run, tmp_path, lambda *_: None)
    assert ask(database_url, "SELECT to_regclass('fecosr.version')") == [(None,)]
