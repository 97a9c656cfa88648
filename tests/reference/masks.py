"""A client's masked vector from the definitions, with lists of Python integers."""

from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from fecosr.ids import NodeId
from tests.reference.primitives import hkdf_sha256, mask_elements


def _info(label: str, *parts: bytes) -> bytes:
    pieces = (label.encode(), *parts)
    return b"".join(len(piece).to_bytes(8, "big") + piece for piece in pieces)


def masked_elements(
    vector: Sequence[int],
    secrets: tuple[bytes, bytes],
    peers: Mapping[NodeId, bytes],
    session: bytes,
    me: str,
) -> list[int]:
    """Return vector + PRG(self) + sum over later peers of PRG(pair) - sum over earlier peers of PRG(pair)."""
    seed, mask_secret = secrets
    length = len(vector)
    own = mask_elements(hkdf_sha256(seed, b"", _info("fecosr/v1/self-mask", session), 32), length)
    result = [element + mask for element, mask in zip(vector, own, strict=True)]
    for peer, public in peers.items():
        shared = X25519PrivateKey.from_private_bytes(mask_secret).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
        first, second = (me, peer) if me < peer else (peer, me)
        info = _info("fecosr/v1/pairwise-mask", session, first.encode(), second.encode())
        pair = mask_elements(hkdf_sha256(shared, b"", info, 32), length)
        sign = 1 if me < peer else -1
        result = [element + sign * mask for element, mask in zip(result, pair, strict=True)]
    return [element % 2**32 for element in result]
