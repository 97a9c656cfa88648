from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import LedgerError, StorageError
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.countersignature import KeptHead, countersign
from fecosr.ledger.log import Entry, Head, verify_log
from fecosr.storage.checkpoint_store import CheckpointStore

MARKET, IDENTITY = NodeId("de"), SigningKey(sha256(b"de"))


@pytest.fixture
def reopened(tmp_path: Path, run: RunId, key: SigningKey) -> Callable[[], CheckpointStore]:
    """Return a function that opens the store of one market."""

    def open_store() -> CheckpointStore:
        path = tmp_path / "de" / "checkpoints.jsonl"
        return CheckpointStore(path, run, key.public, market=MARKET, identity=IDENTITY.public)

    return open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "de" / "checkpoints.jsonl"


@pytest.fixture
def heads(entries: list[Entry], key: SigningKey) -> list[KeptHead]:
    log = verify_log(entries, key.public)
    checkpoints = (sign_checkpoint(log.head_at(size), key) for size in range(1, log.size + 1))
    return [countersign(checkpoint, MARKET, IDENTITY) for checkpoint in checkpoints]


def test_the_newest_is_there_after_opening_again(
    path: Path, reopened: Callable[[], CheckpointStore], heads: list[KeptHead]
) -> None:
    with reopened() as store:
        assert store.latest is None
        for head in (heads[0], heads[2], heads[2]):
            store.keep(head)
    assert len(path.read_bytes().splitlines()) == 2
    with reopened() as store:
        assert store.latest == heads[2]


def test_a_shrunken_or_second_history_is_refused_even_after_a_restart(
    reopened: Callable[[], CheckpointStore], run: RunId, key: SigningKey, heads: list[KeptHead]
) -> None:
    with reopened() as store:
        store.keep(heads[2])
    second = countersign(sign_checkpoint(Head(run, 3, b"\x00" * 32), key), MARKET, IDENTITY)
    with reopened() as store:
        for other in (heads[1], second):
            with pytest.raises(LedgerError, match="after one of 3"):
                store.keep(other)
        store.keep(heads[3])
        assert store.latest == heads[3]


def test_what_two_did_not_sign_of_this_run_is_refused(
    path: Path, reopened: Callable[[], CheckpointStore], run: RunId, key: SigningKey, heads: list[KeptHead]
) -> None:
    stranger, first = SigningKey(b"\x02" * 32), heads[0].checkpoint.head
    elsewhere = Head(RunId("other"), 1, first.root)
    with reopened() as store:
        with pytest.raises(LedgerError, match="coordinator's identity"):
            store.keep(countersign(sign_checkpoint(first, stranger), MARKET, IDENTITY))
        with pytest.raises(LedgerError, match="identity of de"):
            store.keep(countersign(sign_checkpoint(first, key), MARKET, stranger))
        with pytest.raises(LedgerError, match="identity of de"):
            store.keep(countersign(sign_checkpoint(first, key), NodeId("fr"), IDENTITY))
        with pytest.raises(LedgerError, match="of run other"):
            store.keep(countersign(sign_checkpoint(elsewhere, key), MARKET, IDENTITY))
        assert store.latest is None
    assert path.read_bytes() == b""


def test_damage_names_the_line_and_does_not_keep_the_lock(
    path: Path, reopened: Callable[[], CheckpointStore], heads: list[KeptHead]
) -> None:
    with reopened() as store:
        for head in heads:
            store.keep(head)
    whole = path.read_bytes()
    for damage, line in ((b'"size":2', b'"size":3'), 3), ((b'"size":5', b'"size":6'), 5):
        path.write_bytes(whole.replace(*damage))
        with pytest.raises(StorageError, match=rf"checkpoints\.jsonl:{line}: "):
            reopened()
    path.write_bytes(whole[:-5])
    with reopened() as store:
        assert store.latest == heads[3]
