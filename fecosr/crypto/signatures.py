"""Ed25519 identities: deterministic signatures over labelled encodings."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fecosr.errors import CryptoError, MisuseError

SEED_BYTES: Final = 32
PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
MAX_REMEMBERED: Final = 4096
"""How many signatures that verified are remembered: adverts, inputs and survivors of a largest cohort."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Hold an Ed25519 private key made from its 32-byte seed.

    Attributes:
        seed: the secret, never shown.
        public: the 32-byte public key others pin.

    Raises:
        MisuseError: the seed is not 32 bytes.
    """

    seed: bytes = field(repr=False)
    public: bytes = field(init=False)
    _key: Ed25519PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise MisuseError(f"a signing seed is {SEED_BYTES} bytes")
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "public", key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message`; callers pass only labelled encodings."""
        return self._key.sign(message)


def verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Check that the holder of `public` signed `message`.

    Raises:
        CryptoError: key or signature is malformed, or the signature is not of this message under this key.

    Guarantees:
        Only success is remembered, for exactly these three values: a signature that the server checks on
        arrival, and every client of one process again, is computed once.

    Reference: RFC 8032, Section 5.1.7.
    """
    _verify(public, signature, message)


@lru_cache(maxsize=MAX_REMEMBERED)
def _verify(public: bytes, signature: bytes, message: bytes) -> None:
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        raise CryptoError("malformed Ed25519 key or signature")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise CryptoError("signature does not verify") from None
