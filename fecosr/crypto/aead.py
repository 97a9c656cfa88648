"""AES-256-GCM for keys that seal exactly one message.

The nonce is constant. That is safe only because every key is derived for one source, one destination and one
session and seals exactly one message; sealing two under one key would give away both and the power to forge.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fecosr.errors import CryptoError, MisuseError

AEAD_KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
_NONCE: Final = bytes(12)


def seal(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Return `plaintext` encrypted and authenticated together with `associated`, 16 bytes longer.

    Args:
        key: 32 bytes that never seal anything else.
        plaintext: what to hide.
        associated: what to bind the ciphertext to without carrying it.

    Raises:
        MisuseError: the key is not 32 bytes.
    """
    return _cipher(key).encrypt(_NONCE, plaintext, associated)


def open_sealed(key: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    """Return the plaintext that was sealed with this key and this associated datum.

    Raises:
        CryptoError: the ciphertext was not made with them, or was changed.
        MisuseError: the key is not 32 bytes.
    """
    try:
        return _cipher(key).decrypt(_NONCE, ciphertext, associated)
    except InvalidTag:
        raise CryptoError("ciphertext does not verify") from None


def _cipher(key: bytes) -> AESGCM:
    if len(key) != AEAD_KEY_BYTES:
        raise MisuseError(f"an AES-256-GCM key is {AEAD_KEY_BYTES} bytes")
    return AESGCM(key)
