"""Lies about shares, properly signed: what dealers, holders and accusers say in some vectors."""

from collections.abc import Callable, Mapping
from typing import Final

from fecosr.crypto.key_agreement import PrivateKey
from fecosr.crypto.shamir import PRIME
from fecosr.crypto.signatures import SigningKey
from fecosr.ids import NodeId
from fecosr.secagg.dealing import dealt_leaf as leaf_of
from fecosr.secagg.dealing import (
    receipt_hash,
    revealed_commitments,
    revealed_statement,
    seal_and_commit,
    signed_deal,
)
from fecosr.secagg.messages import EncryptedShares, MaskedInput, SealedShares, UnmaskShares
from fecosr.secagg.secrets import derive_secrets
from fecosr.secagg.shares import Route, SharePair
from fecosr.secagg.statements import masked_input_statement, session_id, vector_digest
from tests.vectors.generator.seeds import seeded
from tests.vectors.messages import Json, advert_from_json, client_message, to_json

NOTHING: Final = SharePair(b"\0" + b"\x77" * 32, b"\0" + b"\x55" * 32)
Lie = Callable[["Overheard", Json], None]
"""Changes a line in place, knowing what was said before."""


class Overheard:
    """Remember what was said in a session, as far as lies need it, and tell one lie."""

    def __init__(self, lie: Lie) -> None:
        self._lie = lie
        self._adverts: dict[NodeId, Json] = {}
        self.deals: dict[NodeId, EncryptedShares] = {}

    def __call__(self, line: Json) -> None:
        """Change a line, or only listen."""
        self._lie(self, line)
        if "key_advert" in line["body"]:
            self._adverts[NodeId(line["from"])] = line["body"]["key_advert"]
        if "encrypted_shares" in line["body"]:
            message = client_message(line["body"], 32)
            assert isinstance(message, EncryptedShares)
            self.deals[NodeId(line["from"])] = message

    @property
    def session(self) -> bytes:
        """Return the session's id."""
        adverts = [advert_from_json(self._adverts[name]) for name in sorted(self._adverts)]
        return session_id(seeded("context"), adverts)

    def sealed(self, dealer: str, holder: str, pair: SharePair) -> SealedShares:
        """Return shares that a dealer deals to a holder."""
        key: PrivateKey = derive_secrets(
            seeded(f"entropy of {dealer}"), seeded("context"), NodeId(dealer)
        ).channel_key
        public = bytes.fromhex(self._adverts[NodeId(holder)]["channel_public"])
        return seal_and_commit(pair, key, public, Route(self.session, NodeId(dealer), NodeId(holder)))


def identity_of(name: str) -> SigningKey:
    """Return the identity of a client."""
    return SigningKey(seeded(f"identity of {name}"))


def misdealing(dealer: str, holders: str, *, readable: bool) -> Overheard:
    """Let a dealer deal shares of nothing to some holders; they open and match, or they do not open."""

    def lie(heard: Overheard, line: Json) -> None:
        if line["from"] != dealer or "encrypted_shares" not in line["body"]:
            return
        message = client_message(line["body"], 32)
        assert isinstance(message, EncryptedShares)
        wrong = {
            NodeId(holder): heard.sealed(dealer, holder, NOTHING)
            if readable
            else SealedShares(bytes(82), bytes(32), bytes(32))
            for holder in holders.split()
        }
        deal = signed_deal(heard.session, NodeId(dealer), identity_of(dealer), {**message.sealed, **wrong})
        line["body"] = to_json(deal)

    return Overheard(lie)


def changing(holder: str, owner: str) -> Overheard:
    """Let a holder reveal another share of a seed than it accepted, and sign it."""

    def lie(heard: Overheard, line: Json) -> None:
        if line["from"] != holder or "unmask_shares" not in line["body"]:
            return
        content = line["body"]["unmask_shares"]
        share = (int(content["seed_shares"][owner], 16) + 1) % PRIME
        content["seed_shares"][owner] = share.to_bytes(33, "big").hex()
        line["body"] = _revealed(heard.session, holder, line["body"])

    return Overheard(lie)


def accusing(accuser: str, accused: str) -> Overheard:
    """Let a holder call good shares unusable, and hold its own back."""

    def lie(heard: Overheard, line: Json) -> None:
        if line["from"] != accuser:
            return
        if "masked_input" in line["body"]:
            line["body"] = complaining(heard.session, accuser, line["body"], heard.deals, accused.split())
        if "unmask_shares" in line["body"]:
            for kind in ("seed_shares", "mask_key_shares"):
                for name in accused.split():
                    line["body"]["unmask_shares"][kind].pop(name, None)
            line["body"] = _revealed(heard.session, accuser, line["body"])

    return Overheard(lie)


def complaining(
    session: bytes, accuser: str, body: Json, deals: Mapping[NodeId, EncryptedShares], accused: list[str]
) -> Json:
    """Return a masked input with complaints, signed."""
    message = client_message(body, 32)
    assert isinstance(message, MaskedInput)
    me, unusable = NodeId(accuser), tuple(map(NodeId, accused))
    leaves = {
        dealer: leaf_of(Route(session, dealer, me), deal.sealed[me])
        for dealer, deal in deals.items()
        if dealer != me
    }
    receipt = receipt_hash(session, me, leaves, unusable)
    statement = masked_input_statement(session, me, vector_digest(message.vector), receipt)
    return to_json(MaskedInput(message.vector, identity_of(accuser).sign(statement), unusable=unusable))


def _revealed(session: bytes, holder: str, body: Json) -> Json:
    message = client_message(body, 32)
    assert isinstance(message, UnmaskShares)
    commitments = revealed_commitments(session, NodeId(holder), message)
    signature = identity_of(holder).sign(revealed_statement(session, NodeId(holder), commitments))
    return to_json(UnmaskShares(message.seed_shares, message.mask_key_shares, signature))
