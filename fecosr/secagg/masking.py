"""Masks: one a client makes alone, and one for each pair that cancels in the sum."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fecosr.crypto.key_agreement import PrivateKey, derive_key
from fecosr.crypto.labels import Label
from fecosr.crypto.prg import BLOCK_ELEMENTS, Masks
from fecosr.ids import NodeId
from fecosr.secagg.packing import FULL_BITS, Packed, make_room, pack_into
from fecosr.secagg.secrets import ClientSecrets

Vector = npt.NDArray[np.uint32]


class Summand(Protocol):
    """Write a client's vector piece by piece, so that it need not exist as a whole."""

    @property
    def length(self) -> int:
        """Return the number of ring elements."""

    def write(self, start: int, block: Vector) -> None:
        """Overwrite `block` with the elements from `start` on.

        Args:
            start: a multiple of BLOCK_ELEMENTS.
            block: uint32 [at most BLOCK_ELEMENTS].
        """


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


def masked(  # noqa: PLR0917 - the ring stands last because there is a usual one
    vector: Vector | Summand,
    secrets: ClientSecrets,
    peers: Mapping[NodeId, bytes],
    session: bytes,
    me: NodeId,
    ring_bits: int = FULL_BITS,
) -> Packed:
    """Return `vector` under the client's self mask and its pairwise masks, in one pass and packed to travel.

    Args:
        vector: the client's own, uint32 [length], or what writes it; left as it is.
        secrets: the client's self-mask seed and private mask key.
        peers: the public mask key of every peer it makes a mask with.
        session: binds every mask to this session.
        me: the client.
        ring_bits: the ring whose elements travel.

    Guarantees:
        Privacy: uniform to anyone who lacks the self-mask seed, and to anyone who lacks the pairwise seed of
        at least one peer.
        Memory: besides the result, one block and the keystream for it.
    """
    signed_seeds = [(self_mask_seed(secrets.seed, session), 1)]
    for peer, public in peers.items():
        seed = pairwise_mask_seed(secrets.mask_key, public, session, me, peer)
        signed_seeds.append((seed, pairwise_sign(me, peer)))
    masks = Masks(signed_seeds)
    write = partial(_copy, vector) if isinstance(vector, np.ndarray) else vector.write
    length = vector.size if isinstance(vector, np.ndarray) else vector.length
    result = make_room(length, ring_bits)
    scratch = np.empty(min(length, BLOCK_ELEMENTS), dtype=np.uint32)
    for start in range(0, length, BLOCK_ELEMENTS):
        room = result[start : start + BLOCK_ELEMENTS]
        # In the full ring what travels is what is reckoned with.
        block = room if ring_bits == FULL_BITS else scratch[: len(room)]
        write(start, block)
        masks.apply(block)
        if block is not room:
            pack_into(room, block)
    return result


def _copy(vector: Vector, start: int, block: Vector) -> None:
    np.copyto(block, vector[start : start + block.size])


def self_mask_removals(seeds: Iterable[bytes], session: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield keystream seed and sign that take the survivors' self masks out of the sum."""
    for seed in seeds:
        yield self_mask_seed(seed, session), -1


def dropout_mask_removals(
    key: PrivateKey, dropout: NodeId, survivors: Mapping[NodeId, bytes], session: bytes
) -> Iterator[tuple[bytes, int]]:
    """Yield keystream seed and sign that take out what was added for a client that sent no vector.

    Args:
        key: the dropout's private mask key, reconstructed.
        dropout: the client that left before it handed in its vector.
        survivors: the public mask key of every survivor that made a mask with it.
        session: the session.
    """
    for survivor, public in survivors.items():
        # The dropout adds what the survivor subtracts: its own masks complete the pairs.
        yield pairwise_mask_seed(key, public, session, dropout, survivor), pairwise_sign(dropout, survivor)
