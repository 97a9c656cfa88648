"""Make every run of the suite the same: property tests draw from fixed seeds. Lend a database to who asks."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.reference.postgres_server import PASSWORD, PostgresServer, installed_server

settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Return a PostgreSQL server that was started for these tests."""
    programs = installed_server()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (initdb, postgres)")
    with PostgresServer(programs) as server:
        yield server


@pytest.fixture
def database_url(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return where an empty database is; the password is in the environment, as libpq knows it."""
    psycopg = pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    yield postgres_server.url()
    with psycopg.connect(postgres_server.url(), password=PASSWORD, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE usename = current_user AND pid <> pg_backend_pid()"
        )
        connection.execute("DROP SCHEMA IF EXISTS fecosr CASCADE")
