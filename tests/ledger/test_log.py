import hashlib
import json
from dataclasses import replace

import pytest

from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import LedgerError, MisuseError
from fecosr.ids import RunId
from fecosr.ledger.log import (
    Entry,
    Log,
    append,
    decode_entry,
    encode_entry,
    extend,
    genesis,
    opened_run,
    verify_log,
)
from fecosr.ledger.records import Body, RunAborted, RunCompleted
from tests.reference.slow_merkle import path, proof, tree_hash


def test_a_whole_ledger_verifies_and_ends_at_its_head(
    entries: list[Entry], log: Log, key: SigningKey, run: RunId
) -> None:
    assert verify_log(entries, key.public).head == log.head
    assert verify_log(entries, key.public, [encode_entry(entry) for entry in entries]).head == log.head
    assert (log.run, log.size) == (run, len(entries))
    assert opened_run(entries[0]) == run


def test_entries_read_back_as_themselves(entries: list[Entry]) -> None:
    for entry in entries:
        assert decode_entry(encode_entry(entry), entry.seq) == entry
        assert b"\n" not in encode_entry(entry)


def _with_length(piece: bytes) -> bytes:
    return len(piece).to_bytes(8, "big") + piece


def test_hashes_and_signatures_are_what_the_protocol_says(
    entries: list[Entry], log: Log, run: RunId, key: SigningKey
) -> None:
    label = b"fecosr/v1/ledger-record"
    lines = [encode_entry(entry) for entry in entries]
    for entry in entries:
        before = tree_hash(lines[: entry.seq])
        assert log.head_at(entry.seq).root == before
        body = json.loads(lines[entry.seq])["body"]
        text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        parts = (label, run.encode(), entry.seq.to_bytes(8, "big"), before, text)
        verify(key.public, entry.signature, b"".join(map(_with_length, parts)))
    assert genesis(run).head.root == hashlib.sha256().digest()


def test_proofs_are_those_of_the_rfc(entries: list[Entry], log: Log) -> None:
    lines = [encode_entry(entry) for entry in entries]
    for number in range(len(lines)):
        assert list(log.inclusion_proof(number)) == path(number, lines)
        assert list(log.consistency_proof(number + 1)) == proof(number + 1, lines)
    assert log.consistency_proof(0) == ()
    for size in (-1, len(lines) + 1):
        with pytest.raises(MisuseError):
            log.consistency_proof(size)
        with pytest.raises(MisuseError):
            log.head_at(size)


def test_a_log_is_a_value_however_many_continue_it(
    bodies: tuple[Body, ...], log: Log, key: SigningKey
) -> None:
    """A transition that was computed and not carried out leaves no trace."""
    before, proofs = log.head, [log.consistency_proof(size) for size in range(log.size)]
    _, first = append(log, RunCompleted(1, b"\x01" * 32), key)
    _, second = append(log, RunCompleted(2, b"\x02" * 32), key)
    _, longer = append(first, RunCompleted(3, b"\x03" * 32), key)
    assert len({log.head, first.head, second.head, longer.head}) == 4
    assert (log.head, [log.consistency_proof(size) for size in range(log.size)]) == (before, proofs)
    assert first.head_at(log.size) == second.head_at(log.size) == longer.head_at(log.size) == before
    assert longer.head_at(first.size) == first.head


def test_an_empty_ledger_does_not_verify(key: SigningKey) -> None:
    with pytest.raises(LedgerError) as refused:
        verify_log([], key.public)
    assert refused.value.rule == "run_opened"


def test_a_ledger_that_opens_no_run_does_not_verify(key: SigningKey, run: RunId) -> None:
    entry, _ = append(genesis(run), RunAborted(0, "x"), key)
    with pytest.raises(LedgerError) as refused:
        verify_log([entry], key.public)
    assert (refused.value.record, refused.value.rule) == (0, "run_opened")


def test_every_dropped_record_but_the_last_is_noticed(entries: list[Entry], key: SigningKey) -> None:
    for missing in range(len(entries) - 1):
        rest = [entry for entry in entries if entry.seq != missing]
        with pytest.raises(LedgerError) as refused:
            verify_log(rest, key.public)
        assert refused.value.record == missing


def test_a_dropped_tail_is_not_noticed_by_the_records_alone(entries: list[Entry], key: SigningKey) -> None:
    assert verify_log(entries[:-1], key.public).size == len(entries) - 1


def test_reordered_and_repeated_records_are_noticed(entries: list[Entry], key: SigningKey) -> None:
    for place in range(1, len(entries) - 1):
        swapped = [*entries]
        swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
        doubled = [*entries[: place + 1], *entries[place:]]
        for tampered in (swapped, doubled):
            with pytest.raises(LedgerError, match="sequence"):
                verify_log(tampered, key.public)


def test_a_renumbered_record_is_noticed(entries: list[Entry], key: SigningKey) -> None:
    with pytest.raises(LedgerError) as refused:
        verify_log([entries[0], replace(entries[2], seq=1)], key.public)
    assert (refused.value.record, refused.value.rule) == (1, "signature")


def test_a_record_of_another_key_is_noticed_wherever_it_stands(entries: list[Entry], key: SigningKey) -> None:
    forger = SigningKey(b"\x02" * 32)
    first = verify_log(entries[:1], key.public)
    forged, _ = append(first, RunCompleted(0, b"\x00" * 32), forger)
    for tampered in ([entries[0], forged], [entries[0], forged, *entries[2:]]):
        with pytest.raises(LedgerError) as refused:
            verify_log(tampered, key.public)
        assert (refused.value.record, refused.value.rule) == (1, "signature")


def test_a_changed_body_or_signature_is_noticed_where_it_is(entries: list[Entry], key: SigningKey) -> None:
    for place, entry in enumerate(entries[1:], start=1):
        flipped = bytes([entry.signature[0] ^ 1]) + entry.signature[1:]
        for changed in (
            replace(entry, body=RunCompleted(99, b"\x00" * 32)),
            replace(entry, signature=flipped),
        ):
            with pytest.raises(LedgerError) as refused:
                verify_log([*entries[:place], changed, *entries[place + 1 :]], key.public)
            assert (refused.value.record, refused.value.rule) == (place, "signature")


def test_a_record_does_not_move_to_another_run(bodies: tuple[Body, ...], key: SigningKey) -> None:
    entry, _ = append(genesis(RunId("other")), bodies[0], key)
    with pytest.raises(LedgerError, match="signature"):
        verify_log([entry], key.public)


def test_a_record_does_not_move_behind_another_history(entries: list[Entry], key: SigningKey) -> None:
    other, _ = append(verify_log(entries[:1], key.public), RunCompleted(7, b"\x07" * 32), key)
    with pytest.raises(LedgerError) as refused:
        verify_log([entries[0], other, *entries[2:]], key.public)
    assert (refused.value.record, refused.value.rule) == (2, "signature")


def test_extend_agrees_with_append(bodies: tuple[Body, ...], key: SigningKey, run: RunId) -> None:
    log = genesis(run)
    for body in bodies:
        entry, following = append(log, body, key)
        assert extend(log, entry, key.public).head == following.head
        log = following


def test_a_body_that_could_not_be_read_back_is_never_signed(key: SigningKey, run: RunId) -> None:
    with pytest.raises(MisuseError, match="read back"):
        append(genesis(run), RunCompleted(1, b"too short"), key)
    with pytest.raises(MisuseError, match="read back"):
        append(genesis(run), RunCompleted(-1, b"\x00" * 32), key)


@pytest.mark.parametrize(
    "damage",
    [
        (b'"seq":1', b'"seq":"1"'),
        (b'"seq":1', b'"seq":-1'),
        (b'"signature":"', b'"signature":"00'),
        (b'"seq"', b'"seq2"'),
        (b'"kind":"round_opened"', b'"kind":"round_closed"'),
    ],
)
def test_entries_outside_the_schema_are_refused(entries: list[Entry], damage: tuple[bytes, bytes]) -> None:
    line = encode_entry(entries[1])
    assert damage[0] in line
    with pytest.raises(LedgerError) as refused:
        decode_entry(line.replace(*damage), 1)
    assert refused.value.record == 1
