"""The encoding of an update, one number at a time in exact arithmetic."""

import math
from collections.abc import Sequence
from fractions import Fraction

from tests.reference.primitives import ctr_keystream, hkdf_sha256, mask_elements


def _length(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big")


def rounding_bits(rounding_seed: bytes, length: int) -> list[int]:
    """Return the uniform 32-bit numbers that decide which way each slot is rounded."""
    label = b"fecosr/v1/rounding"
    return mask_elements(hkdf_sha256(rounding_seed, b"", _length(label) + label, 32), length)


def encode_slots(values: Sequence[float], scales: Sequence[float], bits: Sequence[int]) -> list[int]:
    """Return floor(value * scale + bits / 2^32) modulo 2^32 of every slot, which any smaller ring divides."""
    return [
        (Fraction(value) * Fraction(scale) + Fraction(bit, 2**32)).__floor__() % 2**32
        for value, scale, bit in zip(values, scales, bits, strict=True)
    ]


def rotated(values: Sequence[float], seed: bytes, largest_block: int) -> list[float]:
    """Return the rotation of a vector from the definition, one block after another."""
    label = b"fecosr/v1/rotation-signs"
    size = 1
    while 2 * size <= min(len(values), largest_block):
        size *= 2
    starts = list(range(0, len(values) - size + 1, size))
    if len(values) % size:
        starts.append(len(values) - size)
    octets = -(-size // 8)
    stream = ctr_keystream(hkdf_sha256(seed, b"", _length(label) + label, 32), 0, octets * len(starts))
    result = list(values)
    for number, start in enumerate(starts):
        bits = int.from_bytes(stream[number * octets : (number + 1) * octets], "little")
        signed = [-x if bits >> i & 1 else x for i, x in enumerate(result[start : start + size])]
        result[start : start + size] = [
            math.fsum(-x if (row & column).bit_count() % 2 else x for column, x in enumerate(signed))
            / math.sqrt(size)
            for row in range(size)
        ]
    return result
