"""One vector as a safetensors file, written straight from memory; the library would copy it twice before.

For ten million parameters these copies take longer than the disk.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.errors import MisuseError
from fecosr.storage.atomic_files import write_bytes

_NAMES: Final = {np.dtype("<f4"): "F32", np.dtype("<u4"): "U32"}
_ALIGNMENT: Final = 8
_LENGTH_BYTES: Final = 8


Vector = npt.NDArray[np.float32] | npt.NDArray[np.uint32]


def write_vector(path: Path, name: str, vector: Vector, metadata: Mapping[str, str] | None = None) -> None:
    """Replace the file at `path` by one that holds `vector` as the tensor `name`.

    Raises:
        MisuseError: neither a float32 nor a uint32 vector.
        StorageError: the disk refused; the old file still stands.
    """
    write_bytes(path, *vector_parts(name, vector, metadata))


def vector_parts(
    name: str, vector: Vector, metadata: Mapping[str, str] | None = None
) -> tuple[bytes | memoryview, ...]:
    """Return what a file that holds `vector` as the tensor `name` consists of, one after the other.

    Raises:
        MisuseError: neither a float32 nor a uint32 vector.

    Reference: the safetensors format, https://github.com/huggingface/safetensors#format
    """
    row = np.ascontiguousarray(vector, dtype=vector.dtype.newbyteorder("<"))
    if row.ndim != 1 or row.dtype not in _NAMES:
        raise MisuseError("a vector file holds one row of float32 or uint32")
    tensor = {"dtype": _NAMES[row.dtype], "shape": [row.size], "data_offsets": [0, row.nbytes]}
    described: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    header = json.dumps({**described, name: tensor}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    return len(header).to_bytes(_LENGTH_BYTES, "little"), header, row.data
