from dataclasses import replace

import pytest

from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import LedgerError
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.countersignature import (
    KeptHead,
    countersign,
    decode_countersignature,
    decode_kept,
    encode_countersignature,
    encode_kept,
    verify_countersignature,
)
from fecosr.ledger.log import Log

MARKET, MARKET_KEY = NodeId("de"), SigningKey(sha256(b"de"))


@pytest.fixture
def kept(log: Log, key: SigningKey) -> KeptHead:
    return countersign(sign_checkpoint(log.head, key), MARKET, MARKET_KEY)


def test_a_countersignature_verifies_and_states_the_head(kept: KeptHead, log: Log) -> None:
    statement = kept.statement_of(MARKET)
    verify_countersignature(statement, MARKET_KEY.public)
    assert statement.head == kept.checkpoint.head == log.head


@pytest.mark.parametrize(
    "changed", [{"run": RunId("other")}, {"size": 3}, {"root": bytes(32)}, {"market": NodeId("fr")}]
)
def test_a_changed_statement_does_not_verify(kept: KeptHead, changed: dict[str, object]) -> None:
    statement = replace(kept.statement_of(MARKET), **changed)  # type: ignore[arg-type] # by name
    with pytest.raises(LedgerError, match="countersignature"):
        verify_countersignature(statement, MARKET_KEY.public)


def test_nobody_signs_for_another(kept: KeptHead, key: SigningKey) -> None:
    """The coordinator's signature of the same head is no countersignature either."""
    for forged in (kept.checkpoint.signature, key.sign(b"whatever")):
        statement = replace(kept.statement_of(MARKET), signature=forged)
        for identity in (MARKET_KEY.public, key.public):
            with pytest.raises(LedgerError, match="identity of de"):
                verify_countersignature(statement, identity)


def test_lines_read_back_as_themselves(kept: KeptHead) -> None:
    assert decode_kept(encode_kept(kept)) == kept
    statement = kept.statement_of(MARKET)
    assert decode_countersignature(encode_countersignature(statement)) == statement


@pytest.mark.parametrize(
    "damage", [(b'"size":', b'"size": '), (b'"root"', b'"rot"'), (b'"run":"t', b'"run":"T')]
)
def test_lines_outside_the_schema_are_refused(kept: KeptHead, damage: tuple[bytes, bytes]) -> None:
    with pytest.raises(LedgerError):
        decode_kept(encode_kept(kept).replace(*damage))
    with pytest.raises(LedgerError):
        decode_countersignature(encode_countersignature(kept.statement_of(MARKET)).replace(*damage))
