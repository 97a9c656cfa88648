"""Shared parameters on disk: safetensors files that hold one float32 vector, named by its hash.

The hash is of the vector, not of the file: it is the one that stands in manifests and records.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load

from fecosr.errors import MisuseError, StorageError
from fecosr.federation.aggregation import parameters_hash
from fecosr.storage.atomic_files import make_folder, remove_partial_files
from fecosr.storage.vector_file import write_vector

TENSOR: Final = "shared"
Parameters = npt.NDArray[np.float32]
_PART: Final = 1 << 20
"""Parameters looked at together, so that looking takes no memory worth the name."""


def write_parameters(path: Path, parameters: Parameters, metadata: Mapping[str, str]) -> None:
    """Replace the file at `path` by `parameters`, a finite float32 [P], and `metadata`.

    Raises:
        MisuseError: not a finite float32 vector.
        StorageError: the disk refused; the old file still stands.
    """
    if not _is_usable(parameters):
        raise MisuseError("shared parameters are a finite float32 vector")
    write_vector(path, TENSOR, parameters, metadata)


def read_parameters(path: Path) -> Parameters:
    """Return the float32 [P] that stands at `path`.

    Raises:
        StorageError: missing, damaged, or not one finite float32 vector.
    """
    try:
        tensors = load(path.read_bytes())
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
    except SafetensorError:
        raise StorageError(f"{path}: is not a whole safetensors file") from None
    if tensors.keys() != {TENSOR} or not _is_usable(tensors[TENSOR]):
        raise StorageError(f"{path}: does not hold exactly one finite float32 vector named {TENSOR!r}")
    parameters: Parameters = tensors[TENSOR]
    return parameters


class ModelStore:
    """Keep every version of the shared parameters in `folder` under its own hash.

    Raises:
        ConfigError: there cannot be such a folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_folder(folder)
        remove_partial_files(folder)

    def path(self, digest: bytes) -> Path:
        """Return where the parameters with this hash stand, or would."""
        return self.folder / f"{digest.hex()}.safetensors"

    def save(self, digest: bytes, parameters: Parameters, metadata: Mapping[str, str]) -> None:
        """Store `parameters` under their hash, which is not computed again; they are on the disk then.

        Raises:
            MisuseError: not a finite float32 vector.
            StorageError: the disk refused.
        """
        write_parameters(self.path(digest), parameters, metadata)

    def load(self, digest: bytes) -> Parameters:
        """Return the parameters with this hash.

        Raises:
            StorageError: missing, damaged, or other parameters than the name says.
        """
        path = self.path(digest)
        parameters = read_parameters(path)
        if parameters_hash(parameters) != digest:
            raise StorageError(f"{path}: holds other parameters than its name says")
        return parameters

    def __contains__(self, digest: bytes) -> bool:
        return self.path(digest).is_file()


def _is_usable(parameters: npt.NDArray[np.generic]) -> bool:
    return (
        parameters.ndim == 1
        and parameters.size > 0
        and parameters.dtype == np.float32
        and all(np.isfinite(part).all() for part in np.array_split(parameters, -(-parameters.size // _PART)))
    )
