"""Convict whoever dealt or revealed wrong shares, by evidence that needs no trust in the server.

A check needs the cohort, which the ledger records, and the pinned identities. Evidence against a holder holds
no share, and neither do complaints. Evidence that shares do not fit holds shares of the one secret of their
dealer's that they fail to open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fecosr.crypto.key_agreement import PrivateKey
from fecosr.crypto.shamir import combine, interpolate, lagrange_weights
from fecosr.crypto.signatures import verify
from fecosr.errors import CryptoError
from fecosr.ids import NodeId
from fecosr.secagg.cohort import Cohort
from fecosr.secagg.dealing import (
    Deal,
    Receipt,
    RevealedCommitments,
    committed,
    delivered_leaves,
    receipt_hash,
    revealed_statement,
    share_commitment,
    verified_leaf,
)
from fecosr.secagg.messages import DeliveredShares, KeyAdvert
from fecosr.secagg.shares import Route, Secret
from fecosr.secagg.statements import masked_input_statement, seed_commitment


class Fault(StrEnum):
    """Name what somebody was convicted of."""

    CHANGED_SHARE = "changed_share"
    MISDEALT_SHARES = "misdealt_shares"
    UNUSABLE_SHARES = "unusable_shares"


@dataclass(frozen=True, slots=True)
class ChangedShare:
    """Show that a holder revealed another share than the one it had signed a receipt for.

    Attributes:
        culprit: the holder.
        owner: whose secret it was a share of.
        secret: which one.
        dealt: what the owner had dealt to the holder.
        leaves: everything that was delivered to the holder, by dealer; not needed against the owner itself.
        receipt: what the holder signed about it; None: the holder is the owner.
        revealed: commitments to everything it revealed.
        signature: the holder's, over `revealed`.
    """

    culprit: NodeId
    owner: NodeId
    secret: Secret
    dealt: DeliveredShares
    leaves: Mapping[NodeId, bytes]
    receipt: Receipt | None
    revealed: RevealedCommitments
    signature: bytes

    fault = Fault.CHANGED_SHARE


@dataclass(frozen=True, slots=True)
class Disclosed:
    """Hold one revealed share with what the dealer had signed about it."""

    share: bytes = field(repr=False)
    dealt: DeliveredShares


@dataclass(frozen=True, slots=True)
class MisdealtShares:
    """Show that shares are those their dealer committed to and do not open what it advertised.

    Attributes:
        culprit: the dealer.
        secret: which of its secrets.
        disclosed: by holder; at least as many as the threshold asks for.
    """

    culprit: NodeId
    secret: Secret
    disclosed: Mapping[NodeId, Disclosed]

    fault = Fault.MISDEALT_SHARES


@dataclass(frozen=True, slots=True)
class Complaint:
    """Hold what a holder signed when it called a dealer's shares unusable.

    Attributes:
        leaves: everything that was delivered to the holder, by dealer.
        receipt: what it signed about that.
    """

    leaves: Mapping[NodeId, bytes]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class UnusableShares:
    """Show that more holders complain of a dealer than are assumed to lie, so that one of them is honest.

    Attributes:
        culprit: the dealer.
        complaints: by holder.
    """

    culprit: NodeId
    complaints: Mapping[NodeId, Complaint]

    fault = Fault.UNUSABLE_SHARES


Conviction = ChangedShare | MisdealtShares | UnusableShares


def complained_of(
    cohort: Cohort, deals: Mapping[NodeId, Deal], receipts: Mapping[NodeId, Receipt]
) -> tuple[UnusableShares, ...]:
    """Return evidence against every dealer of whom more holders complain than may collude.

    Args:
        cohort: the session.
        deals: what each client dealt, as far as it was delivered.
        receipts: what each holder signed about what it was dealt.
    """
    convictions = []
    for dealer in sorted({name for receipt in receipts.values() for name in receipt.unusable}):
        holders = [holder for holder, receipt in sorted(receipts.items()) if dealer in receipt.unusable]
        if len(holders) > cohort.parameters.max_colluding:
            complaints = {it: Complaint(delivered_leaves(deals, it), receipts[it]) for it in holders}
            convictions.append(UnusableShares(dealer, complaints))
    return tuple(convictions)


def verify_conviction(cohort: Cohort, roster: Mapping[NodeId, bytes], conviction: Conviction) -> None:
    """Check that the evidence convicts the culprit.

    Args:
        cohort: the session, formed from its signed adverts.
        roster: the pinned identities.
        conviction: the evidence.

    Raises:
        CryptoError: it does not; whoever brought it forward has nothing against the culprit.
    """
    if conviction.culprit not in cohort.adverts:
        raise CryptoError("the culprit took no part in the session")
    match conviction:
        case ChangedShare():
            _verify_changed(cohort, roster, conviction)
        case MisdealtShares():
            _verify_misdealt(cohort, roster, conviction)
        case UnusableShares():
            _verify_complaints(cohort, roster, conviction)


def _verify_changed(cohort: Cohort, roster: Mapping[NodeId, bytes], claim: ChangedShare) -> None:
    holder, owner, identity = claim.culprit, claim.owner, roster[claim.culprit]
    if owner not in cohort.adverts:
        raise CryptoError("the owner took no part in the session")
    leaf = verified_leaf(cohort, owner, roster[owner], holder, claim.dealt)
    if holder != owner:
        _verify_accepted(cohort, identity, claim, leaf)
    verify(identity, claim.signature, revealed_statement(cohort.session, holder, claim.revealed))
    secret, commitment = claim.revealed.get(owner, (None, b""))
    if secret is not claim.secret or commitment == committed(claim.dealt.sealed, claim.secret):
        raise CryptoError("the holder revealed what it had accepted")


def _verify_accepted(cohort: Cohort, identity: bytes, claim: ChangedShare, leaf: bytes) -> None:
    receipt = claim.receipt
    if receipt is None or claim.leaves.get(claim.owner) != leaf or claim.owner in receipt.unusable:
        raise CryptoError("the holder never accepted these shares")
    _verify_receipt(cohort, claim.culprit, identity, claim.leaves, receipt)


def _verify_receipt(
    cohort: Cohort, holder: NodeId, identity: bytes, leaves: Mapping[NodeId, bytes], receipt: Receipt
) -> None:
    said = receipt_hash(cohort.session, holder, leaves, receipt.unusable)
    verify(identity, receipt.signature, masked_input_statement(cohort.session, holder, receipt.digest, said))


def _verify_complaints(cohort: Cohort, roster: Mapping[NodeId, bytes], claim: UnusableShares) -> None:
    dealer = claim.culprit
    for holder, complaint in claim.complaints.items():
        if holder == dealer or holder not in cohort.graph.holders(dealer):
            raise CryptoError("somebody complains who holds no shares of the dealer's")
        if dealer not in complaint.leaves or dealer not in complaint.receipt.unusable:
            raise CryptoError("a receipt does not complain of the dealer")
        _verify_receipt(cohort, holder, roster[holder], complaint.leaves, complaint.receipt)
    if len(claim.complaints) <= cohort.parameters.max_colluding:
        raise CryptoError("as many as complain may all be lying")


def _verify_misdealt(cohort: Cohort, roster: Mapping[NodeId, bytes], claim: MisdealtShares) -> None:
    dealer = claim.culprit
    for holder, disclosed in claim.disclosed.items():
        verified_leaf(cohort, dealer, roster[dealer], holder, disclosed.dealt)
        route = Route(cohort.session, dealer, holder)
        commitment = share_commitment(route, claim.secret, disclosed.share)
        if commitment != committed(disclosed.dealt.sealed, claim.secret):
            raise CryptoError("a share is not the one the dealer committed to")
    shares = {holder: disclosed.share for holder, disclosed in claim.disclosed.items()}
    if len(shares) < cohort.graph.threshold:
        raise CryptoError("fewer shares than open a secret prove nothing about it")
    if fit_together(cohort, dealer, claim.secret, shares):
        raise CryptoError("the dealer dealt what it should")


def fit_together(cohort: Cohort, owner: NodeId, secret: Secret, shares: Mapping[NodeId, bytes]) -> bool:
    """Return whether at least `threshold` shares lie on one polynomial that opens the secret."""
    positions = cohort.graph.positions(owner)
    holders = sorted(shares)
    quorum, others = holders[: cohort.graph.threshold], holders[cohort.graph.threshold :]
    points, agreed = [positions[it] for it in quorum], [shares[it] for it in quorum]
    try:
        opened = combine(lagrange_weights(points), agreed)
        check_opened(cohort.parameters.context, cohort.adverts[owner], secret, opened)
        return all(
            interpolate(lagrange_weights(points, positions[it]), agreed) == shares[it] for it in others
        )
    except CryptoError:
        return False


def check_opened(context: bytes, advert: KeyAdvert, secret: Secret, opened: bytes) -> None:
    """Check that what shares open is the secret that its owner advertised.

    Raises:
        CryptoError: it is not.
    """
    if secret is Secret.SEED:
        if seed_commitment(context, advert.client, opened) != advert.seed_commitment:
            raise CryptoError("the seed is not the one committed to")
    elif PrivateKey(opened).public != advert.mask_public:
        raise CryptoError("the mask key is not the one advertised")
