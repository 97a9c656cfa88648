"""The tables in which PostgreSQL keeps runs, and how a database comes to have them."""

from typing import Any, Final

import psycopg

from fecosr.errors import ConfigError, StorageError

SCHEMA_VERSION: Final = 1
_PREPARING: Final = 0x4665436F5352
"""Advisory lock of whoever looks whether there are tables and makes them."""
_TABLES: Final = (
    "CREATE SCHEMA IF NOT EXISTS fecosr",
    "CREATE TABLE fecosr.version (number integer NOT NULL)",
    """CREATE TABLE fecosr.line
       (run text, name text, number bigint, content bytea NOT NULL, PRIMARY KEY (run, name, number))""",
    """CREATE TABLE fecosr.part
       (run text, name text, number integer, content bytea NOT NULL, PRIMARY KEY (run, name, number))""",
    # Parameters and sums do not get smaller by compression; it only takes time.
    "ALTER TABLE fecosr.part ALTER COLUMN content SET STORAGE EXTERNAL",
)


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Make the tables, if there are none.

    Raises:
        StorageError: they are those of another version.
        ConfigError: this role may not make them.
    """
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_PREPARING,))
            if _version(connection) is None:
                for statement in _TABLES:
                    connection.execute(statement)
                connection.execute("INSERT INTO fecosr.version VALUES (%s)", (SCHEMA_VERSION,))
    except psycopg.errors.InsufficientPrivilege as error:
        database, user = connection.info.dbname, connection.info.user
        raise ConfigError(
            f"tables cannot be made: {error.diag.message_primary}",
            remedy=f"GRANT CREATE ON DATABASE {database} TO {user}",
            source=f"database {database}",
        ) from None
    check_version(connection)


def check_version(connection: psycopg.Connection[Any]) -> None:
    """Do nothing if the tables are ours.

    Raises:
        StorageError: there are none, or those of another version.
    """
    found, database = _version(connection), connection.info.dbname
    if found is None:
        raise StorageError(f"database {database}: no coordinator has ever kept a run in it")
    if found != SCHEMA_VERSION:
        raise StorageError(
            f"database {database}: has schema version {found}, this FeCoSR reads {SCHEMA_VERSION}"
        )


def _version(connection: psycopg.Connection[Any]) -> int | None:
    (there,) = connection.execute("SELECT to_regclass('fecosr.version') IS NOT NULL").fetchone() or (False,)
    if not there:
        return None
    row = connection.execute("SELECT number FROM fecosr.version").fetchone()
    return None if row is None else int(row[0])
