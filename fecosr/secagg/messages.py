"""The messages of one secure aggregation, phase by phase (PROTOCOL.md tells what each may reveal).

A message never says who sent it: the transport authenticates the sender. The exceptions are adverts and
consistency signatures, which travel on to other clients and therefore carry a name and an Ed25519 signature.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from fecosr.ids import NodeId


class Phase(StrEnum):
    """Name the five phases, in order."""

    ADVERTISE_KEYS = "advertise_keys"
    SHARE_KEYS = "share_keys"
    MASKED_INPUT = "masked_input"
    CONSISTENCY = "consistency"
    UNMASK = "unmask"


@dataclass(frozen=True, slots=True)
class KeyAdvert:
    """Announce a client's fresh public keys and the commitment to its self-mask seed (client -> server -> all).

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
class EncryptedShares:
    """Carry one AES-256-GCM ciphertext per destination, itself included (client -> server).

    Each plaintext is a share of the self-mask seed followed by a share of the mask private key.
    """

    ciphertexts: Mapping[NodeId, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShareDelivery:
    """Deliver to one client the ciphertexts addressed to it; its names are the clients masks are made with."""

    ciphertexts: Mapping[NodeId, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class MaskedInput:
    """Carry a client's masked vector (client -> server, in chunks on the wire).

    Attributes:
        vector: uint32 [length], uniform to anyone who lacks the masks.
        signature: the client's Ed25519 identity over session and SHA-256 of the vector, 64 bytes.
    """

    vector: npt.NDArray[np.uint32] = field(repr=False)
    signature: bytes


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
    """Reveal, for each peer, exactly one kind of share: survivor -> seed, dropout -> mask key (client -> server)."""

    seed_shares: Mapping[NodeId, bytes] = field(repr=False)
    mask_key_shares: Mapping[NodeId, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Leave the session for a named reason, having revealed nothing further (client -> server)."""

    reason: str


ClientMessage = (
    KeyAdvert | EncryptedShares | MaskedInput | ConsistencySignature | UnmaskShares | Withdrawal
)
ServerMessage = AdvertList | ShareDelivery | SurvivorList | ConsistencyProof
