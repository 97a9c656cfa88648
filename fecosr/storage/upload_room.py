"""Where an upload waits until it is whole: in memory while there is some to spare, otherwise in a file."""

from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from fecosr.errors import StorageError

Octets = npt.NDArray[np.uint8]
MEMORY_BYTES: Final = 128 << 20
"""What all uploads of a spool together may take of memory, by the size they announced."""


class Room(Protocol):
    """Hold the bytes of one upload in order."""

    @property
    def is_open(self) -> bool:
        """Return whether more can be written."""

    @property
    def is_quick(self) -> bool:
        """Return whether writing never waits for a disk."""

    def write(self, chunk: bytes | memoryview) -> None:
        """Append `chunk`, which fits; raises StorageError when the disk refuses."""

    def octets(self) -> Octets:
        """Return everything that was written, and write no more; what is in memory may be changed."""

    def close(self) -> None:
        """Give back what nobody holds any more; a second call does nothing."""


class Memory:
    """Count what uploads take of a process's memory.

    Args:
        size_bytes: the most that may be taken at a time.
    """

    def __init__(self, size_bytes: int) -> None:
        self._left_bytes = size_bytes

    def room(self, size_bytes: int) -> Room | None:
        """Return room for so many bytes; None when there is none to spare."""
        return _InMemory(self, size_bytes) if size_bytes <= self._left_bytes else None

    def take(self, size_bytes: int) -> None:
        """Count `size_bytes` as taken; a negative number gives them back."""
        self._left_bytes -= size_bytes


class _InMemory:
    is_quick = True

    def __init__(self, memory: Memory, size_bytes: int) -> None:
        self._memory = memory
        self._octets = np.empty(size_bytes, dtype=np.uint8)
        self._taken_bytes = size_bytes
        self._written_bytes = 0
        memory.take(size_bytes)

    @property
    def is_open(self) -> bool:
        return self._taken_bytes > 0

    def write(self, chunk: bytes | memoryview) -> None:
        end = self._written_bytes + len(chunk)
        self._octets.data[self._written_bytes : end] = chunk
        self._written_bytes = end

    def octets(self) -> Octets:
        return self._octets[: self._written_bytes]

    def close(self) -> None:
        self._memory.take(-self._taken_bytes)
        self._taken_bytes = 0
        self._octets = np.empty(0, dtype=np.uint8)


class FileRoom:
    """Hold the bytes in a file, which is deleted in the end.

    Raises:
        StorageError: the file cannot be made.
    """

    is_quick = False

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Unbuffered: chunks are larger than any buffer.
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror}") from None

    @property
    def is_open(self) -> bool:
        """Return whether more can be written."""
        return not self._file.closed

    def write(self, chunk: bytes | memoryview) -> None:
        """Append `chunk`; raises StorageError when the disk refuses."""
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be written: {error.strerror}") from None

    def octets(self) -> Octets:
        """Return everything that was written, mapped from the file."""
        try:
            self._file.close()
            return np.memmap(self._path, dtype=np.uint8, mode="r")
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be read back: {error.strerror}") from None

    def close(self) -> None:
        """Delete the file; what `octets` returned keeps its contents until it goes, too."""
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)
