"""Write a run that stands in a database as the folder it would be on a disk: what status and audit read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from fecosr.errors import ConfigError, StorageError
from fecosr.ids import RunId
from fecosr.storage.archive import FolderFiles
from fecosr.storage.atomic_files import make_folder, write_bytes
from fecosr.storage.inspection import LEDGER_FILE
from fecosr.storage.lock import OwnerLock
from fecosr.storage.postgres import connect
from fecosr.storage.postgres_schema import check_version

_SIZES: Final = """SELECT name, sum(length(content))::bigint FROM fecosr.part WHERE run = %s
                   GROUP BY name ORDER BY name LIKE '%%/%%' DESC, name"""
_FILE: Final = "SELECT content FROM fecosr.part WHERE run = %s AND name = %s ORDER BY number"
_LINES: Final = "SELECT content FROM fecosr.line WHERE run = %s AND name = %s ORDER BY number"


@dataclass(frozen=True, slots=True)
class Fetched:
    """Say what was written.

    Attributes:
        records: of the ledger.
        written: files that were not there yet, or had changed.
        kept: files that were there.
    """

    records: int
    written: int
    kept: int


def fetch_run(
    url: str, password: str | None, run: RunId, folder: Path, tell: Callable[[int, int], None]
) -> Fetched:
    """Bring `folder` to where the run stands now, whoever has it; the database is only read.

    Args:
        url: without a password.
        password: None lets libpq find one.
        run: which of the runs in the database.
        folder: made when it is not there; what an earlier call wrote is not fetched again.
        tell: hears how many files of how many are done.

    Raises:
        StorageError: the database cannot be reached or holds no such run, or `folder` is in use.
        ConfigError: `folder` holds another run.
    """
    make_folder(folder)
    lock = OwnerLock(folder / f"{LEDGER_FILE}.lock")
    try:
        with connect(url, password, "fecosr fetch-run") as connection:
            check_version(connection)
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                return _fetched(connection, run, folder, tell)
    except psycopg.Error as error:
        raise StorageError(f"database: {' '.join(str(error).split())}") from None
    finally:
        lock.release()


def _fetched(
    connection: psycopg.Connection[Any], run: RunId, folder: Path, tell: Callable[[int, int], None]
) -> Fetched:
    lines = _contents(connection, _LINES, run, LEDGER_FILE)
    if not lines:
        raise StorageError(f"database {connection.info.dbname}: holds no run {run}")
    ledger = b"".join(line + b"\n" for line in lines)
    _require_same_run(folder / LEDGER_FILE, ledger)
    sizes = connection.execute(_SIZES, (run,)).fetchall()
    written = 0
    for number, (name, size) in enumerate(sizes, start=1):
        path = folder / name
        # What stands in a folder is named by its hash: the same name is the same file.
        if "/" not in name or not path.exists() or path.stat().st_size != size:
            FolderFiles(path.parent).write(path.name, *_contents(connection, _FILE, run, name))
            written += 1
        tell(number, len(sizes))
    write_bytes(folder / LEDGER_FILE, ledger)
    return Fetched(len(lines), written, len(sizes) - written)


def _require_same_run(path: Path, ledger: bytes) -> None:
    if path.exists() and not ledger.startswith(path.read_bytes()):
        raise ConfigError(
            "is not the beginning of this run's ledger",
            remedy="name another folder; if it is the same run, somebody has changed one of the two",
            source=str(path),
        )


def _contents(connection: psycopg.Connection[Any], query: str, run: RunId, name: str) -> Sequence[bytes]:
    with connection.cursor(binary=True) as cursor:
        return [bytes(content) for (content,) in cursor.execute(query.encode(), (run, name))]
