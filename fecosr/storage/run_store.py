"""Small durable state of one party: the newest attempt it took part in, and named JSON values."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fecosr.errors import ProtocolViolation, StorageError
from fecosr.ids import COORDINATOR, RunId
from fecosr.storage.lock import OwnerLock

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = (
    "CREATE TABLE marker (run TEXT NOT NULL, round INTEGER NOT NULL, attempt INTEGER NOT NULL) STRICT",
    "CREATE TABLE value (name TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class RunStore:
    """Own the SQLite file at `path` for one run (WAL, synchronous=FULL: a commit survives a power cut).

    Raises:
        StorageError: in use by another process, damaged, of another run, or of another version of FeCoSR.
    """

    def __init__(self, path: Path, run: RunId) -> None:
        self.path = path
        self._lock = OwnerLock(path.with_name(f"{path.name}.lock"))
        self._connection: sqlite3.Connection | None = None
        try:
            with self._translated_errors():
                self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                self._prepare(self._connection, run)
        except StorageError:
            self.close()
            raise

    def latest(self) -> tuple[int, int]:
        """Return the newest (round, attempt) that was claimed, or (0, 0)."""
        with self._transaction() as connection:
            found = connection.execute("SELECT round, attempt FROM marker").fetchone()
        return int(found[0]), int(found[1])

    def claim(self, round_number: int, attempt: int, **values: object) -> None:
        """Take part in this attempt, once and never in an older one; `values` are put with it, or not at all.

        A node claims before it makes its first key. Session secrets are never stored, so a node that restarts
        refuses the attempt it was in and cannot answer twice in one session.

        Raises:
            ProtocolViolation: not strictly after every attempt claimed before.
            StorageError: the disk refused.
        """
        with self._transaction() as connection:
            latest = connection.execute("SELECT round, attempt FROM marker").fetchone()
            if (round_number, attempt) <= tuple(latest):
                asked, had = f"round {round_number} attempt {attempt}", "round {} attempt {}".format(*latest)
                raise ProtocolViolation(COORDINATOR, "round_task", f"{asked} is not after {had}")
            connection.execute("UPDATE marker SET round = ?, attempt = ?", (round_number, attempt))
            for name, value in values.items():
                _put(connection, name, value)

    def put(self, name: str, value: object) -> None:
        """Store a JSON value under `name`, replacing an older one.

        Raises:
            StorageError: the disk refused.
        """
        with self._transaction() as connection:
            _put(connection, name, value)

    def get(self, name: str) -> object:
        """Return the JSON value stored under `name`, or None."""
        with self._transaction() as connection:
            found = connection.execute("SELECT json FROM value WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self, connection: sqlite3.Connection, run: RunId) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            with self._transaction():
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute("INSERT INTO marker VALUES (?, 0, 0)", (run,))
        elif version != SCHEMA_VERSION:
            raise StorageError(
                f"{self.path}: has schema version {version}, this FeCoSR reads {SCHEMA_VERSION}"
            )
        found = connection.execute("SELECT run FROM marker").fetchone()[0]
        if found != run:
            raise StorageError(f"{self.path}: is the state of run {found}, not of {run}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:
            raise StorageError(f"{self.path}: closed")
        with self._translated_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"{self.path}: {error}") from None


def _put(connection: sqlite3.Connection, name: str, value: object) -> None:
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    connection.execute("INSERT OR REPLACE INTO value VALUES (?, ?)", (name, text))
