"""Signed heads of the coordinator's ledger, and the proof that each continues the one shown before.

A market that was shown one head accepts another only as `Growth`: with a consistency proof from the head it
signed last. So whatever it has signed is one history, and a coordinator that has told two cannot go on.
"""

from dataclasses import dataclass

from fecosr.crypto.labels import Label, encode
from fecosr.crypto.merkle import EMPTY_ROOT, TreeHead, verify_consistency, verify_inclusion
from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import CryptoError, LedgerError
from fecosr.ids import RunId
from fecosr.ledger.log import Entry, Head, Log
from fecosr.ledger.schema import Digest, Signature


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State the coordinator's ledger at one size, signed.

    Attributes:
        run: the run whose ledger this is.
        size: number of records.
        root: of the Merkle tree over their lines, 32 bytes.
        signature: the coordinator's Ed25519 identity over all of the above, 64 bytes.
    """

    run: RunId
    size: int
    root: Digest
    signature: Signature

    @property
    def head(self) -> Head:
        """Return what is stated."""
        return Head(self.run, self.size, self.root)


@dataclass(frozen=True, slots=True)
class Growth:
    """Show a head, and that it continues an earlier one.

    Attributes:
        checkpoint: the head, signed.
        earlier: size of the head that the proof starts from; 0 where none was shown before.
        proof: the hashes of RFC 6962; none from 0, and none where nothing has been added.
    """

    checkpoint: Checkpoint
    earlier: int
    proof: tuple[bytes, ...]


def sign_checkpoint(head: Head, key: SigningKey) -> Checkpoint:
    """Return the coordinator's statement of `head`, whose entries it has already stored."""
    return Checkpoint(head.run, head.size, head.root, key.sign(_signed_bytes(head)))


def verify_checkpoint(checkpoint: Checkpoint, coordinator_public: bytes) -> None:
    """Check that the coordinator made this statement.

    Raises:
        LedgerError: rule "checkpoint"; the record is the last one the statement covers.
    """
    try:
        verify(coordinator_public, checkpoint.signature, _signed_bytes(checkpoint.head))
    except CryptoError:
        raise LedgerError(
            _last(checkpoint), "checkpoint", "not signed by the coordinator's identity"
        ) from None


def growth(log: Log, earlier: int, key: SigningKey) -> Growth:
    """Return the head of `log`, signed, for somebody who was shown its first `earlier` records before.

    Raises:
        MisuseError: the log never had so many records.
    """
    proof = () if earlier == log.size else log.consistency_proof(earlier)
    return Growth(sign_checkpoint(log.head, key), earlier, proof)


def check_growth(shown: Growth, kept: Checkpoint | None) -> None:
    """Check that what is shown continues `kept`, the head kept last; None: there is none yet.

    Raises:
        LedgerError: rule "checkpoint" for another run, an older head or a proof from elsewhere; rule "fork"
            where the coordinator signed two heads and cannot show that the later continues the earlier.
    """
    checkpoint, last = shown.checkpoint, _last(shown.checkpoint)
    earlier = TreeHead(0, EMPTY_ROOT) if kept is None else TreeHead(kept.size, kept.root)
    if kept is not None and checkpoint.run != kept.run:
        raise LedgerError(last, "checkpoint", f"of run {checkpoint.run}, not of {kept.run}")
    if checkpoint.size < earlier.size:
        message = f"the ledger shrank from {earlier.size} to {checkpoint.size} records"
        raise LedgerError(last, "checkpoint", message)
    if checkpoint.size > earlier.size and shown.earlier != earlier.size:
        message = f"the proof starts from {shown.earlier} records, but {earlier.size} were shown last"
        raise LedgerError(last, "checkpoint", message)
    proof = shown.proof if checkpoint.size > earlier.size else ()
    try:
        verify_consistency(earlier, proof, TreeHead(checkpoint.size, checkpoint.root))
    except CryptoError:
        message = (
            f"the coordinator shows a second history: its {checkpoint.size} records do not continue the "
            f"{earlier.size} that it showed before"
        )
        raise LedgerError(earlier.size, "fork", message) from None


def verify_recorded(entry: Entry, proof: tuple[bytes, ...], checkpoint: Checkpoint) -> None:
    """Check that `entry` is in the ledger whose head `checkpoint` states.

    Raises:
        LedgerError: rule "inclusion".
    """
    head = TreeHead(checkpoint.size, checkpoint.root)
    try:
        verify_inclusion(entry.leaf(), entry.seq, proof, head)
    except CryptoError:
        raise LedgerError(entry.seq, "inclusion", "the ledger does not have this record") from None


def _last(checkpoint: Checkpoint) -> int:
    return max(checkpoint.size - 1, 0)


def _signed_bytes(head: Head) -> bytes:
    return encode(Label.CHECKPOINT, head.run.encode(), head.size.to_bytes(8, "big"), head.root)
