"""One hash over everything a state holds, to show that a rejected message changed nothing."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping

import numpy as np


def fingerprint(value: object) -> bytes:
    """Return a SHA-256 that changes with any part of `value`."""
    digest = hashlib.sha256()
    for piece in _pieces(value):
        digest.update(len(piece).to_bytes(8, "big") + piece)
    return digest.digest()


def _pieces(value: object) -> Iterator[bytes]:
    yield type(value).__name__.encode()
    if isinstance(value, np.ndarray):
        yield str((value.dtype, value.shape)).encode()
        yield value.tobytes()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            # What does not take part in comparisons is a cache of what does.
            if field.compare:
                yield from _pieces(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _pieces(name)
            yield from _pieces(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _pieces(part)
    elif isinstance(value, set | frozenset):
        yield from sorted(fingerprint(part) for part in value)
    else:
        yield repr(value).encode()
