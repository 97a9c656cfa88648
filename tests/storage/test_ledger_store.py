from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.crypto.signatures import SigningKey
from fecosr.errors import LedgerError, StorageError
from fecosr.ids import RunId
from fecosr.ledger.log import Entry, append, encode_entry, genesis, verify_log
from fecosr.ledger.records import CoordinatorRestarted, RunOpened
from fecosr.storage.append_only import AppendOnlyLines
from fecosr.storage.archive import Archive
from fecosr.storage.ledger_store import LedgerStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def stored(path: Path, run: RunId, key: SigningKey, entries: list[Entry]) -> list[Entry]:
    """Return the entries that stand in the closed ledger at `path`."""
    with LedgerStore(AppendOnlyLines(path), run, key.public) as store:
        for entry in entries:
            store.append(entry)
    return entries


def test_a_new_ledger_is_empty(archive: Archive, run: RunId, key: SigningKey) -> None:
    with LedgerStore(archive.lines("ledger.jsonl"), run, key.public) as store:
        assert store.log.head == genesis(run).head
        assert store.entries == ()


def test_entries_are_there_after_opening_again(
    open_archive: Callable[[], Archive], run: RunId, key: SigningKey, entries: list[Entry]
) -> None:
    with LedgerStore(open_archive().lines("ledger.jsonl"), run, key.public) as store:
        for entry in entries:
            store.append(entry)
    with LedgerStore(open_archive().lines("ledger.jsonl"), run, key.public) as store:
        assert list(store.entries) == entries
        assert store.log.head == verify_log(entries, key.public).head


def test_an_entry_is_in_the_file_when_append_returns(
    path: Path, run: RunId, key: SigningKey, entries: list[Entry]
) -> None:
    with LedgerStore(AppendOnlyLines(path), run, key.public) as store:
        store.append(entries[0])
        assert path.read_bytes() == encode_entry(entries[0]) + b"\n"


def test_a_torn_append_is_forgotten_and_the_next_one_fits(
    path: Path, run: RunId, key: SigningKey, stored: list[Entry]
) -> None:
    whole = path.read_bytes()
    for lost in (1, 2, 100, len(encode_entry(stored[-1]))):
        path.write_bytes(whole[:-lost])
        with LedgerStore(AppendOnlyLines(path), run, key.public) as store:
            assert list(store.entries) == stored[:-1]
            store.append(stored[-1])
        assert path.read_bytes() == whole


@pytest.mark.parametrize("line", [1, 3, 5])
def test_any_other_damage_names_the_line(
    path: Path, run: RunId, key: SigningKey, stored: list[Entry], line: int
) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b'"seq":', b'"seq": ')
    path.write_bytes(b"".join(lines))
    with pytest.raises(StorageError, match=rf"ledger\.jsonl:{line}: canonical"):
        LedgerStore(AppendOnlyLines(path), run, key.public)


def test_a_damaged_ledger_is_not_locked_by_the_refusal(
    path: Path, run: RunId, key: SigningKey, stored: list[Entry]
) -> None:
    whole = path.read_bytes()
    path.write_bytes(b"\n" + whole)
    with pytest.raises(StorageError, match=":1: canonical"):
        LedgerStore(AppendOnlyLines(path), run, key.public)
    path.write_bytes(whole)
    LedgerStore(AppendOnlyLines(path), run, key.public).close()


def test_a_dropped_line_and_a_foreign_key_are_refused(
    path: Path, run: RunId, key: SigningKey, stored: list[Entry]
) -> None:
    with pytest.raises(StorageError, match=":1: signature"):
        LedgerStore(AppendOnlyLines(path), run, SigningKey(b"\x02" * 32).public)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(StorageError, match=":3: sequence"):
        LedgerStore(AppendOnlyLines(path), run, key.public)


def test_the_ledger_of_another_run_is_refused(path: Path, key: SigningKey, stored: list[Entry]) -> None:
    with pytest.raises(StorageError, match="is the ledger of run trial, not other"):
        LedgerStore(AppendOnlyLines(path), RunId("other"), key.public)


def test_a_second_writer_is_refused(path: Path, run: RunId, key: SigningKey) -> None:
    with LedgerStore(AppendOnlyLines(path), run, key.public), pytest.raises(StorageError, match="in use"):
        LedgerStore(AppendOnlyLines(path), run, key.public)


def test_an_entry_that_does_not_follow_is_not_stored(
    archive: Archive,
    run: RunId,
    key: SigningKey,
    entries: list[Entry],
    opened: Callable[[RunId], RunOpened],
) -> None:
    with LedgerStore(archive.lines("ledger.jsonl"), run, key.public) as store:
        store.append(entries[0])
        forged, _ = append(store.log, CoordinatorRestarted(1, 1), SigningKey(b"\x02" * 32))
        for entry in (entries[0], entries[2], forged, replace(entries[1], signature=bytes(64))):
            with pytest.raises(LedgerError):
                store.append(entry)
        store.append(entries[1])
        assert list(store.entries) == entries[:2]
