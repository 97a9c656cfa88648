"""The messages of one secure aggregation, phase by phase (PROTOCOL.md tells what each may reveal).

A message never says who sent it: the transport authenticates the sender. The exceptions are adverts and
consistency signatures, which travel on to other clients and therefore carry a name and an Ed25519 signature.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fecosr.ids import NodeId
from fecosr.secagg.packing import Packed


class Phase(StrEnum):
    """Name the five phases, in order."""

    ADVERTISE_KEYS = "advertise_keys"
    SHARE_KEYS = "share_keys"
    MASKED_INPUT = "masked_input"
    CONSISTENCY = "consistency"
    UNMASK = "unmask"


@dataclass(frozen=True, slots=True)
class KeyAdvert:
    """Announce a client's fresh public keys and commit to its self-mask seed (client -> server -> all).

    Attributes:
        client: who advertises.
        channel_public: X25519 public key for encrypting shares to this client, 32 bytes.
        mask_public: X25519 public key for pairwise masks, 32 bytes.
        seed_commitment: SHA-256 commitment to the self-mask seed, 32 bytes.
        signature: the client's Ed25519 identity over all of the above and the context, 64 bytes.
    """

    client: NodeId
    channel_public: bytes
    mask_public: bytes
    seed_commitment: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class AdvertList:
    """Show every client all adverts, sorted by client (server -> client)."""

    adverts: tuple[KeyAdvert, ...]


@dataclass(frozen=True, slots=True)
class SealedShares:
    """Hold one holder's shares of a dealer's two secrets, sealed, and a commitment to each.

    Attributes:
        ciphertext: AES-256-GCM of a share of the self-mask seed and a share of the mask private key.
        seed_share_commitment: SHA-256 commitment to the first, 32 bytes.
        mask_key_share_commitment: SHA-256 commitment to the second, 32 bytes.
    """

    ciphertext: bytes = field(repr=False)
    seed_share_commitment: bytes
    mask_key_share_commitment: bytes


@dataclass(frozen=True, slots=True)
class EncryptedShares:
    """Deal shares to every holder, the dealer itself where it is one (client -> server).

    Attributes:
        sealed: by holder.
        signature: the dealer's Ed25519 identity over the session and the root of the Merkle tree over all of
            them, in the order of their holders, 64 bytes.
    """

    sealed: Mapping[NodeId, SealedShares]
    signature: bytes


@dataclass(frozen=True, slots=True)
class DeliveredShares:
    """Hand one holder its part of a deal, with what shows that the dealer signed it.

    Attributes:
        sealed: what was dealt to this holder.
        path: Merkle path from it to the root of the deal, 32 bytes each.
        signature: the dealer's signature over the deal.
    """

    sealed: SealedShares
    path: tuple[bytes, ...]
    signature: bytes


@dataclass(frozen=True, slots=True)
class ShareDelivery:
    """Deliver to one client the shares dealt to it (server -> client).

    Their dealers are the peers with which the client makes pairwise masks.
    """

    shares: Mapping[NodeId, DeliveredShares]


@dataclass(frozen=True, slots=True, eq=False)
class MaskedInput:
    """Carry a client's masked vector (client -> server, in chunks on the wire).

    Attributes:
        vector: packed ring elements (uint32 [length] in the 32-bit ring), uniform to anyone who lacks the
            masks.
        signature: the client's Ed25519 identity over session, SHA-256 of the vector, and a receipt for all
            shares that were delivered to it, 64 bytes.
        digest: SHA-256 of the vector as the client announces it, so that its driver need not hash again. The
            server never believes it: see HashedInput.
        unusable: dealers whose signed shares for this client do not open or are not those committed to,
            sorted. It will reveal no share of theirs; for all others the receipt binds it to the commitment.
    """

    vector: Packed = field(repr=False)
    signature: bytes
    digest: bytes | None = None
    unusable: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class HashedInput(MaskedInput):
    """Hand the server a masked input whose `digest` its own driver took of the bytes while they arrived.

    It is made by that driver and by nobody else, and never travels. The vector is the server's from then on:
    it may become the sum that others are added to.
    """


@dataclass(frozen=True, slots=True)
class SurvivorList:
    """State once and for all whose masked vectors are in the sum, sorted (server -> survivors)."""

    survivors: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class ConsistencySignature:
    """Sign (session, survivors), at most one list in a session (client -> server -> survivors)."""

    client: NodeId
    signature: bytes


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """Prove that a quorum signed the same survivor list (server -> signers)."""

    signatures: tuple[ConsistencySignature, ...]


@dataclass(frozen=True, slots=True)
class UnmaskShares:
    """Reveal exactly one kind of share for each client (client -> server).

    A survivor's self-mask seed or a dropout's mask key, never both, or its vector would stand bare.

    Attributes:
        seed_shares: by survivor.
        mask_key_shares: by dropout.
        signature: the client's Ed25519 identity over session and commitments to all of these, 64 bytes.
    """

    seed_shares: Mapping[NodeId, bytes] = field(repr=False)
    mask_key_shares: Mapping[NodeId, bytes] = field(repr=False)
    signature: bytes


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Leave the session for a named reason, having revealed nothing further (client -> server).

    Attributes:
        reason: the rule that was broken, or why else.
        accused: the client that broke it; None: the server, or nobody.
    """

    reason: str
    accused: NodeId | None = None


ClientMessage = KeyAdvert | EncryptedShares | MaskedInput | ConsistencySignature | UnmaskShares | Withdrawal
ServerMessage = AdvertList | ShareDelivery | SurvivorList | ConsistencyProof

_PHASES: Final[Mapping[type[ClientMessage | ServerMessage], Phase]] = {
    KeyAdvert: Phase.ADVERTISE_KEYS,
    AdvertList: Phase.ADVERTISE_KEYS,
    EncryptedShares: Phase.SHARE_KEYS,
    ShareDelivery: Phase.SHARE_KEYS,
    MaskedInput: Phase.MASKED_INPUT,
    HashedInput: Phase.MASKED_INPUT,
    SurvivorList: Phase.MASKED_INPUT,
    ConsistencySignature: Phase.CONSISTENCY,
    ConsistencyProof: Phase.CONSISTENCY,
    UnmaskShares: Phase.UNMASK,
}


def came_late(message: ClientMessage | ServerMessage, phase: Phase) -> bool:
    """Return whether `message`, which does not belong in `phase`, belongs in an earlier one."""
    order = tuple(Phase)
    return type(message) in _PHASES and order.index(_PHASES[type(message)]) < order.index(phase)
