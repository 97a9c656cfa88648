"""Public random signs, the same in every market, and vectors of length one."""

import hashlib

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def random_signs(domain: bytes, name: bytes, size: int, seed: int) -> npt.NDArray[np.int8]:
    """Return `size` signs that nothing but the arguments decides, int8 [size]; `size` is a multiple of 8."""
    # SHAKE rather than a numpy generator: its output is fixed by a standard, not by a library's version.
    material = domain + seed.to_bytes(8, "big") + name
    bits = np.frombuffer(hashlib.shake_128(material).digest(size // 8), np.uint8)
    return np.unpackbits(bits).astype(np.int8) * np.int8(2) - np.int8(1)


def normalised(vectors: FloatArray) -> FloatArray:
    """Return the rows with length one; rows of zeros stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
