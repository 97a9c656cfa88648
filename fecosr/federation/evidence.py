"""The evidence of a conviction as one canonical file, which the ledger names by its hash.

The classes here repeat those of `fecosr.secagg.evidence` field by field, with the size of every byte string:
they are the schema of the file, and whatever does not fit it is no evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fecosr.crypto.labels import sha256
from fecosr.crypto.shamir import SHARE_BYTES
from fecosr.errors import LedgerError, MisuseError
from fecosr.ids import NodeId
from fecosr.ledger.canonical import canonical_json, parse_canonical
from fecosr.ledger.schema import Digest, SchemaError, Signature, Size, from_json, to_json
from fecosr.secagg.dealing import Receipt
from fecosr.secagg.evidence import (
    ChangedShare,
    Complaint,
    Conviction,
    Disclosed,
    Fault,
    MisdealtShares,
    UnusableShares,
)
from fecosr.secagg.messages import DeliveredShares, SealedShares
from fecosr.secagg.shares import CIPHERTEXT_BYTES, Secret

SecretName = Literal["seed", "mask_key"]


@dataclass(frozen=True, slots=True)
class RecordedDelivery:
    """Repeat what was dealt to a holder, with what shows that the dealer signed it."""

    ciphertext: Annotated[bytes, Size(CIPHERTEXT_BYTES)]
    seed_share_commitment: Digest
    mask_key_share_commitment: Digest
    path: tuple[Digest, ...]
    signature: Signature


@dataclass(frozen=True, slots=True)
class RecordedReceipt:
    """Repeat what a holder signed about everything that was delivered to it."""

    leaves: Mapping[NodeId, Digest]
    digest: Digest
    unusable: tuple[NodeId, ...]
    signature: Signature


@dataclass(frozen=True, slots=True)
class RecordedReveal:
    """Repeat the commitment to one revealed share, and of which secret it is one."""

    secret: SecretName
    commitment: Digest


@dataclass(frozen=True, slots=True)
class RecordedShare:
    """Repeat one disclosed share of the culprit's secret, with the deal it is from."""

    share: Annotated[bytes, Size(SHARE_BYTES)]
    dealt: RecordedDelivery


@dataclass(frozen=True, slots=True)
class RecordedChangedShare:
    """Repeat `fecosr.secagg.evidence.ChangedShare`."""

    session: Digest
    culprit: NodeId
    owner: NodeId
    secret: SecretName
    dealt: RecordedDelivery
    receipt: RecordedReceipt | None
    revealed: Mapping[NodeId, RecordedReveal]
    signature: Signature


@dataclass(frozen=True, slots=True)
class RecordedMisdealtShares:
    """Repeat `fecosr.secagg.evidence.MisdealtShares`."""

    session: Digest
    culprit: NodeId
    secret: SecretName
    disclosed: Mapping[NodeId, RecordedShare]


@dataclass(frozen=True, slots=True)
class RecordedUnusableShares:
    """Repeat `fecosr.secagg.evidence.UnusableShares`."""

    session: Digest
    culprit: NodeId
    complaints: Mapping[NodeId, RecordedReceipt]


Recorded = RecordedChangedShare | RecordedMisdealtShares | RecordedUnusableShares

_KINDS: Final[Mapping[Fault, type[Recorded]]] = {
    Fault.CHANGED_SHARE: RecordedChangedShare,
    Fault.MISDEALT_SHARES: RecordedMisdealtShares,
    Fault.UNUSABLE_SHARES: RecordedUnusableShares,
}


def evidence_bytes(session: bytes, conviction: Conviction) -> bytes:
    """Return the content of the file that holds the evidence of a conviction in a session."""
    fields = to_json(_recorded(session, conviction))
    assert isinstance(fields, dict)  # noqa: S101 - a dataclass becomes an object
    return canonical_json({"fault": conviction.fault.value, **fields})


def evidence_hash(content: bytes) -> bytes:
    """Return the hash under which the ledger names a file of evidence."""
    return sha256(content)


def evidence_from(content: bytes) -> tuple[bytes, Conviction]:
    """Return the session and the conviction that a file of evidence is about; it still has to be verified.

    Raises:
        MisuseError: this is no file of evidence.
    """
    try:
        value = parse_canonical(content, 0)
        fault = Fault(str(value.pop("fault", "")))
        recorded: Any = from_json(_KINDS[fault], value, fault)
    except (LedgerError, SchemaError, ValueError) as error:
        raise MisuseError(f"this is no evidence: {error}") from None
    return recorded.session, _conviction(recorded)


def _recorded(session: bytes, conviction: Conviction) -> Recorded:
    match conviction:
        case ChangedShare():
            receipt = conviction.receipt
            return RecordedChangedShare(
                session=session,
                culprit=conviction.culprit,
                owner=conviction.owner,
                secret=conviction.secret.value,
                dealt=_recorded_delivery(conviction.dealt),
                receipt=None if receipt is None else _recorded_receipt(conviction.leaves, receipt),
                revealed={
                    owner: RecordedReveal(secret.value, commitment)
                    for owner, (secret, commitment) in conviction.revealed.items()
                },
                signature=conviction.signature,
            )
        case MisdealtShares():
            shares = {
                holder: RecordedShare(disclosed.share, _recorded_delivery(disclosed.dealt))
                for holder, disclosed in conviction.disclosed.items()
            }
            return RecordedMisdealtShares(session, conviction.culprit, conviction.secret.value, shares)
        case UnusableShares():
            complaints = {
                holder: _recorded_receipt(complaint.leaves, complaint.receipt)
                for holder, complaint in conviction.complaints.items()
            }
            return RecordedUnusableShares(session, conviction.culprit, complaints)


def _recorded_delivery(dealt: DeliveredShares) -> RecordedDelivery:
    sealed = dealt.sealed
    return RecordedDelivery(
        sealed.ciphertext,
        sealed.seed_share_commitment,
        sealed.mask_key_share_commitment,
        dealt.path,
        dealt.signature,
    )


def _recorded_receipt(leaves: Mapping[NodeId, bytes], receipt: Receipt) -> RecordedReceipt:
    return RecordedReceipt(leaves, receipt.digest, receipt.unusable, receipt.signature)


def _conviction(recorded: Recorded) -> Conviction:
    match recorded:
        case RecordedChangedShare(receipt=signed):
            return ChangedShare(
                culprit=recorded.culprit,
                owner=recorded.owner,
                secret=Secret(recorded.secret),
                dealt=_delivery(recorded.dealt),
                leaves=signed.leaves if signed else {},
                receipt=_receipt(signed) if signed else None,
                revealed={
                    owner: (Secret(it.secret), it.commitment) for owner, it in recorded.revealed.items()
                },
                signature=recorded.signature,
            )
        case RecordedMisdealtShares():
            disclosed = {
                holder: Disclosed(it.share, _delivery(it.dealt)) for holder, it in recorded.disclosed.items()
            }
            return MisdealtShares(recorded.culprit, Secret(recorded.secret), disclosed)
        case RecordedUnusableShares():
            complaints = {
                holder: Complaint(it.leaves, _receipt(it)) for holder, it in recorded.complaints.items()
            }
            return UnusableShares(recorded.culprit, complaints)


def _delivery(recorded: RecordedDelivery) -> DeliveredShares:
    sealed = SealedShares(
        recorded.ciphertext, recorded.seed_share_commitment, recorded.mask_key_share_commitment
    )
    return DeliveredShares(sealed, recorded.path, recorded.signature)


def _receipt(recorded: RecordedReceipt) -> Receipt:
    return Receipt(recorded.digest, recorded.unusable, recorded.signature)
