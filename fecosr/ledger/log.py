"""The log: signed records, one a line, and the Merkle tree over their lines.

    leaf_i      = SHA-256(0x00 || line i)                    the line without its newline, see `crypto.merkle`
    signature_i = Ed25519(encode(LEDGER_RECORD, run, i, root of the leaves before i, canonical body i))

So the coordinator's signature of a record covers every byte of every line before it: one signature, the last,
vouches for a whole ledger, and the first that fails names the record that was changed, dropped or moved. What
this cannot show is that the end was cut off, or that the coordinator signed two histories: the heads that the
markets sign show that (`checkpoint.py`, `countersignature.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fecosr.crypto.labels import Label, encode
from fecosr.crypto.merkle import MerkleTree, leaf_hash
from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import CryptoError, LedgerError, MisuseError
from fecosr.ids import RunId
from fecosr.ledger.canonical import canonical_json, parse_canonical
from fecosr.ledger.records import Body, RunOpened, body_from_json, body_to_json
from fecosr.ledger.schema import SchemaError, Signature, from_json


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one record and its place in the log.

    Attributes:
        seq: position, from 0.
        body: what happened.
        signature: the coordinator's Ed25519 identity over this record and all lines before it, 64 bytes.
    """

    seq: int
    body: Body
    signature: bytes

    def leaf(self) -> bytes:
        """Return the hash of its line as a leaf of the tree, 32 bytes."""
        return leaf_hash(encode_entry(self))


@dataclass(frozen=True, slots=True)
class Head:
    """State a log by its number of records and the root of the tree over them."""

    run: RunId
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """Hold the tree over the first `size` lines of a run's ledger; a value, though the tree is shared.

    A log that grows hands its tree on; one that grows a second time, in another way, gets a copy of its own.
    """

    run: RunId
    size: int
    _tree: MerkleTree = field(repr=False)

    @property
    def head(self) -> Head:
        """Return the head of the whole log."""
        return self.head_at(self.size)

    def head_at(self, size: int) -> Head:
        """Return the head of the first `size` records.

        Raises:
            MisuseError: there are not so many.
        """
        self._require(size)
        return Head(self.run, size, self._tree.root(size))

    def inclusion_proof(self, seq: int) -> tuple[bytes, ...]:
        """Return the hashes that lead from the line of record `seq` to the root.

        Raises:
            MisuseError: there is no such record.
        """
        return self._tree.inclusion_proof(seq, self.size)

    def consistency_proof(self, earlier: int) -> tuple[bytes, ...]:
        """Return the hashes which show that this log continues its first `earlier` records; none from 0.

        Raises:
            MisuseError: there are not so many.
        """
        self._require(earlier)
        return self._tree.consistency_proof(earlier, self.size) if earlier else ()

    def with_line(self, line: bytes) -> "Log":
        """Return the log with one more line, whose signature the caller vouches for."""
        tree = self._tree if self._tree.size == self.size else self._tree.first(self.size)
        tree.append(leaf_hash(line))
        return Log(self.run, self.size + 1, tree)

    def _require(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise MisuseError(f"the log has {self.size} records, not {size}")


def genesis(run: RunId) -> Log:
    """Return the empty log of `run`."""
    return Log(run, 0, MerkleTree())


def append(log: Log, body: Body, key: SigningKey) -> tuple[Entry, Log]:
    """Return the signed entry that puts `body` at the end of `log`, and the log with it.

    The caller must store the entry before it acts upon the new log.

    Raises:
        MisuseError: the body holds a value that its schema refuses; such a record could never be read back.
    """
    _require_readable(log.size, body)
    entry = Entry(log.size, body, key.sign(_signed_bytes(log.head, body)))
    return entry, log.with_line(encode_entry(entry))


def extend(log: Log, entry: Entry, coordinator_public: bytes) -> Log:
    """Return the log with `entry`, having checked that it is the next and signed by the coordinator.

    Raises:
        LedgerError: rule "sequence" or "signature".
    """
    _require_next(log.size, entry)
    try:
        verify(coordinator_public, entry.signature, _signed_bytes(log.head, entry.body))
    except CryptoError:
        raise LedgerError(
            entry.seq, "signature", "the coordinator's identity did not sign it after the records before it"
        ) from None
    return log.with_line(encode_entry(entry))


def verify_log(
    entries: Sequence[Entry], coordinator_public: bytes, lines: Sequence[bytes] | None = None
) -> Log:
    """Return the log of a whole ledger, having checked it.

    The last signature vouches for all lines before it; where it does not, they are checked one by one.

    Args:
        entries: all records; the run is the one that the first opens, which the caller compares with its own.
        coordinator_public: who must have signed them.
        lines: the lines they were read from, if the caller has them, so that they need not be made again.

    Raises:
        LedgerError: names the first record that does not verify and the rule.
    """
    if not entries:
        raise LedgerError(0, "run_opened", "the ledger is empty")
    try:
        return _verify_last(entries, lines or [encode_entry(entry) for entry in entries], coordinator_public)
    except LedgerError:
        log = genesis(opened_run(entries[0]))
        for entry in entries:
            log = extend(log, entry, coordinator_public)
        return log


def _verify_last(entries: Sequence[Entry], lines: Sequence[bytes], coordinator_public: bytes) -> Log:
    log = genesis(opened_run(entries[0]))
    for entry, line in zip(entries[:-1], lines, strict=False):
        _require_next(log.size, entry)
        log = log.with_line(line)
    return extend(log, entries[-1], coordinator_public)


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
    body = body_to_json(entry.body)
    return canonical_json({"seq": entry.seq, "body": body, "signature": entry.signature.hex()})


def decode_entry(line: bytes, record: int) -> Entry:
    """Return the entry that stands in `line`; `record` is its position, for the error.

    Raises:
        LedgerError: the line is not canonical or does not fit the schema. No signature is checked here.
    """
    fields = parse_canonical(line, record)
    if fields.keys() != {"seq", "body", "signature"}:
        raise LedgerError(record, "schema", "an entry has exactly the keys body, seq and signature")
    try:
        seq: int = from_json(int, fields["seq"], "seq")
        signature: bytes = from_json(Signature, fields["signature"], "signature")
    except SchemaError as error:
        raise LedgerError(record, "schema", str(error)) from None
    return Entry(seq, body_from_json(fields["body"], record), signature)


def _require_next(size: int, entry: Entry) -> None:
    if entry.seq != size:
        raise LedgerError(size, "sequence", f"expected record {size} here, found {entry.seq}")


def _require_readable(seq: int, body: Body) -> None:
    try:
        readable = body_from_json(body_to_json(body), seq) == body
    except LedgerError as error:
        raise MisuseError(f"this record cannot be read back: {error.message}") from None
    if not readable:
        raise MisuseError("this record does not read back as itself")


def _signed_bytes(before: Head, body: Body) -> bytes:
    seq = before.size.to_bytes(8, "big")
    return encode(
        Label.LEDGER_RECORD, before.run.encode(), seq, before.root, canonical_json(body_to_json(body))
    )
