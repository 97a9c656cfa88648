"""Opened sums as they are kept: safetensors files of one uint32 vector, named by the hash in the ledger.

They say no more than the coordinator was told in each round, and let an auditor redo what it made of that.
"""

from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from fecosr.errors import StorageError
from fecosr.federation.aggregation import RingVector
from fecosr.storage.archive import Files
from fecosr.storage.vector_file import vector_parts

TENSOR: Final = "sum"


class SumStore:
    """Keep every opened sum of a run in `files` under its own hash."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def save(self, digest: bytes, total: RingVector) -> None:
        """Store the uint32 [length] `total` under its hash, which is not computed again.

        It lasts when this returns.

        Raises:
            StorageError: it could not be stored.
        """
        self._files.write(_name(digest), *vector_parts(TENSOR, total))


def sum_path(folder: Path, digest: bytes) -> Path:
    """Return where the sum with this hash stands in `folder`, or would."""
    return folder / _name(digest)


def read_sum(path: Path) -> RingVector:
    """Return the uint32 [length] that stands at `path`.

    Raises:
        StorageError: missing, damaged, or not one uint32 vector.
    """
    try:
        tensors = load(path.read_bytes())
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
    except SafetensorError:
        raise StorageError(f"{path}: is not a whole safetensors file") from None
    if tensors.keys() != {TENSOR} or tensors[TENSOR].dtype != np.uint32 or tensors[TENSOR].ndim != 1:
        raise StorageError(f"{path}: does not hold exactly one uint32 vector named {TENSOR!r}")
    total: RingVector = tensors[TENSOR]
    return total


def _name(digest: bytes) -> str:
    return f"{digest.hex()}.safetensors"
