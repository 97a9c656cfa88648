"""Random generators for named purposes, so that one draw more in one place changes nothing elsewhere."""

import hashlib

import numpy as np


def generator_for(seed: int, *purpose: str) -> np.random.Generator:
    """Return a generator that depends on the seed and the purpose alone.

    Guarantees: generators for different purposes are independent; nothing here is fit for secrets.
    """
    digest = hashlib.sha256("\0".join((str(seed), *purpose)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
