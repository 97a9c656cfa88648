import hashlib
import json
from dataclasses import replace
from itertools import pairwise

import pytest

from fecosr.crypto.signatures import SigningKey
from fecosr.errors import LedgerError, MisuseError
from fecosr.ids import RunId
from fecosr.ledger.log import (
    Entry,
    Head,
    append,
    decode_entry,
    encode_entry,
    extend,
    genesis,
    opened_run,
    verify_chain,
)
from fecosr.ledger.records import Body, RunAborted, RunCompleted


def test_a_whole_ledger_verifies_and_ends_at_its_head(
    entries: list[Entry], head: Head, key: SigningKey, run: RunId
) -> None:
    assert verify_chain(entries, key.public) == head
    assert (head.run, head.size) == (run, len(entries))
    assert opened_run(entries[0]) == run


def test_entries_read_back_as_themselves(entries: list[Entry]) -> None:
    for entry in entries:
        assert decode_entry(encode_entry(entry), entry.seq) == entry
        assert b"\n" not in encode_entry(entry)


def _with_length(piece: bytes) -> bytes:
    return len(piece).to_bytes(8, "big") + piece


def test_hashes_are_what_the_protocol_says(entries: list[Entry], run: RunId) -> None:
    label = _with_length(b"fecosr/v1/ledger-record")
    empty = hashlib.sha256(label + _with_length(b"genesis") + _with_length(run.encode()))
    assert genesis(run).hash == entries[0].previous == empty.digest()
    for entry, following in pairwise(entries):
        fields = json.loads(encode_entry(entry))
        del fields["signature"]
        text = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        assert following.previous == hashlib.sha256(label + _with_length(text)).digest()


def test_an_empty_ledger_does_not_verify(key: SigningKey) -> None:
    with pytest.raises(LedgerError) as refused:
        verify_chain([], key.public)
    assert refused.value.rule == "run_opened"


def test_a_ledger_that_opens_no_run_does_not_verify(key: SigningKey, run: RunId) -> None:
    entry, _ = append(genesis(run), RunAborted(0, "x"), key)
    with pytest.raises(LedgerError) as refused:
        verify_chain([entry], key.public)
    assert (refused.value.record, refused.value.rule) == (0, "run_opened")


def test_every_dropped_record_but_the_last_is_noticed(entries: list[Entry], key: SigningKey) -> None:
    for missing in range(len(entries) - 1):
        rest = [entry for entry in entries if entry.seq != missing]
        with pytest.raises(LedgerError) as refused:
            verify_chain(rest, key.public)
        assert refused.value.record == missing


def test_a_dropped_tail_is_not_noticed_by_the_chain_alone(entries: list[Entry], key: SigningKey) -> None:
    assert verify_chain(entries[:-1], key.public).size == len(entries) - 1


def test_reordered_and_repeated_records_are_noticed(entries: list[Entry], key: SigningKey) -> None:
    for place in range(1, len(entries) - 1):
        swapped = [*entries]
        swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
        doubled = [*entries[: place + 1], *entries[place:]]
        for tampered in (swapped, doubled):
            with pytest.raises(LedgerError, match="sequence"):
                verify_chain(tampered, key.public)


def test_a_renumbered_chain_is_noticed(entries: list[Entry], key: SigningKey) -> None:
    tampered = [entries[0], replace(entries[2], seq=1)]
    with pytest.raises(LedgerError, match="chain"):
        verify_chain(tampered, key.public)


def test_a_record_of_another_key_is_noticed(entries: list[Entry], key: SigningKey) -> None:
    forger = SigningKey(b"\x02" * 32)
    first = verify_chain(entries[:1], key.public)
    forged, _ = append(first, RunCompleted(0, b"\x00" * 32), forger)
    with pytest.raises(LedgerError) as refused:
        verify_chain([entries[0], forged], key.public)
    assert (refused.value.record, refused.value.rule) == (1, "signature")


def test_a_changed_body_under_an_old_signature_is_noticed(entries: list[Entry], key: SigningKey) -> None:
    last = entries[-1]
    changed = replace(last, body=RunCompleted(99, b"\x00" * 32))
    with pytest.raises(LedgerError, match="signature"):
        verify_chain([*entries[:-1], changed], key.public)


def test_a_record_does_not_move_to_another_run(bodies: tuple[Body, ...], key: SigningKey) -> None:
    entry, _ = append(genesis(RunId("other")), bodies[0], key)
    with pytest.raises(LedgerError, match="chain"):
        verify_chain([entry], key.public)


def test_extend_agrees_with_append(bodies: tuple[Body, ...], key: SigningKey, run: RunId) -> None:
    head = genesis(run)
    for body in bodies:
        entry, following = append(head, body, key)
        assert extend(head, entry, key.public) == following
        head = following


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
        (b'"previous":"', b'"previous":"00'),
        (b'"signature"', b'"signature2"'),
        (b'"kind":"round_opened"', b'"kind":"round_closed"'),
    ],
)
def test_entries_outside_the_schema_are_refused(entries: list[Entry], damage: tuple[bytes, bytes]) -> None:
    line = encode_entry(entries[1])
    assert damage[0] in line
    with pytest.raises(LedgerError) as refused:
        decode_entry(line.replace(*damage), 1)
    assert refused.value.record == 1
