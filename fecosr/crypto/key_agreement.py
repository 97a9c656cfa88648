"""X25519 key agreement and HKDF-SHA256 key derivation."""

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fecosr.crypto.labels import Label, encode
from fecosr.errors import CryptoError, MisuseError

KEY_BYTES: Final = 32
_FIELD: Final = 2**255 - 19
_LOW_ORDER: Final = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
"""The coordinates, modulo the field, of every point on the curve or its twist whose order divides 8."""


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """Hold an X25519 private key made from 32 bytes.

    Attributes:
        secret: the private key, never shown.
        public: the 32-byte public key.

    Raises:
        MisuseError: the secret is not 32 bytes.
    """

    secret: bytes = field(repr=False)
    public: bytes = field(init=False)
    _key: X25519PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise MisuseError(f"an X25519 private key is {KEY_BYTES} bytes")
        key = X25519PrivateKey.from_private_bytes(self.secret)
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "public", key.public_key().public_bytes_raw())

    def agree(self, peer_public: bytes) -> bytes:
        """Return the 32-byte secret shared with the holder of `peer_public`; feed it to `derive_key` only.

        Raises:
            CryptoError: the peer's key is malformed, or of low order (everybody would know the secret).

        Reference: RFC 7748, Section 6.1.
        """
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(peer_public))
        except ValueError:
            raise CryptoError("unusable X25519 public key") from None


def check_public_key(public: bytes) -> None:
    """Refuse a public key with which no secret can be agreed.

    A point of low order yields the all-zero secret with every private key. There are five, some of which can
    be written in more than one way: the highest bit is ignored, and coordinates are modulo the field.

    Raises:
        CryptoError: the key is malformed or of low order.

    Reference: RFC 7748, Sections 5 and 7.
    """
    coordinate = int.from_bytes(public, "little") % (1 << 255) % _FIELD
    if len(public) != KEY_BYTES or coordinate in _LOW_ORDER:
        raise CryptoError("unusable X25519 public key")


def derive_key(secret: bytes, label: Label, *context: bytes, length: int = KEY_BYTES) -> bytes:
    """Return `length` bytes derived from `secret` for one purpose.

    HKDF-SHA256 without salt; the info is encode(label, *context).

    Reference: RFC 5869.
    """
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=encode(label, *context)).derive(secret)
