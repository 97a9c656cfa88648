"""Shared parameters as they are kept: safetensors files that hold one float32 vector, named by its hash.

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
from fecosr.federation.aggregation import is_finite, parameters_hash
from fecosr.storage.archive import Files
from fecosr.storage.vector_file import vector_parts, write_vector

TENSOR: Final = "shared"
Parameters = npt.NDArray[np.float32]


def write_parameters(path: Path, parameters: Parameters, metadata: Mapping[str, str]) -> None:
    """Replace the file at `path` by `parameters`, a finite float32 [P], and `metadata`.

    Raises:
        MisuseError: not a finite float32 vector.
        StorageError: the disk refused; the old file still stands.
    """
    _require_usable(parameters)
    write_vector(path, TENSOR, parameters, metadata)


def read_parameters(path: Path) -> Parameters:
    """Return the float32 [P] that stands at `path`.

    Raises:
        StorageError: missing, damaged, or not one finite float32 vector.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
    return _decode(data, str(path))


class ModelStore:
    """Keep every version of the shared parameters in `files` under its own hash."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def save(self, digest: bytes, parameters: Parameters, metadata: Mapping[str, str]) -> None:
        """Store `parameters` under their hash, which is not computed again; they last when this returns.

        Raises:
            MisuseError: not a finite float32 vector.
            StorageError: they could not be stored.
        """
        _require_usable(parameters)
        self._files.write(_name(digest), *vector_parts(TENSOR, parameters, metadata))

    def load(self, digest: bytes) -> Parameters:
        """Return the parameters with this hash.

        Raises:
            StorageError: missing, damaged, or other parameters than the name says.
        """
        name = _name(digest)
        place = self._files.place(name)
        parameters = _decode(self._files.read(name), place)
        if parameters_hash(parameters) != digest:
            raise StorageError(f"{place}: holds other parameters than its name says")
        return parameters

    def __contains__(self, digest: bytes) -> bool:
        return _name(digest) in self._files.names()


def _name(digest: bytes) -> str:
    return f"{digest.hex()}.safetensors"


def _decode(data: bytes, place: str) -> Parameters:
    try:
        tensors = load(data)
    except SafetensorError:
        raise StorageError(f"{place}: is not a whole safetensors file") from None
    if tensors.keys() != {TENSOR} or not _is_usable(tensors[TENSOR]):
        raise StorageError(f"{place}: does not hold exactly one finite float32 vector named {TENSOR!r}")
    parameters: Parameters = tensors[TENSOR]
    return parameters


def _require_usable(parameters: Parameters) -> None:
    if not _is_usable(parameters):
        raise MisuseError("shared parameters are a finite float32 vector")


def _is_usable(parameters: npt.NDArray[np.generic]) -> bool:
    return (
        parameters.ndim == 1
        and parameters.size > 0
        and parameters.dtype == np.float32
        and is_finite(parameters.view(np.float32))
    )
