"""The signed hash chain: every entry names the hash of the one before, and the coordinator signs each.

    hash_i = SHA-256(encode(LEDGER_RECORD, canonical(entry_i without its signature)))

A chain shows that nothing inside it was changed, dropped or reordered. It cannot show that its end was
cut off, or that the coordinator signed two histories: the checkpoints that nodes keep show that.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fecosr.crypto.labels import Label, encode, sha256
from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import CryptoError, LedgerError, MisuseError
from fecosr.ids import RunId
from fecosr.ledger.canonical import canonical_json, parse_canonical
from fecosr.ledger.records import Body, RunOpened, body_from_json, body_to_json
from fecosr.ledger.schema import Digest, SchemaError, Signature, from_json


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one record and its place in the chain.

    Attributes:
        seq: position, from 0.
        previous: hash of the entry before, or of the run's genesis, 32 bytes.
        body: what happened.
        signature: the coordinator's Ed25519 identity over `signed_bytes()`, 64 bytes.
    """

    seq: int
    previous: bytes
    body: Body
    signature: bytes

    def signed_bytes(self) -> bytes:
        """Return the bytes that are hashed and signed."""
        return _signed_bytes(self.seq, self.previous, self.body)

    def hash(self) -> bytes:
        """Return the 32 bytes by which the next entry names this one."""
        return sha256(self.signed_bytes())


@dataclass(frozen=True, slots=True)
class Head:
    """State the end of a ledger: how many entries it has and the hash of the last one."""

    run: RunId
    size: int
    hash: bytes


def genesis(run: RunId) -> Head:
    """Return the head of the empty ledger of `run`, so that no entry can move to another run's ledger."""
    return Head(run, 0, sha256(encode(Label.LEDGER_RECORD, b"genesis", run.encode())))


def append(head: Head, body: Body, key: SigningKey) -> tuple[Entry, Head]:
    """Return the signed entry that puts `body` after `head`, and the new head.

    The caller must store the entry before it acts upon the new head.

    Raises:
        MisuseError: the body holds a value that its schema refuses; such a record could never be read back.
    """
    _require_readable(head.size, body)
    message = _signed_bytes(head.size, head.hash, body)
    entry = Entry(head.size, head.hash, body, key.sign(message))
    return entry, Head(head.run, head.size + 1, sha256(message))


def extend(head: Head, entry: Entry, coordinator_public: bytes) -> Head:
    """Return the head after `entry`, having checked that it follows `head` and is signed by the coordinator.

    Raises:
        LedgerError: rule "sequence", "chain" or "signature".
    """
    if entry.seq != head.size:
        raise LedgerError(head.size, "sequence", f"expected record {head.size} here, found {entry.seq}")
    if entry.previous != head.hash:
        raise LedgerError(entry.seq, "chain", "names another hash than that of the record before it")
    message = entry.signed_bytes()
    try:
        verify(coordinator_public, entry.signature, message)
    except CryptoError:
        raise LedgerError(entry.seq, "signature", "not signed by the coordinator's identity") from None
    return Head(head.run, entry.seq + 1, sha256(message))


def verify_chain(entries: Iterable[Entry], coordinator_public: bytes) -> Head:
    """Return the head of a whole ledger, having checked every entry.

    The run is the one that the first record opens; the caller compares it with the run it asked for.

    Raises:
        LedgerError: names the first record that does not verify and the rule.
    """
    head: Head | None = None
    for entry in entries:
        if head is None:
            head = genesis(opened_run(entry))
        head = extend(head, entry, coordinator_public)
    if head is None:
        raise LedgerError(0, "run_opened", "the ledger is empty")
    return head


def opened_run(first: Entry) -> RunId:
    """Return the run that the first entry of a ledger opens.

    Raises:
        LedgerError: the first entry opens no run.
    """
    if not isinstance(first.body, RunOpened):
        raise LedgerError(0, "run_opened", "the first record does not open a run")
    return first.body.run


def encode_entry(entry: Entry) -> bytes:
    """Return `entry` as one canonical line, without the newline."""
    fields = _unsigned(entry.seq, entry.previous, entry.body)
    return canonical_json({**fields, "signature": entry.signature.hex()})


def decode_entry(line: bytes, record: int) -> Entry:
    """Return the entry that stands in `line`; `record` is its position, for the error.

    Raises:
        LedgerError: the line is not canonical or does not fit the schema. The chain is not checked here.
    """
    fields = parse_canonical(line, record)
    if fields.keys() != {"seq", "previous", "body", "signature"}:
        raise LedgerError(record, "schema", "an entry has exactly the keys body, previous, seq and signature")
    try:
        seq: int = from_json(int, fields["seq"], "seq")
        previous: bytes = from_json(Digest, fields["previous"], "previous")
        signature: bytes = from_json(Signature, fields["signature"], "signature")
    except SchemaError as error:
        raise LedgerError(record, "schema", str(error)) from None
    return Entry(seq, previous, body_from_json(fields["body"], record), signature)


def _require_readable(seq: int, body: Body) -> None:
    try:
        readable = body_from_json(body_to_json(body), seq) == body
    except LedgerError as error:
        raise MisuseError(f"this record cannot be read back: {error.message}") from None
    if not readable:
        raise MisuseError("this record does not read back as itself")


def _unsigned(seq: int, previous: bytes, body: Body) -> dict[str, object]:
    return {"seq": seq, "previous": previous.hex(), "body": body_to_json(body)}


def _signed_bytes(seq: int, previous: bytes, body: Body) -> bytes:
    return encode(Label.LEDGER_RECORD, canonical_json(_unsigned(seq, previous, body)))
