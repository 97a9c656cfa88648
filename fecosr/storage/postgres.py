"""A run in a PostgreSQL database, where a coordinator on another machine can go on with it.

One connection does everything. It holds an advisory lock on the run, so there is one writer; the lock goes
when the connection goes, and what has no connection cannot store. Whoever cannot store may not send, so a
coordinator that has lost its database is harmless before it has noticed.
"""

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from psycopg.conninfo import make_conninfo

from fecosr.errors import ConfigError, StorageError
from fecosr.ids import RunId
from fecosr.storage.archive import Files, Lines
from fecosr.storage.postgres_schema import prepare

PART_BYTES: Final = 4 << 20
"""A file is stored in parts of this size: one value of PostgreSQL has at most a GiB."""
CONNECT_SECONDS: Final = 10
_SILENCE_SECONDS: Final = 20
"""After so long without a sign of life either side gives the connection up."""
_KEEPALIVE: Final = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3}
_SETTINGS: Final = (
    # A commit that was told of is on the disk; with synchronous replicas on theirs too.
    """SELECT set_config('synchronous_commit', 'on', false)
       WHERE current_setting('synchronous_commit') <> 'remote_apply'""",
    # A coordinator whose machine is gone must not keep the run locked for hours.
    *(f"SET tcp_{name} = {value}" for name, value in _KEEPALIVE.items()),
    f"SET tcp_user_timeout = {1000 * _SILENCE_SECONDS}",
)


def connect(url: str, password: str | None, name: str) -> psycopg.Connection[Any]:
    """Return a connection that notices when the other side is gone.

    Args:
        url: without a password.
        password: None lets libpq find one.
        name: as the server shows it.

    Raises:
        StorageError: there is no such database, no way to it, or no way in.
    """
    terms: dict[str, str | int | None] = {
        "connect_timeout": CONNECT_SECONDS,
        "target_session_attrs": "read-write",
        "application_name": name,
        "tcp_user_timeout": 1000 * _SILENCE_SECONDS,
        **_KEEPALIVE,
    }
    # Nobody but the server that was meant may be given the ledger, unless the operator says so.
    if "sslmode=" not in url:
        terms["sslmode"] = "verify-full"
    if password is not None:
        terms["password"] = password
    try:
        return psycopg.connect(make_conninfo(url, **terms), autocommit=True)
    except psycopg.Error as error:
        raise StorageError(f"database: {_line(error)}") from None


class RunDatabase:
    """Hold one connection to the database that keeps one run; `own` it before anything is opened in it.

    Args:
        url: without a password.
        password: None lets libpq find one.
        run: whose rows are read and written; the others are left alone.

    Raises:
        StorageError: the database cannot be reached, or is of another version of FeCoSR.
        ConfigError: it may not be used, or does not keep what it says it keeps.
    """

    def __init__(self, url: str, password: str | None, run: RunId) -> None:
        self._run = run
        self._one_at_a_time = threading.RLock()
        name = f"fecosr-coordinator {os.getpid()} on {socket.gethostname()}"
        self._connection = connect(url, password, name)
        try:
            self.place = _place(self._connection)
            with self.connected() as connection:
                for statement in _SETTINGS:
                    connection.execute(statement)
                _require_durable(connection, self.place)
                prepare(connection)
                self._pid = int(_value(connection, "SELECT pg_backend_pid()"))
        except BaseException:
            self.close()
            raise

    def own(self) -> bool:
        """Return whether this connection has the run to itself; it keeps it then until it ends.

        Raises:
            StorageError: the connection was lost.
        """
        with self.connected() as connection:
            return bool(_value(connection, "SELECT pg_try_advisory_lock(%s)", _lock_of(self._run)))

    def owner(self) -> str:
        """Return who has the run, as the server shows it; empty when nobody has.

        Raises:
            StorageError: the connection was lost.
        """
        with self.connected() as connection:
            found = connection.execute(
                "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
                " AND (classid::bigint << 32 | objid::bigint) = %s",
                (_lock_of(self._run),),
            ).fetchone()
        return "" if found is None else str(found[0])

    def check(self) -> None:
        """Do nothing if the database answers.

        Raises:
            StorageError: it does not; nothing can be stored any more.
        """
        with self.connected() as connection:
            connection.execute("SELECT 1")

    def abandon(self) -> None:
        """Let whoever waits for an answer of the database find the connection cut, now."""
        try:
            descriptor = os.dup(self._connection.fileno())
        except (psycopg.Error, OSError):
            return
        with socket.socket(fileno=descriptor) as cut:
            cut.shutdown(socket.SHUT_RDWR)

    def lines(self, name: str) -> Lines:
        """Open lines."""
        return _DatabaseLines(self, self._run, name, self._pid)

    def files(self, folder: str = "") -> Files:
        """Open the files of a folder."""
        return _DatabaseFiles(self, self._run, folder)

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """Have the connection for one transaction, or for single statements.

        Raises:
            StorageError: PostgreSQL refused; the connection is closed, for nobody knows what was stored.
        """
        with self._one_at_a_time:
            try:
                yield self._connection
            except psycopg.Error as error:
                self._connection.close()
                raise StorageError(f"{self.place}: {_line(error)}") from None

    def close(self) -> None:
        """Close the connection, and end with it the ownership of the run; a second call does nothing."""
        with self._one_at_a_time:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _DatabaseLines:
    """Keep lines as numbered rows; the number makes sure that nobody else has written one meanwhile."""

    def __init__(self, database: RunDatabase, run: RunId, name: str, pid: int) -> None:
        self.place = f"{database.place}: {name}"
        self._database = database
        self._run, self._name, self._pid = run, name, pid
        self._next = len(self.read())

    def read(self) -> list[bytes]:
        with self._database.connected() as connection, connection.cursor(binary=True) as cursor:
            query = "SELECT content FROM fecosr.line WHERE run = %s AND name = %s ORDER BY number"
            return [bytes(content) for (content,) in cursor.execute(query, (self._run, self._name))]

    def append(self, line: bytes) -> None:
        with self._database.connected() as connection:
            stored = connection.execute(
                "INSERT INTO fecosr.line SELECT %s, %s, %s, %b WHERE pg_backend_pid() = %s",
                (self._run, self._name, self._next, line, self._pid),
            )
            if stored.rowcount != 1:
                self._database.close()
                raise StorageError(
                    f"{self.place}: this connection is shared, so nobody can own the run; "
                    "connect to PostgreSQL itself, not to a pool of connections"
                )
            self._next += 1

    def close(self) -> None:
        self._database.close()


class _DatabaseFiles:
    """Keep files as rows of parts under their path."""

    def __init__(self, database: RunDatabase, run: RunId, folder: str) -> None:
        self._database, self._run = database, run
        self._prefix = f"{folder}/" if folder else ""

    def place(self, name: str) -> str:
        return f"{self._database.place}: {self._prefix}{name}"

    def write(self, name: str, *parts: bytes | memoryview) -> None:
        key = (self._run, self._prefix + name)
        with self._database.connected() as connection, connection.transaction():
            connection.execute("DELETE FROM fecosr.part WHERE run = %s AND name = %s", key)
            for number, content in enumerate(_cut(parts)):
                connection.execute("INSERT INTO fecosr.part VALUES (%s, %s, %s, %b)", (*key, number, content))

    def read(self, name: str) -> bytes:
        with self._database.connected() as connection, connection.cursor(binary=True) as cursor:
            query = "SELECT content FROM fecosr.part WHERE run = %s AND name = %s ORDER BY number"
            rows = cursor.execute(query, (self._run, self._prefix + name)).fetchall()
        if not rows:
            raise StorageError(f"{self.place(name)}: cannot be read: no such file")
        return b"".join(content for (content,) in rows)

    def names(self) -> Sequence[str]:
        query = "SELECT name FROM fecosr.part WHERE run = %s AND number = 0 AND starts_with(name, %s)"
        with self._database.connected() as connection:
            rows = connection.execute(query, (self._run, self._prefix)).fetchall()
        names = (str(name).removeprefix(self._prefix) for (name,) in rows)
        return sorted(name for name in names if "/" not in name)

    def delete(self, name: str) -> None:
        key = (self._run, self._prefix + name)
        with self._database.connected() as connection:
            connection.execute("DELETE FROM fecosr.part WHERE run = %s AND name = %s", key)


def _cut(parts: Sequence[bytes | memoryview]) -> Iterator[memoryview | bytes]:
    """Yield `parts` in pieces that a row can hold; at least one, for an empty file is there too."""
    is_empty = True
    for part in parts:
        whole = memoryview(part)
        octets = whole.cast("B") if whole.nbytes else whole
        for begin in range(0, octets.nbytes, PART_BYTES):
            is_empty = False
            yield octets[begin : begin + PART_BYTES]
    if is_empty:
        yield b""


def _require_durable(connection: psycopg.Connection[Any], place: str) -> None:
    if _value(connection, "SELECT current_setting('fsync')") != "on":
        raise ConfigError(
            "the server runs with fsync = off, so it may forget what it has stored",
            remedy="turn fsync on",
            source=place,
        )


def _lock_of(run: RunId) -> int:
    """Return the number of the advisory lock of a run: 63 bits, for pg_locks shows unsigned halves."""
    return int.from_bytes(sha256(f"fecosr run {run}".encode()).digest()[:8], "big") >> 1


def _value(connection: psycopg.Connection[Any], query: str, *arguments: object) -> Any:
    row = connection.execute(query.encode(), arguments).fetchone()
    return None if row is None else row[0]


def _place(connection: psycopg.Connection[Any]) -> str:
    return f"database {connection.info.dbname} on {connection.info.host}"


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
