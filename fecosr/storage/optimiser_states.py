"""What the server optimiser remembers, on disk: one safetensors file per state, named by the state's hash.

A state is stored before the record that releases its round, so a coordinator that is killed at any moment
finds the state that belongs to the model released last; one that no record names is left over and forgotten.
"""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fecosr.errors import StorageError
from fecosr.federation.optimisers import OptimiserState
from fecosr.storage.atomic_files import make_folder, remove_partial_files, write_bytes

SUFFIX = ".safetensors"


class OptimiserStateStore:
    """Keep states of the server optimiser in `folder`.

    Raises:
        ConfigError: there cannot be such a folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_folder(folder)
        remove_partial_files(folder)

    def save(self, state: OptimiserState) -> bytes:
        """Store `state` and return its hash once it is on the disk.

        Raises:
            StorageError: the disk refused.
        """
        digest = state.hash()
        moments = {name: np.ascontiguousarray(moment, dtype="<f4") for name, moment in state.moments.items()}
        write_bytes(_path(self.folder, digest), save(moments))
        return digest

    def load(self, digest: bytes) -> OptimiserState:
        """Return the state with this hash.

        Raises:
            StorageError: missing, damaged, or another state than the name says.
        """
        return read_state(self.folder, digest)

    def forget_all_but(self, digest: bytes) -> None:
        """Delete every state but the one with this hash: earlier ones follow from the sums.

        Raises:
            StorageError: the disk refused.
        """
        for path in self.folder.glob(f"*{SUFFIX}"):
            if path.stem != digest.hex():
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise StorageError(f"{path}: cannot be deleted: {error.strerror}") from None


def read_state(folder: Path, digest: bytes) -> OptimiserState:
    """Return the state with this hash from `folder`, which is only read.

    Raises:
        StorageError: missing, damaged, or another state than the name says.
    """
    path = _path(folder, digest)
    try:
        state = OptimiserState(load(path.read_bytes()))
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
    except SafetensorError:
        raise StorageError(f"{path}: is not a whole safetensors file") from None
    if any(moment.dtype != np.float32 for moment in state.moments.values()) or state.hash() != digest:
        raise StorageError(f"{path}: holds another state than its name says")
    return state


def _path(folder: Path, digest: bytes) -> Path:
    return folder / f"{digest.hex()}{SUFFIX}"
