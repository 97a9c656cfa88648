"""The kept memory of the server optimiser: one safetensors file per state, named by the state's hash.

A state is stored before the record that releases its round, so a coordinator that is killed at any moment
finds the state that belongs to the model released last; one that no record names is left over and forgotten.
"""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fecosr.errors import StorageError
from fecosr.federation.optimisers import OptimiserState
from fecosr.storage.archive import Files

SUFFIX = ".safetensors"


class OptimiserStateStore:
    """Keep states of the server optimiser in `files`."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def save(self, state: OptimiserState) -> bytes:
        """Store `state` and return its hash once it lasts.

        Raises:
            StorageError: it could not be stored.
        """
        digest = state.hash()
        moments = {name: np.ascontiguousarray(moment, dtype="<f4") for name, moment in state.moments.items()}
        self._files.write(_name(digest), save(moments))
        return digest

    def load(self, digest: bytes) -> OptimiserState:
        """Return the state with this hash.

        Raises:
            StorageError: missing, damaged, or another state than the name says.
        """
        name = _name(digest)
        return _decode(self._files.read(name), digest, self._files.place(name))

    def forget_all_but(self, digest: bytes) -> None:
        """Delete every state but the one with this hash: earlier ones follow from the sums.

        Raises:
            StorageError: one could not be deleted.
        """
        for name in self._files.names():
            if name.endswith(SUFFIX) and name != _name(digest):
                self._files.delete(name)


def read_state(folder: Path, digest: bytes) -> OptimiserState:
    """Return the state with this hash from `folder`, which is only read.

    Raises:
        StorageError: missing, damaged, or another state than the name says.
    """
    path = folder / _name(digest)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
    return _decode(data, digest, str(path))


def _decode(data: bytes, digest: bytes, place: str) -> OptimiserState:
    try:
        state = OptimiserState(load(data))
    except SafetensorError:
        raise StorageError(f"{place}: is not a whole safetensors file") from None
    if any(moment.dtype != np.float32 for moment in state.moments.values()) or state.hash() != digest:
        raise StorageError(f"{place}: holds another state than its name says")
    return state


def _name(digest: bytes) -> str:
    return f"{digest.hex()}{SUFFIX}"
