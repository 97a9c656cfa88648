from pathlib import Path

import pytest

from fecosr.crypto.signatures import SigningKey
from fecosr.errors import LedgerError, StorageError
from fecosr.ids import RunId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.log import Entry, Head
from fecosr.storage.checkpoint_store import CheckpointStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "de" / "checkpoints.jsonl"


@pytest.fixture
def heads(run: RunId, entries: list[Entry]) -> list[Head]:
    return [Head(run, entry.seq + 1, entry.hash()) for entry in entries]


def test_the_newest_is_there_after_opening_again(
    path: Path, run: RunId, key: SigningKey, heads: list[Head]
) -> None:
    with CheckpointStore(path, run, key.public) as store:
        assert store.latest is None
        for head in (heads[0], heads[2], heads[2]):
            store.keep(sign_checkpoint(head, key))
    assert len(path.read_bytes().splitlines()) == 2
    with CheckpointStore(path, run, key.public) as store:
        assert store.latest == sign_checkpoint(heads[2], key)


def test_a_shrunken_or_second_history_is_refused_even_after_a_restart(
    path: Path, run: RunId, key: SigningKey, heads: list[Head]
) -> None:
    with CheckpointStore(path, run, key.public) as store:
        store.keep(sign_checkpoint(heads[2], key))
    with CheckpointStore(path, run, key.public) as store:
        with pytest.raises(LedgerError, match="shrank"):
            store.keep(sign_checkpoint(heads[1], key))
        with pytest.raises(LedgerError, match="second history"):
            store.keep(sign_checkpoint(Head(run, 3, b"\x00" * 32), key))
        store.keep(sign_checkpoint(heads[3], key))
        assert store.latest == sign_checkpoint(heads[3], key)


def test_what_the_coordinator_did_not_say_of_this_run_is_refused(
    path: Path, run: RunId, key: SigningKey, heads: list[Head]
) -> None:
    with CheckpointStore(path, run, key.public) as store:
        with pytest.raises(LedgerError, match="identity"):
            store.keep(sign_checkpoint(heads[0], SigningKey(b"\x02" * 32)))
        with pytest.raises(LedgerError, match="of run other"):
            store.keep(sign_checkpoint(Head(RunId("other"), 1, heads[0].hash), key))
        assert store.latest is None
    assert path.read_bytes() == b""


def test_damage_names_the_line_and_does_not_keep_the_lock(
    path: Path, run: RunId, key: SigningKey, heads: list[Head]
) -> None:
    with CheckpointStore(path, run, key.public) as store:
        for head in heads:
            store.keep(sign_checkpoint(head, key))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"size":2', b'"size":3'))
    with pytest.raises(StorageError, match=r"checkpoints\.jsonl:2: checkpoint"):
        CheckpointStore(path, run, key.public)
    path.write_bytes(whole[:-5])
    with CheckpointStore(path, run, key.public) as store:
        assert store.latest == sign_checkpoint(heads[3], key)
