"""A seed becomes a vector that nobody without the seed can tell from uniform: the AES-256-CTR keystream.

The seed is the AES key and the counter starts at zero, so a seed must be used for one vector only.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from fecosr.errors import MisuseError

PRG_SEED_BYTES: Final = 32
BLOCK_ELEMENTS: Final = 1 << 16
"""Elements handled at a time: few enough that the block, and the keystream for it, are still in cache."""
ALIGNMENT: Final = 4
"""Elements that share one AES block: a keystream can be entered at multiples of this."""
_ELEMENT_BYTES: Final = 4
_ZEROS: Final = memoryview(bytes(BLOCK_ELEMENTS * _ELEMENT_BYTES))
_COUNTER_BYTES: Final = 16


class Keystream:
    """Give out the keystream of a seed, the next elements with every call, with no copy of its own.

    Args:
        seed: 32 bytes that mask nothing else.
        start: the first element to give out, a multiple of 4.

    Raises:
        MisuseError: an argument is not as described.
    """

    def __init__(self, seed: bytes, start: int = 0) -> None:
        if len(seed) != PRG_SEED_BYTES:
            raise MisuseError(f"a seed is {PRG_SEED_BYTES} bytes")
        if start < 0 or start % ALIGNMENT:
            raise MisuseError(f"a keystream is entered at a multiple of {ALIGNMENT} elements")
        counter = (start // ALIGNMENT).to_bytes(_COUNTER_BYTES, "big")
        self._encryptor = Cipher(AES(seed), CTR(counter)).encryptor()

    def fill(self, block: npt.NDArray[np.uint32]) -> None:
        """Overwrite `block`, uint32 [at most BLOCK_ELEMENTS], with the next elements."""
        self._encryptor.update_into(_ZEROS[: block.nbytes], block.data.cast("B"))


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
    keystream = Keystream(seed)
    vector = np.empty(length, dtype="<u4")  # [length]
    for start in range(0, length, BLOCK_ELEMENTS):
        keystream.fill(vector[start : start + BLOCK_ELEMENTS])
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
    add_keystreams(vector, [(seed, sign)])


def add_keystreams(vector: npt.NDArray[np.uint32], signed_seeds: Iterable[tuple[bytes, int]]) -> None:
    """Add or subtract the keystreams of many seeds in one pass over the vector, in place and modulo 2^32.

    Args:
        vector: uint32 [length], contiguous and writable.
        signed_seeds: seeds that mask nothing else, each with 1 (add) or -1 (subtract).

    Raises:
        MisuseError: an argument is not as described; the vector is as it was.
    """
    if vector.dtype != np.uint32 or vector.ndim != 1 or not vector.flags.c_contiguous:
        raise MisuseError("the vector must be one contiguous row of uint32")
    if not vector.flags.writeable:
        raise MisuseError("the vector must be writable")
    masks = Masks(signed_seeds)
    for start in range(0, vector.size, BLOCK_ELEMENTS):
        masks.apply(vector[start : start + BLOCK_ELEMENTS])


class Masks:
    """Apply many keystreams to a vector that passes by block after block.

    Args:
        signed_seeds: seeds that mask nothing else, each with 1 (add) or -1 (subtract).

    Raises:
        MisuseError: an argument is not as described.
    """

    def __init__(self, signed_seeds: Iterable[tuple[bytes, int]]) -> None:
        self._keystreams = [(Keystream(seed), _operation(sign)) for seed, sign in signed_seeds]
        self._scratch = np.empty(BLOCK_ELEMENTS, dtype="<u4")

    def apply(self, block: npt.NDArray[np.uint32]) -> None:
        """Add and subtract, in place, the next elements of every keystream, at most BLOCK_ELEMENTS."""
        pad = self._scratch[: block.size]
        for keystream, operation in self._keystreams:
            keystream.fill(pad)
            operation(block, pad, out=block)


def _operation(sign: int) -> np.ufunc:
    if sign not in (1, -1):
        raise MisuseError("sign must be 1 or -1")
    return np.add if sign == 1 else np.subtract
