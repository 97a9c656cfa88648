"""What the markets say of the heads they were shown: each signs every head that continues the last.

A market never signs two heads of which the later does not continue the earlier. So its latest signature
vouches for the whole history before it, and two that contradict each other convict the market.
"""

from dataclasses import dataclass
from typing import TypeVar

from fecosr.crypto.labels import Label, encode
from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import CryptoError, LedgerError
from fecosr.ids import NodeId, RunId
from fecosr.ledger.canonical import canonical_json, parse_canonical
from fecosr.ledger.checkpoint import Checkpoint
from fecosr.ledger.log import Head
from fecosr.ledger.schema import Digest, SchemaError, Signature, from_json, to_json

_Line = TypeVar("_Line")


@dataclass(frozen=True, slots=True)
class Countersignature:
    """State that a market was shown a head which continues all heads it signed before.

    Attributes:
        market: who states it.
        run: of the ledger.
        size: number of its records.
        root: of the tree over their lines, 32 bytes.
        signature: the market's Ed25519 identity over all of the above, 64 bytes.
    """

    market: NodeId
    run: RunId
    size: int
    root: Digest
    signature: Signature

    @property
    def head(self) -> Head:
        """Return the head that is signed."""
        return Head(self.run, self.size, self.root)


@dataclass(frozen=True, slots=True)
class KeptHead:
    """Hold a head as a market keeps it: with the coordinator's signature and with its own.

    Attributes:
        checkpoint: as the coordinator signed it.
        countersignature: the market's own signature of the same head, 64 bytes.
    """

    checkpoint: Checkpoint
    countersignature: Signature

    def statement_of(self, market: NodeId) -> Countersignature:
        """Return the countersignature as a statement that stands by itself."""
        head = self.checkpoint.head
        return Countersignature(market, head.run, head.size, head.root, self.countersignature)


def countersign(checkpoint: Checkpoint, market: NodeId, key: SigningKey) -> KeptHead:
    """Return the head as `market` keeps it; it must be stored before the countersignature is sent."""
    return KeptHead(checkpoint, key.sign(_signed_bytes(market, checkpoint.head)))


def verify_countersignature(statement: Countersignature, identity: bytes) -> None:
    """Check that the market made this statement.

    Raises:
        LedgerError: rule "countersignature"; the record is the last one the statement covers.
    """
    try:
        verify(identity, statement.signature, _signed_bytes(statement.market, statement.head))
    except CryptoError:
        last = max(statement.size - 1, 0)
        raise LedgerError(
            last, "countersignature", f"not signed by the identity of {statement.market}"
        ) from None


def encode_kept(kept: KeptHead) -> bytes:
    """Return a kept head as one canonical line, without the newline."""
    return canonical_json(to_json(kept))


def decode_kept(line: bytes) -> KeptHead:
    """Return the kept head that stands in `line`; no signature is checked.

    Raises:
        LedgerError: the line is not canonical or does not fit.
    """
    return _decode(KeptHead, line)


def encode_countersignature(statement: Countersignature) -> bytes:
    """Return a countersignature as one canonical line, without the newline."""
    return canonical_json(to_json(statement))


def decode_countersignature(line: bytes) -> Countersignature:
    """Return the countersignature that stands in `line`; it is not checked.

    Raises:
        LedgerError: the line is not canonical or does not fit.
    """
    return _decode(Countersignature, line)


def _decode(kind: type[_Line], line: bytes) -> _Line:
    fields = parse_canonical(line, 0)
    try:
        value: _Line = from_json(kind, fields, kind.__name__.lower())
    except SchemaError as error:
        raise LedgerError(0, "schema", str(error)) from None
    return value


def _signed_bytes(market: NodeId, head: Head) -> bytes:
    size = head.size.to_bytes(8, "big")
    return encode(Label.COUNTERSIGNATURE, market.encode(), head.run.encode(), size, head.root)
