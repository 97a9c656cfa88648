from dataclasses import replace

import pytest

from fecosr.crypto.signatures import SigningKey
from fecosr.errors import LedgerError, MisuseError
from fecosr.ids import RunId
from fecosr.ledger.checkpoint import (
    Checkpoint,
    Growth,
    check_growth,
    growth,
    sign_checkpoint,
    verify_checkpoint,
    verify_recorded,
)
from fecosr.ledger.log import Entry, Log, append, genesis
from fecosr.ledger.records import Body, CoordinatorRestarted, RunCompleted


@pytest.fixture
def checkpoint(log: Log, key: SigningKey) -> Checkpoint:
    return sign_checkpoint(log.head, key)


@pytest.fixture
def other(bodies: tuple[Body, ...], key: SigningKey, log: Log) -> Log:
    """Return a history of the same coordinator that parts from `log` at record 3, and is two longer."""
    told = genesis(log.run)
    ends = (RunCompleted(1, b"\x01" * 32), RunCompleted(2, b"\x02" * 32))
    for body in (*bodies[:3], CoordinatorRestarted(9, 9), *bodies[4:], *ends):
        _, told = append(told, body, key)
    return told


def test_a_signed_checkpoint_verifies_and_states_the_head(
    checkpoint: Checkpoint, log: Log, key: SigningKey
) -> None:
    verify_checkpoint(checkpoint, key.public)
    assert checkpoint.head == log.head


@pytest.mark.parametrize("changed", [{"run": RunId("other")}, {"size": 3}, {"root": b"\x00" * 32}])
def test_a_changed_statement_does_not_verify(
    checkpoint: Checkpoint, key: SigningKey, changed: dict[str, object]
) -> None:
    with pytest.raises(LedgerError, match="checkpoint"):
        verify_checkpoint(replace(checkpoint, **changed), key.public)  # type: ignore[arg-type] # by name


def test_another_identity_does_not_verify(checkpoint: Checkpoint) -> None:
    with pytest.raises(LedgerError, match="identity"):
        verify_checkpoint(checkpoint, SigningKey(b"\x02" * 32).public)


def test_every_growth_of_one_history_is_accepted(log: Log, key: SigningKey) -> None:
    check_growth(growth(log, 0, key), None)
    for size in range(1, log.size + 1):
        kept = sign_checkpoint(log.head_at(size), key)
        check_growth(growth(log, size, key), kept)


def test_no_growth_of_another_history_is_accepted(log: Log, other: Log, key: SigningKey) -> None:
    for size in range(4, log.size + 1):
        kept = sign_checkpoint(log.head_at(size), key)
        with pytest.raises(LedgerError) as refused:
            check_growth(growth(other, size, key), kept)
        assert (refused.value.record, refused.value.rule) == (size, "fork")
        assert f"do not continue the {size} that it showed before" in refused.value.message
    check_growth(growth(other, 3, key), sign_checkpoint(log.head_at(3), key))


def test_a_second_head_of_one_size_is_a_fork(log: Log, other: Log, key: SigningKey) -> None:
    kept = sign_checkpoint(log.head, key)
    second = sign_checkpoint(other.head_at(log.size), key)
    with pytest.raises(LedgerError, match="fork"):
        check_growth(Growth(second, log.size, ()), kept)


def test_no_changed_proof_is_accepted(log: Log, key: SigningKey) -> None:
    kept, shown = sign_checkpoint(log.head_at(5), key), growth(log, 5, key)
    assert len(shown.proof) > 2
    for proof in (shown.proof[1:], shown.proof[:-1], (*shown.proof, bytes(32)), shown.proof[::-1], ()):
        with pytest.raises(LedgerError, match="fork"):
            check_growth(replace(shown, proof=proof), kept)


def test_a_ledger_may_not_shrink_or_change_its_run(log: Log, key: SigningKey) -> None:
    kept = sign_checkpoint(log.head, key)
    with pytest.raises(LedgerError, match=f"shrank from {log.size} to 4 records"):
        check_growth(Growth(sign_checkpoint(log.head_at(4), key), 0, ()), kept)
    elsewhere = Checkpoint(RunId("other"), log.size + 1, kept.root, kept.signature)
    with pytest.raises(LedgerError, match="of run other"):
        check_growth(Growth(elsewhere, log.size, ()), kept)


def test_a_proof_from_elsewhere_is_refused_and_is_no_fork(log: Log, key: SigningKey) -> None:
    """The coordinator took this market for one that knows less, or more: it can show the right proof."""
    kept = sign_checkpoint(log.head_at(5), key)
    for earlier in (0, 4, 6):
        with pytest.raises(LedgerError) as refused:
            check_growth(growth(log, earlier, key), kept)
        assert refused.value.rule == "checkpoint"
    with pytest.raises(MisuseError):
        growth(log, log.size + 1, key)


def test_a_record_is_shown_to_be_in_the_ledger(log: Log, entries: list[Entry], key: SigningKey) -> None:
    checkpoint = sign_checkpoint(log.head, key)
    for entry in entries:
        verify_recorded(entry, log.inclusion_proof(entry.seq), checkpoint)
        forged = replace(entry, signature=bytes(64))
        for lie, proof in ((forged, log.inclusion_proof(entry.seq)), (entry, log.inclusion_proof(0)[:-1])):
            with pytest.raises(LedgerError) as refused:
                verify_recorded(lie, proof, checkpoint)
            assert (refused.value.record, refused.value.rule) == (entry.seq, "inclusion")
