"""Masks: one a client makes alone, and one for each pair that cancels in the sum."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fecosr.crypto.key_agreement import PrivateKey, derive_key
from fecosr.crypto.labels import Label
from fecosr.crypto.prg import add_keystream
from fecosr.ids import NodeId
from fecosr.secagg.secrets import ClientSecrets

Vector = npt.NDArray[np.uint32]


def self_mask_seed(seed: bytes, session: bytes) -> bytes:
    """Return the keystream seed of the mask that only the shares of `seed` can remove."""
    return derive_key(seed, Label.SELF_MASK, session)


def pairwise_mask_seed(
    key: PrivateKey, peer_public: bytes, session: bytes, client: NodeId, peer: NodeId
) -> bytes:
    """Return the keystream seed that `client` and `peer` both arrive at, each with its own key.

    Raises:
        CryptoError: the peer's public key is unusable.
    """
    lower, higher = sorted((client, peer))
    return derive_key(key.agree(peer_public), Label.PAIRWISE_MASK, session, lower.encode(), higher.encode())


def pairwise_sign(client: NodeId, peer: NodeId) -> int:
    """Return the sign with which `client` adds the mask it shares with `peer`; the peer uses the other."""
    return 1 if client < peer else -1


def masked(
    vector: Vector, secrets: ClientSecrets, peers: Mapping[NodeId, bytes], session: bytes, me: NodeId
) -> Vector:
    """Return `vector` under the client's self mask and its pairwise masks.

    Args:
        vector: the client's own, uint32 [length]; left as it is.
        secrets: the client's self-mask seed and private mask key.
        peers: the public mask key of every peer it makes a mask with.
        session: binds every mask to this session.
        me: the client.

    Guarantees:
        Privacy: uniform to anyone who lacks the self-mask seed, and to anyone who lacks the pairwise seed of
        at least one peer.
    """
    result = vector.copy()  # [length]
    add_keystream(result, self_mask_seed(secrets.seed, session), 1)
    for peer, public in peers.items():
        pairwise_seed = pairwise_mask_seed(secrets.mask_key, public, session, me, peer)
        add_keystream(result, pairwise_seed, pairwise_sign(me, peer))
    return result


def remove_self_mask(total: Vector, seed: bytes, session: bytes) -> None:
    """Take a survivor's self mask out of the sum, in place."""
    add_keystream(total, self_mask_seed(seed, session), -1)


def remove_dropout_masks(
    total: Vector, key: PrivateKey, dropout: NodeId, survivors: Mapping[NodeId, bytes], session: bytes
) -> None:
    """Take out of the sum, in place, what the survivors added for a client that never handed in its vector.

    Args:
        total: the sum, uint32 [length].
        key: the dropout's private mask key, reconstructed.
        dropout: the client that left.
        survivors: the public mask key of every survivor.
        session: the session.
    """
    for survivor, public in survivors.items():
        # The dropout adds what the survivor subtracts: its own masks complete the pairs.
        add_keystream(
            total,
            pairwise_mask_seed(key, public, session, dropout, survivor),
            pairwise_sign(dropout, survivor),
        )
