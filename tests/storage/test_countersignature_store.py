from pathlib import Path

import pytest

from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import StorageError
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.countersignature import Countersignature, countersign, decode_countersignature
from fecosr.ledger.log import Head
from fecosr.storage.countersignature_store import CountersignatureStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "countersignatures.jsonl"


def statement(market: str, size: int) -> Countersignature:
    key = SigningKey(sha256(b"the coordinator"))
    checkpoint = sign_checkpoint(Head(RunId("trial"), size, sha256(bytes(size))), key)
    return countersign(checkpoint, NodeId(market), SigningKey(sha256(market.encode()))).statement_of(
        NodeId(market)
    )


def stored(path: Path) -> list[Countersignature]:
    return [decode_countersignature(line) for line in path.read_bytes().splitlines()]


def test_the_latest_of_each_market_is_kept(path: Path) -> None:
    store = CountersignatureStore(path)
    for said in (statement("fr", 3), statement("de", 5), statement("fr", 9)):
        store.keep(said)
    assert stored(path) == [statement("de", 5), statement("fr", 9)]


def test_an_older_one_changes_nothing_even_after_a_restart(path: Path) -> None:
    CountersignatureStore(path).keep(statement("fr", 9))
    again = CountersignatureStore(path)
    before = path.stat()
    for older in (statement("fr", 3), statement("fr", 9)):
        again.keep(older)
    assert path.stat() == before
    again.keep(statement("de", 1))
    assert stored(path) == [statement("de", 1), statement("fr", 9)]


def test_damage_names_the_line(path: Path) -> None:
    CountersignatureStore(path).keep(statement("fr", 9))
    path.write_bytes(path.read_bytes().replace(b'"size":9', b'"size":09'))
    with pytest.raises(StorageError, match=r"countersignatures\.jsonl:1: canonical"):
        CountersignatureStore(path)
