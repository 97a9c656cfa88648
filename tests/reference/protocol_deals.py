"""What PROTOCOL.md says about dealing shares: commitments, the signed tree, receipts, reveals, once more."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from tests.reference.primitives import FIELD
from tests.reference.protocol import Json, Refused, digest, encoding, require, sealed, unsealed, verified
from tests.reference.slow_merkle import path as merkle_path
from tests.reference.slow_merkle import split, tree_hash

KINDS = ("seed", "mask_key")


def commitment_to(session: bytes, dealer: str, holder: str, kind: str, share: bytes) -> bytes:
    """Return the commitment to one share; `kind` is seed or mask_key."""
    parts = (session, dealer.encode(), holder.encode(), kind.encode(), share)
    return digest("fecosr/v1/share-commitment", *parts)


def dealt(pair: bytes, private: bytes, public: bytes, route: tuple[bytes, str, str]) -> Json:
    """Return two shares sealed for one route (session, dealer, holder) and committed to."""
    commitments = {
        f"{kind}_share_commitment": commitment_to(*route, kind, share).hex()
        for kind, share in zip(KINDS, (pair[:33], pair[33:]), strict=True)
    }
    return {"ciphertext": sealed(pair, private, public, route).hex(), **commitments}


def opened_pair(entry: Json, private: bytes, public: bytes, route: tuple[bytes, str, str]) -> bytes | None:
    """Return the two shares of an entry; None where they are not what the dealer committed to."""
    try:
        pair = unsealed(bytes.fromhex(entry["ciphertext"]), private, public, route)
    except Refused:
        return None
    shares = (pair[:33], pair[33:])
    right = all(
        int.from_bytes(share, "big") < FIELD and entry[f"{kind}_share_commitment"] == it.hex()
        for kind, share in zip(KINDS, shares, strict=True)
        for it in [commitment_to(*route, kind, share)]
    )
    return pair if right and len(pair) == 66 else None


def record_of(session: bytes, dealer: str, holder: str, entry: Json) -> bytes:
    """Return the record that stands for what was dealt to one holder."""
    return encoding(
        "fecosr/v1/dealt-shares",
        session,
        dealer.encode(),
        holder.encode(),
        hashlib.sha256(bytes.fromhex(entry["ciphertext"])).digest(),
        bytes.fromhex(entry["seed_share_commitment"]),
        bytes.fromhex(entry["mask_key_share_commitment"]),
    )


def leaf_of(session: bytes, dealer: str, holder: str, entry: Json) -> bytes:
    """Return the Merkle leaf of what was dealt to one holder."""
    return tree_hash([record_of(session, dealer, holder, entry)])


def deal_statement(session: bytes, dealer: str, size: int, root: bytes) -> bytes:
    """Return what a dealer signs."""
    return encoding("fecosr/v1/deal", session, dealer.encode(), size.to_bytes(4, "big"), root)


def statement_of_deal(session: bytes, dealer: str, entries: Mapping[str, Json]) -> bytes:
    """Return what the dealer of all these entries signs."""
    records = [record_of(session, dealer, holder, entries[holder]) for holder in sorted(entries)]
    return deal_statement(session, dealer, len(records), tree_hash(records))


def delivered(session: bytes, dealer: str, deal: Json, holder: str) -> Json:
    """Return what one holder is told of a deal."""
    names = sorted(deal["dealt"])
    records = [record_of(session, dealer, name, deal["dealt"][name]) for name in names]
    path = merkle_path(names.index(holder), records)
    return {
        **deal["dealt"][holder],
        "path": [node.hex() for node in path],
        "signature": deal["signature"],
    }


def leaf_in_deal(
    session: bytes, route: tuple[str, str], holders: Sequence[str], told: Json, identity: bytes
) -> bytes:
    """Return the leaf of what a holder was told (route: dealer, holder); refuse what no dealer signed."""
    dealer, holder = route
    leaf = leaf_of(session, dealer, holder, told)
    path = [bytes.fromhex(node) for node in told["path"]]
    root = _root(leaf, holders.index(holder), len(holders), path)
    signature = bytes.fromhex(told["signature"])
    genuine = root is not None and verified(
        identity, signature, deal_statement(session, dealer, len(holders), root)
    )
    require(genuine, "bad_deal", "coordinator")
    return leaf


def _root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """Return the root over `size` leaves, as the tree is defined; None: the path does not fit."""
    if size == 1:
        return leaf if not path else None
    if not path:
        return None
    *below, sibling = path
    k = split(size)
    is_left = index < k
    node = _root(leaf, index, k, below) if is_left else _root(leaf, index - k, size - k, below)
    if node is None:
        return None
    return hashlib.sha256(b"\x01" + (node + sibling if is_left else sibling + node)).digest()


def receipt_of(session: bytes, holder: str, leaves: Mapping[str, bytes], unusable: Iterable[str]) -> bytes:
    """Return the hash of what a holder says of everything that was delivered to it."""
    refused = set(unusable)
    parts = [
        part
        for dealer in sorted(leaves)
        for part in (dealer.encode(), leaves[dealer], b"\x00" if dealer in refused else b"\x01")
    ]
    return digest("fecosr/v1/share-receipt", session, holder.encode(), *parts)


def reveal_statement(session: bytes, holder: str, message: Json) -> bytes:
    """Return what a holder signs when it reveals shares."""
    revealed = {
        owner: (kind, bytes.fromhex(share))
        for kind in KINDS
        for owner, share in message[f"{kind}_shares"].items()
    }
    parts = [
        part
        for owner, (kind, share) in sorted(revealed.items())
        for part in (owner.encode(), kind.encode(), commitment_to(session, owner, holder, kind, share))
    ]
    return encoding("fecosr/v1/revealed-shares", session, holder.encode(), *parts)
