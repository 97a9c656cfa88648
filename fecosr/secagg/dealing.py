"""Dealing shares so that nobody can deny what was dealt, received or revealed.

A dealer commits to every share it seals and signs one Merkle root over all of them. A holder signs a receipt
that names the commitments it accepts, and whose shares are unusable. So a revealed share that is not the one
accepted convicts its holder, and shares that are those committed to but do not fit together convict their
dealer (`fecosr.secagg.evidence`). A complaint alone convicts nobody.

The commitments hide: as long as fewer than `threshold` shares of a secret are known, every other one is
uniform among 2^256 values or more, so that its bare hash says nothing to anybody who cannot try them all.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from fecosr.crypto.key_agreement import PrivateKey
from fecosr.crypto.labels import HASH_BYTES, Label, encode, sha256
from fecosr.crypto.merkle import MerkleTree, leaf_hash, root_through
from fecosr.crypto.shamir import is_share
from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import CryptoError
from fecosr.ids import NodeId
from fecosr.secagg.cohort import Cohort
from fecosr.secagg.messages import DeliveredShares, EncryptedShares, SealedShares, UnmaskShares
from fecosr.secagg.shares import CIPHERTEXT_BYTES, Route, Secret, SharePair, open_pair, seal_pair


@dataclass(frozen=True, slots=True)
class Receipt:
    """Say what a holder signed about the shares delivered to it, as it handed in its vector.

    Attributes:
        digest: SHA-256 of the vector.
        unusable: the dealers it complains of, sorted.
        signature: see `masked_input_statement`.
    """

    digest: bytes
    unusable: tuple[NodeId, ...]
    signature: bytes = field(compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class Deal:
    """Hold a deal whose signature verified.

    Attributes:
        message: the deal as it came.
        leaves: the hash of what each holder was dealt.
        tree: the tree over them, in the order of the holders.
    """

    message: EncryptedShares
    leaves: Mapping[NodeId, bytes]
    tree: MerkleTree

    def delivered_to(self, holder: NodeId) -> DeliveredShares:
        """Return what one holder was dealt, with what shows that the dealer signed it."""
        place = list(self.leaves).index(holder)
        return DeliveredShares(
            self.message.sealed[holder], self.tree.inclusion_proof(place), self.message.signature
        )


def share_commitment(route: Route, secret: Secret, share: bytes) -> bytes:
    """Return the commitment to a share that `route.source` deals to `route.destination`."""
    source, destination = route.source.encode(), route.destination.encode()
    return sha256(encode(Label.SHARE_COMMITMENT, route.session, source, destination, secret.encode(), share))


def committed(sealed: SealedShares, secret: Secret) -> bytes:
    """Return the commitment to one of the two shares."""
    return sealed.seed_share_commitment if secret is Secret.SEED else sealed.mask_key_share_commitment


def seal_and_commit(pair: SharePair, key: PrivateKey, public: bytes, route: Route) -> SealedShares:
    """Return a pair of shares sealed with the dealer's `key` to the holder's `public`, and committed to.

    Raises:
        CryptoError: the holder's public key is unusable.
    """
    return SealedShares(
        seal_pair(pair, key, public, route),
        share_commitment(route, Secret.SEED, pair.seed_share),
        share_commitment(route, Secret.MASK_KEY, pair.mask_key_share),
    )


def open_and_check(sealed: SealedShares, key: PrivateKey, public: bytes, route: Route) -> SharePair:
    """Return the pair, opened with the holder's `key` and found to be what the dealer committed to.

    Raises:
        CryptoError: it does not open, or holds something else.
    """
    pair = open_pair(sealed.ciphertext, key, public, route)
    for secret, share in ((Secret.SEED, pair.seed_share), (Secret.MASK_KEY, pair.mask_key_share)):
        if not is_share(share) or share_commitment(route, secret, share) != committed(sealed, secret):
            raise CryptoError("a share is not the one committed to")
    return pair


def dealt_leaf(route: Route, sealed: SealedShares) -> bytes:
    """Return the hash that stands for what was dealt to one holder; it changes with every byte of it."""
    return leaf_hash(
        encode(
            Label.DEALT_SHARES,
            route.session,
            route.source.encode(),
            route.destination.encode(),
            sha256(sealed.ciphertext),
            sealed.seed_share_commitment,
            sealed.mask_key_share_commitment,
        )
    )


def deal_statement(session: bytes, dealer: NodeId, size: int, root: bytes) -> bytes:
    """Return what a dealer signs: the Merkle root over all it deals, to so many holders."""
    return encode(Label.DEAL, session, dealer.encode(), size.to_bytes(4, "big"), root)


def signed_deal(
    session: bytes, dealer: NodeId, identity: SigningKey, sealed: Mapping[NodeId, SealedShares]
) -> EncryptedShares:
    """Return the deal, signed; `sealed` is in the order of the holders."""
    _, tree = _grown(session, dealer, sealed)
    return EncryptedShares(sealed, identity.sign(deal_statement(session, dealer, tree.size, tree.root())))


def is_whole(message: EncryptedShares) -> bool:
    """Return whether every part of a deal has its size."""
    return all(
        len(sealed.ciphertext) == CIPHERTEXT_BYTES
        and len(sealed.seed_share_commitment) == HASH_BYTES
        and len(sealed.mask_key_share_commitment) == HASH_BYTES
        for sealed in message.sealed.values()
    )


def verified_deal(cohort: Cohort, dealer: NodeId, identity: bytes, message: EncryptedShares) -> Deal:
    """Return a deal that its dealer, whose pinned `identity` is given, signed.

    Raises:
        CryptoError: the dealer did not sign this.
    """
    ordered = {holder: message.sealed[holder] for holder in cohort.graph.holders(dealer)}
    leaves, tree = _grown(cohort.session, dealer, ordered)
    verify(identity, message.signature, deal_statement(cohort.session, dealer, tree.size, tree.root()))
    return Deal(message, leaves, tree)


def verified_leaf(
    cohort: Cohort, dealer: NodeId, identity: bytes, holder: NodeId, delivered: DeliveredShares
) -> bytes:
    """Return the leaf of what a holder was dealt, once the dealer is seen to have signed it.

    Raises:
        CryptoError: the dealer, whose pinned `identity` is given, did not deal this to the holder.
    """
    holders = cohort.graph.holders(dealer)
    if holder not in holders:
        raise CryptoError("shares were dealt to somebody who holds none")
    leaf = dealt_leaf(Route(cohort.session, dealer, holder), delivered.sealed)
    root = root_through(leaf, holders.index(holder), delivered.path, len(holders))
    verify(identity, delivered.signature, deal_statement(cohort.session, dealer, len(holders), root))
    return leaf


def delivered_leaves(deals: Mapping[NodeId, Deal], holder: NodeId) -> Mapping[NodeId, bytes]:
    """Return the leaf of everything that others dealt to a holder, by dealer."""
    return {
        dealer: deal.leaves[holder]
        for dealer, deal in sorted(deals.items())
        if dealer != holder and holder in deal.leaves
    }


def usable_holders(
    cohort: Cohort, owner: NodeId, present: Container[NodeId], receipts: Mapping[NodeId, Receipt]
) -> list[NodeId]:
    """Return who, of those present, holds a usable share of the owner's secrets."""
    return [
        holder
        for holder in cohort.graph.holders(owner)
        if holder in present and owner not in receipts[holder].unusable
    ]


def receipt_hash(
    session: bytes, holder: NodeId, leaves: Mapping[NodeId, bytes], unusable: Iterable[NodeId]
) -> bytes:
    """Return the hash of what a holder says of everything that was delivered to it.

    Args:
        session: the session.
        holder: who says it.
        leaves: what it was dealt, by dealer.
        unusable: the dealers whose shares it does not accept.
    """
    refused = frozenset(unusable)
    parts = [
        part
        for dealer in sorted(leaves)
        for part in (dealer.encode(), leaves[dealer], b"\x00" if dealer in refused else b"\x01")
    ]
    return sha256(encode(Label.SHARE_RECEIPT, session, holder.encode(), *parts))


RevealedCommitments = Mapping[NodeId, tuple[Secret, bytes]]
"""For each owner which of its secrets a share was revealed of, and the commitment to that share."""


def revealed_commitments(session: bytes, holder: NodeId, reveal: UnmaskShares) -> RevealedCommitments:
    """Return commitments to everything a holder reveals, which say nothing themselves."""
    revealed = ((Secret.SEED, reveal.seed_shares), (Secret.MASK_KEY, reveal.mask_key_shares))
    return {
        owner: (secret, share_commitment(Route(session, owner, holder), secret, share))
        for secret, shares in revealed
        for owner, share in shares.items()
    }


def revealed_statement(session: bytes, holder: NodeId, commitments: RevealedCommitments) -> bytes:
    """Return what a holder signs when it reveals shares."""
    parts = [
        part
        for owner in sorted(commitments)
        for part in (owner.encode(), commitments[owner][0].encode(), commitments[owner][1])
    ]
    return encode(Label.REVEALED_SHARES, session, holder.encode(), *parts)


def _grown(
    session: bytes, dealer: NodeId, sealed: Mapping[NodeId, SealedShares]
) -> tuple[Mapping[NodeId, bytes], MerkleTree]:
    leaves = {holder: dealt_leaf(Route(session, dealer, holder), sealed[holder]) for holder in sealed}
    return leaves, MerkleTree(tuple(leaves.values()))
