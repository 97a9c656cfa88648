from collections.abc import Callable

import pytest

from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import StorageError
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.countersignature import Countersignature, countersign, decode_countersignature
from fecosr.ledger.log import Head
from fecosr.storage.archive import Archive, Files
from fecosr.storage.countersignature_store import COUNTERSIGNATURES_FILE, CountersignatureStore


@pytest.fixture
def files(archive: Archive) -> Files:
    return archive.files()


def statement(market: str, size: int) -> Countersignature:
    key = SigningKey(sha256(b"the coordinator"))
    checkpoint = sign_checkpoint(Head(RunId("trial"), size, sha256(bytes(size))), key)
    return countersign(checkpoint, NodeId(market), SigningKey(sha256(market.encode()))).statement_of(
        NodeId(market)
    )


def stored(files: Files) -> list[Countersignature]:
    return [decode_countersignature(line) for line in files.read(COUNTERSIGNATURES_FILE).splitlines()]


def test_the_latest_of_each_market_is_kept(files: Files) -> None:
    store = CountersignatureStore(files)
    for said in (statement("fr", 3), statement("de", 5), statement("fr", 9)):
        store.keep(said)
    assert stored(files) == [statement("de", 5), statement("fr", 9)]


def test_an_older_one_changes_nothing_even_after_a_restart(open_archive: Callable[[], Archive]) -> None:
    CountersignatureStore(open_archive().files()).keep(statement("fr", 9))
    files = open_archive().files()
    again = CountersignatureStore(files)
    for older in (statement("fr", 3), statement("fr", 9)):
        again.keep(older)
    assert stored(files) == [statement("fr", 9)]
    again.keep(statement("de", 1))
    assert stored(files) == [statement("de", 1), statement("fr", 9)]


def test_damage_names_the_line(files: Files) -> None:
    CountersignatureStore(files).keep(statement("fr", 9))
    damaged = files.read(COUNTERSIGNATURES_FILE).replace(b'"size":9', b'"size":09')
    files.write(COUNTERSIGNATURES_FILE, damaged)
    with pytest.raises(StorageError, match=r"countersignatures\.jsonl:1: canonical"):
        CountersignatureStore(files)
