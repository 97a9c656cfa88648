"""Signed statements of how long a ledger is and how it ends; nodes keep them to notice rewritten history."""

from dataclasses import dataclass

from fecosr.crypto.labels import Label, encode
from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import CryptoError, LedgerError
from fecosr.ids import RunId
from fecosr.ledger.canonical import canonical_json, parse_canonical
from fecosr.ledger.log import Head
from fecosr.ledger.schema import Digest, SchemaError, Signature, from_json, to_json


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State the coordinator's ledger at one size, signed.

    Attributes:
        run: the run whose ledger this is.
        size: number of records.
        head: hash of the last record, 32 bytes.
        signature: the coordinator's Ed25519 identity over all of the above, 64 bytes.
    """

    run: RunId
    size: int
    head: Digest
    signature: Signature

    def signed_bytes(self) -> bytes:
        """Return the bytes the coordinator signs."""
        return _signed_bytes(self.run, self.size, self.head)


def sign_checkpoint(head: Head, key: SigningKey) -> Checkpoint:
    """Return the coordinator's statement of `head`, whose entries it has already stored."""
    return Checkpoint(head.run, head.size, head.hash, key.sign(_signed_bytes(head.run, head.size, head.hash)))


def verify_checkpoint(checkpoint: Checkpoint, coordinator_public: bytes) -> None:
    """Check that the coordinator made this statement.

    Raises:
        LedgerError: rule "checkpoint"; the record is the last one the statement covers.
    """
    try:
        verify(coordinator_public, checkpoint.signature, checkpoint.signed_bytes())
    except CryptoError:
        last = max(checkpoint.size - 1, 0)
        raise LedgerError(last, "checkpoint", "not signed by the coordinator's identity") from None


def check_follows(checkpoint: Checkpoint, earlier: Checkpoint) -> None:
    """Check that `checkpoint` can come after `earlier` in one append-only ledger.

    Raises:
        LedgerError: another run, a ledger that shrank, or a second head at the same size.
    """
    last = max(checkpoint.size - 1, 0)
    if checkpoint.run != earlier.run:
        raise LedgerError(last, "checkpoint", f"of run {checkpoint.run}, not of {earlier.run}")
    if checkpoint.size < earlier.size:
        raise LedgerError(last, "checkpoint", f"the ledger shrank from {earlier.size} to {checkpoint.size}")
    if checkpoint.size == earlier.size and checkpoint.head != earlier.head:
        raise LedgerError(last, "checkpoint", f"a second history of {earlier.size} records")


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return `checkpoint` as one canonical line, without the newline."""
    return canonical_json(to_json(checkpoint))


def decode_checkpoint(line: bytes) -> Checkpoint:
    """Return the checkpoint that stands in `line`; its signature is not checked.

    Raises:
        LedgerError: the line is not canonical or does not fit.
    """
    fields = parse_canonical(line, 0)
    try:
        checkpoint: Checkpoint = from_json(Checkpoint, fields, "checkpoint")
    except SchemaError as error:
        raise LedgerError(0, "schema", str(error)) from None
    return checkpoint


def _signed_bytes(run: RunId, size: int, head: bytes) -> bytes:
    return encode(Label.CHECKPOINT, run.encode(), size.to_bytes(8, "big"), head)
