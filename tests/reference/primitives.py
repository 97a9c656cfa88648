"""Slow, independent versions of the cryptographic pieces, written from their definitions."""

import hashlib
import hmac
from collections.abc import Mapping
from fractions import Fraction

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

FIELD = 2**256 + 297


def hkdf_sha256(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """Return HKDF-SHA256 as RFC 5869, Sections 2.2 and 2.3, writes it down."""
    extracted = hmac.new(salt or bytes(32), secret, hashlib.sha256).digest()
    output, block = b"", b""
    while len(output) < length:
        counter = bytes([len(output) // 32 + 1])
        block = hmac.new(extracted, block + info + counter, hashlib.sha256).digest()
        output += block
    return output[:length]


def ctr_keystream(key: bytes, counter: int, num_bytes: int) -> bytes:
    """Return the AES keystream block by block: the encryptions of counter, counter + 1, ..."""
    encryptor = Cipher(AES(key), ECB()).encryptor()
    blocks = (
        encryptor.update(((counter + i) % 2**128).to_bytes(16, "big")) for i in range(-(-num_bytes // 16))
    )
    return b"".join(blocks)[:num_bytes]


def mask_elements(seed: bytes, length: int) -> list[int]:
    """Return a seed's mask as plain integers."""
    stream = ctr_keystream(seed, 0, 4 * length)
    return [int.from_bytes(stream[4 * i : 4 * i + 4], "little") for i in range(length)]


def interpolate_at_zero(shares: Mapping[int, bytes]) -> int:
    """Return the constant term through all shares: rational Lagrange weights, reduced one by one with pow."""
    total = 0
    for x, share in shares.items():
        weight = Fraction(1)
        for other in shares:
            if other != x:
                weight *= Fraction(other, other - x)
        inverse = pow(weight.denominator, FIELD - 2, FIELD)
        total += int.from_bytes(share, "big") * weight.numerator * inverse
    return total % FIELD
