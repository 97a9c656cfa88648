"""Blocks of vectors that took long to make, one safetensors file each, named by what is in them."""

import re
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fecosr.errors import MisuseError
from fecosr.storage.atomic_files import make_folder, write_bytes

_TENSOR: Final = "vectors"


class VectorFolder:
    """Keep blocks in a folder, which is made with the first of them; it may be deleted at any time.

    Args:
        folder: several processes may use it at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> npt.NDArray[np.float32] | None:
        """Return the block of this name; None where there is none, or what stands there is damaged."""
        try:
            vectors = load(self._path(name).read_bytes())[_TENSOR]
        except (OSError, SafetensorError, KeyError):
            return None
        if vectors.ndim != 2 or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
            return None
        return vectors

    def store(self, name: str, vectors: npt.NDArray[np.float32]) -> None:
        """Keep a block, float32 [rows, E]; it is on the disk when this returns.

        Raises:
            ConfigError: there cannot be such a folder.
            StorageError: the disk refused.
        """
        make_folder(self._folder)
        write_bytes(self._path(name), save({_TENSOR: np.ascontiguousarray(vectors)}))

    def _path(self, name: str) -> Path:
        if re.fullmatch(r"[0-9a-f]{64}", name) is None:
            raise MisuseError("a block is named by a SHA-256")
        return self._folder / f"{name}.safetensors"
