from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fecosr.crypto.signatures import SigningKey
from fecosr.ids import RunId
from fecosr.ledger.log import Entry, append, genesis
from fecosr.ledger.records import CoordinatorRestarted, PrivacyTerms, RunOpened
from fecosr.storage.archive import Archive, FolderArchive


@pytest.fixture
def run() -> RunId:
    return RunId("trial")


@pytest.fixture
def key() -> SigningKey:
    return SigningKey(b"\x01" * 32)


@pytest.fixture
def opened(key: SigningKey) -> Callable[[RunId], RunOpened]:
    """Return a function that makes the first record of a run."""

    def make(run: RunId) -> RunOpened:
        terms = PrivacyTerms("none", "user", "add_or_remove_one", 1.0, None, None)
        return RunOpened(run, b"\xab" * 32, "{}", {}, key.public, "0.1.0", b"\xcd" * 32, 3, terms)

    return make


@pytest.fixture
def entries(run: RunId, key: SigningKey, opened: Callable[[RunId], RunOpened]) -> list[Entry]:
    """Return the five entries of a small ledger."""
    entry, log = append(genesis(run), opened(run), key)
    entries = [entry]
    for attempt in range(1, 5):
        entry, log = append(log, CoordinatorRestarted(1, attempt), key)
        entries.append(entry)
    return entries


@pytest.fixture(params=["folder", "postgres"])
def open_archive(
    request: pytest.FixtureRequest, tmp_path: Path, run: RunId
) -> Iterator[Callable[[], Archive]]:
    """Return a function that opens the same archive again, as a process that starts again would."""
    if request.param == "folder":
        yield lambda: FolderArchive(tmp_path / "archive")
        return
    url = request.getfixturevalue("database_url")
    from fecosr.storage.postgres import RunDatabase

    with ExitStack() as opened:

        def again() -> Archive:
            opened.close()
            database = opened.enter_context(RunDatabase(url, None, run))
            # The server hears a moment later that the one before is gone.
            assert any(database.own() for _ in range(10_000))
            return database

        yield again


@pytest.fixture
def archive(open_archive: Callable[[], Archive]) -> Archive:
    """Return an archive, of each kind that there is."""
    return open_archive()
