"""The byte strings that are committed to, hashed into the session and signed: one function for each."""

from collections.abc import Sequence

import numpy as np

from fecosr.crypto.labels import Label, encode, sha256
from fecosr.crypto.signatures import SigningKey, verify
from fecosr.ids import NodeId
from fecosr.secagg.messages import KeyAdvert
from fecosr.secagg.packing import Packed


def seed_commitment(context: bytes, client: NodeId, seed: bytes) -> bytes:
    """Return the commitment by which everybody recognises the client's true self-mask seed.

    The seed is 32 uniform bytes, so the bare hash already hides it.
    """
    return sha256(encode(Label.SEED_COMMITMENT, context, client.encode(), seed))


def advert_statement(
    context: bytes, client: NodeId, channel_public: bytes, mask_public: bytes, commitment: bytes
) -> bytes:
    """Return what a client signs when it advertises its keys for one context."""
    return encode(Label.KEY_ADVERT, context, client.encode(), channel_public, mask_public, commitment)


def signed_advert(
    context: bytes, client: NodeId, identity: SigningKey, keys: tuple[bytes, bytes], commitment: bytes
) -> KeyAdvert:
    """Return the advert of the public `keys` (channel, mask), signed by the client's identity."""
    channel_public, mask_public = keys
    signature = identity.sign(advert_statement(context, client, channel_public, mask_public, commitment))
    return KeyAdvert(client, channel_public, mask_public, commitment, signature)


def verify_advert(context: bytes, advert: KeyAdvert, identity: bytes) -> None:
    """Check that the holder of the pinned `identity` signed this advert for this context.

    Raises:
        CryptoError: it did not.
    """
    statement = advert_statement(
        context, advert.client, advert.channel_public, advert.mask_public, advert.seed_commitment
    )
    verify(identity, advert.signature, statement)


def session_id(context: bytes, adverts: Sequence[KeyAdvert]) -> bytes:
    """Return the 32 bytes that name one session: they change with the context and with any advert.

    Args:
        context: what the sum is for.
        adverts: the adverts of the whole cohort, sorted by client.
    """
    parts = [
        part
        for advert in adverts
        for part in (
            advert.client.encode(),
            advert.channel_public,
            advert.mask_public,
            advert.seed_commitment,
            advert.signature,
        )
    ]
    return sha256(encode(Label.SESSION, context, *parts))


def vector_digest(vector: Packed) -> bytes:
    """Return the SHA-256 of a vector's bytes as they travel, little-endian."""
    return sha256(np.ascontiguousarray(vector, dtype=vector.dtype.newbyteorder("<")).data.cast("B"))


def masked_input_statement(session: bytes, client: NodeId, digest: bytes, receipt: bytes) -> bytes:
    """Return what a client signs when it hands in the masked vector with this digest.

    Args:
        session: the session.
        client: who signs.
        digest: SHA-256 of the vector.
        receipt: hash of what it received of whom, see `fecosr.secagg.dealing.receipt_hash`.
    """
    return encode(Label.MASKED_INPUT, session, client.encode(), digest, receipt)


def survivors_statement(session: bytes, survivors: Sequence[NodeId]) -> bytes:
    """Return what a survivor signs, once in a session: this list and no other."""
    return encode(Label.SURVIVORS, session, *(client.encode() for client in survivors))
