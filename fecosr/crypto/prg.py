"""A seed becomes a vector that nobody without the seed can tell from uniform: the AES-256-CTR keystream.

The seed is the AES key and the counter starts at zero, so a seed must be used for one vector only.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from fecosr.errors import MisuseError

PRG_SEED_BYTES: Final = 32
_SCRATCH_BYTES: Final = 1 << 20
"""Keystream made at a time: small enough to be still in cache when it is added."""
_ELEMENT_BYTES: Final = 4
_ZEROS: Final = memoryview(bytes(_SCRATCH_BYTES))
_START: Final = bytes(16)


def expand(seed: bytes, length: int) -> npt.NDArray[np.uint32]:
    """Return the first `length` elements of the keystream of `seed`, uint32 [length].

    Element i is keystream bytes 4i .. 4i+3 read as a little-endian integer.

    Raises:
        MisuseError: the seed is not 32 bytes, or the length is negative.

    Guarantees:
        Uniformity: indistinguishable from uniform on [0, 2^32) if AES-256 is a pseudorandom permutation.
    """
    if length < 0:
        raise MisuseError("a vector cannot have negative length")
    vector = np.zeros(length, dtype=np.uint32)  # [length]
    add_keystream(vector, seed, 1)
    return vector


def add_keystream(vector: npt.NDArray[np.uint32], seed: bytes, sign: int) -> None:
    """Add (`sign` = 1) or subtract (-1) the keystream of `seed`, in place and modulo 2^32.

    Args:
        vector: uint32 [length], contiguous and writable.
        seed: 32 bytes that mask nothing else.
        sign: 1 or -1.

    Raises:
        MisuseError: an argument is not as described.
    """
    if len(seed) != PRG_SEED_BYTES:
        raise MisuseError(f"a seed is {PRG_SEED_BYTES} bytes")
    if sign not in (1, -1):
        raise MisuseError("sign must be 1 or -1")
    if vector.dtype != np.uint32 or vector.ndim != 1 or not vector.flags.c_contiguous:
        raise MisuseError("the vector must be one contiguous row of uint32")
    if not vector.flags.writeable:
        raise MisuseError("the vector must be writable")
    apply = np.add if sign == 1 else np.subtract
    keystream = Cipher(AES(seed), CTR(_START)).encryptor()
    scratch = bytearray(min(_SCRATCH_BYTES, vector.nbytes))
    pad = np.frombuffer(scratch, dtype="<u4")
    for start in range(0, vector.size, max(pad.size, 1)):
        part = vector[start : start + pad.size]
        keystream.update_into(_ZEROS[: part.nbytes], memoryview(scratch)[: part.nbytes])
        apply(part, pad[: part.size], out=part)
