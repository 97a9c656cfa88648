"""What a dealer can do wrong: deals that it signs properly and that are not what they should be."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from fecosr.crypto.shamir import PRIME
from fecosr.ids import NodeId
from fecosr.secagg.client import AwaitingShares, ClientState
from fecosr.secagg.dealing import revealed_commitments, revealed_statement, seal_and_commit, signed_deal
from fecosr.secagg.messages import ClientMessage, EncryptedShares, SealedShares, UnmaskShares
from fecosr.secagg.shares import Route, SharePair
from tests.reference.rehearsal import Forge, identity_of

Spoil = Callable[[AwaitingShares, NodeId, SealedShares], SealedShares]
"""Makes something else of what a dealer, in its state, deals to a holder."""


def misdealing(deals: Mapping[NodeId, Mapping[NodeId, Spoil]]) -> Forge:
    """Return a forger of the deals of some dealers to some holders; the dealer signs what comes out."""

    def forge(state: ClientState, message: ClientMessage) -> ClientMessage:
        if not isinstance(message, EncryptedShares):
            return message
        assert isinstance(state, AwaitingShares)
        spoils = deals.get(state.me, {})
        sealed = {
            holder: spoils[holder](state, holder, entry) if holder in spoils else entry
            for holder, entry in message.sealed.items()
        }
        return signed_deal(state.cohort.session, state.me, state.identity, sealed)

    return forge


def to_each(holders: Collection[NodeId], spoil: Spoil) -> Mapping[NodeId, Spoil]:
    """Return the same wrong for several holders."""
    return dict.fromkeys(holders, spoil)


def garbage(state: AwaitingShares, holder: NodeId, sealed: SealedShares) -> SealedShares:
    """Deal what does not open."""
    del state, holder
    return replace(sealed, ciphertext=bytes(len(sealed.ciphertext)))


def another_commitment(state: AwaitingShares, holder: NodeId, sealed: SealedShares) -> SealedShares:
    """Deal a good mask key share beside a commitment to another."""
    del state, holder
    return replace(sealed, mask_key_share_commitment=bytes(32))


def another_polynomial(state: AwaitingShares, holder: NodeId, sealed: SealedShares) -> SealedShares:
    """Deal shares of nothing, committed to as they should be: the holder cannot know."""
    return _dealt(state, holder, sealed, SharePair(b"\0" + b"\x77" * 32, b"\0" + b"\x55" * 32))


def beyond_the_field(state: AwaitingShares, holder: NodeId, sealed: SealedShares) -> SealedShares:
    """Deal, and commit to, what is no element of the field."""
    share = PRIME.to_bytes(33, "big")
    return _dealt(state, holder, sealed, SharePair(share, share))


def _dealt(state: AwaitingShares, holder: NodeId, sealed: SealedShares, pair: SharePair) -> SealedShares:
    del sealed
    public = state.cohort.adverts[holder].channel_public
    route = Route(state.cohort.session, state.me, holder)
    return seal_and_commit(pair, state.secrets.channel_key, public, route)


def resigned(session: bytes, holder: NodeId, reveal: UnmaskShares) -> UnmaskShares:
    """Return what a holder reveals, signed by it whatever it is."""
    commitments = revealed_commitments(session, holder, reveal)
    signature = identity_of(holder).sign(revealed_statement(session, holder, commitments))
    return replace(reveal, signature=signature)
