from dataclasses import replace

import pytest

from fecosr.crypto.signatures import SigningKey
from fecosr.errors import LedgerError
from fecosr.ids import RunId
from fecosr.ledger.checkpoint import (
    Checkpoint,
    check_follows,
    decode_checkpoint,
    encode_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from fecosr.ledger.log import Head


@pytest.fixture
def checkpoint(head: Head, key: SigningKey) -> Checkpoint:
    return sign_checkpoint(head, key)


def test_a_signed_checkpoint_verifies_and_states_the_head(
    checkpoint: Checkpoint, head: Head, key: SigningKey
) -> None:
    verify_checkpoint(checkpoint, key.public)
    assert (checkpoint.run, checkpoint.size, checkpoint.head) == (head.run, head.size, head.hash)


@pytest.mark.parametrize("changed", [{"run": RunId("other")}, {"size": 3}, {"head": b"\x00" * 32}])
def test_a_changed_statement_does_not_verify(
    checkpoint: Checkpoint, key: SigningKey, changed: dict[str, object]
) -> None:
    with pytest.raises(LedgerError, match="checkpoint"):
        verify_checkpoint(replace(checkpoint, **changed), key.public)  # type: ignore[arg-type] # by name


def test_another_identity_does_not_verify(checkpoint: Checkpoint) -> None:
    with pytest.raises(LedgerError, match="identity"):
        verify_checkpoint(checkpoint, SigningKey(b"\x02" * 32).public)


def test_it_reads_back_as_itself(checkpoint: Checkpoint) -> None:
    assert decode_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "damage", [(b'"size":', b'"size": '), (b'"head"', b'"hed"'), (b'"run":"t', b'"run":"T')]
)
def test_a_line_outside_the_schema_is_refused(checkpoint: Checkpoint, damage: tuple[bytes, bytes]) -> None:
    with pytest.raises(LedgerError):
        decode_checkpoint(encode_checkpoint(checkpoint).replace(*damage))


def test_a_ledger_may_stay_or_grow(checkpoint: Checkpoint) -> None:
    check_follows(checkpoint, checkpoint)
    check_follows(replace(checkpoint, size=checkpoint.size + 1, head=b"\x00" * 32), checkpoint)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": 1}, "shrank"),
        ({"head": b"\x00" * 32}, "second history"),
        ({"run": RunId("other")}, "of run other"),
    ],
)
def test_a_ledger_may_not_shrink_fork_or_change_its_run(
    checkpoint: Checkpoint, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(LedgerError, match=message):
        check_follows(replace(checkpoint, **changed), checkpoint)  # type: ignore[arg-type] # by name
