"""The encoding of an update, one number at a time in exact arithmetic."""

from collections.abc import Sequence
from fractions import Fraction

from tests.reference.primitives import hkdf_sha256, mask_elements


def _length(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big")


def rounding_bits(rounding_seed: bytes, length: int) -> list[int]:
    """Return the uniform 32-bit numbers that decide which way each slot is rounded."""
    label = b"fecosr/v1/rounding"
    return mask_elements(hkdf_sha256(rounding_seed, b"", _length(label) + label, 32), length)


def encode_slots(values: Sequence[float], scales: Sequence[float], bits: Sequence[int]) -> list[int]:
    """Return floor(value * scale + bits / 2^32) modulo 2^32 of every slot."""
    return [
        (Fraction(value) * Fraction(scale) + Fraction(bit, 2**32)).__floor__() % 2**32
        for value, scale, bit in zip(values, scales, bits, strict=True)
    ]
