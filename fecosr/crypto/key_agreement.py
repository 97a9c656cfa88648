"""X25519 key agreement and HKDF-SHA256 key derivation."""

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fecosr.crypto.labels import Label, encode
from fecosr.errors import CryptoError, MisuseError

KEY_BYTES: Final = 32


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


_PROBE: Final = PrivateKey(bytes(range(KEY_BYTES)))


def check_public_key(public: bytes) -> None:
    """Refuse a public key with which no secret can be agreed.

    A low-order point yields the all-zero secret with every private key, so one fixed probe key finds it out.

    Raises:
        CryptoError: the key is malformed or of low order.
    """
    _PROBE.agree(public)


def derive_key(secret: bytes, label: Label, *context: bytes, length: int = KEY_BYTES) -> bytes:
    """Return `length` bytes derived from `secret` for one purpose.

    HKDF-SHA256 without salt; the info is encode(label, *context).

    Reference: RFC 5869.
    """
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=encode(label, *context)).derive(secret)
