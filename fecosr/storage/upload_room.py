"""Where an upload waits until it is whole: in memory while there is some to spare, otherwise in a file."""

import weakref
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from fecosr.errors import StorageError

Octets = npt.NDArray[np.uint8]
MEMORY_BYTES: Final = 200 << 20
"""What the uploads of all nodes together may take of memory: one vector each of five nodes of ten million."""


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

    def part(self, start: int, end: int) -> Octets | None:
        """Return what was written from `start` to `end`; None where it is not in memory, or not any more."""

    def octets(self) -> Octets:
        """Return everything that was written, and write no more; what is in memory may be changed."""

    def close(self) -> None:
        """Give back what nobody holds any more; a second call does nothing."""


class Memory:
    """Lend memory to uploads, the same over and over: new pages would have to be cleared in every round.

    Args:
        size_bytes: the most that is lent and kept together.
    """

    def __init__(self, size_bytes: int) -> None:
        self._left_bytes = size_bytes
        self._spare: list[Octets] = []
        # Garbage may be collected, and so taken back, in the middle of lending.
        self._lock = RLock()

    def room(self, size_bytes: int) -> Room | None:
        """Return room for so many bytes; None when there is none to spare."""
        with self._lock:
            if size_bytes > self._left_bytes:
                return None
            self._left_bytes -= size_bytes
            # All vectors of a run but its sketches have one size, so what is kept fits or is given up.
            self._spare = [block for block in self._spare if block.size == size_bytes]
            block = self._spare.pop() if self._spare else np.empty(size_bytes, dtype=np.uint8)
        # A buffer of its own, so that no view of it outlives it unnoticed.
        octets = np.frombuffer(block.data, dtype=np.uint8)
        weakref.finalize(octets, self._take_back, block)
        return _InMemory(octets)

    def _take_back(self, block: Octets) -> None:
        """Keep what nobody looks at any more; may be called on any thread."""
        with self._lock:
            self._left_bytes += block.size
            self._spare.append(block)


class _InMemory:
    is_quick = True

    def __init__(self, octets: Octets) -> None:
        self._octets: Octets | None = octets
        self._written_bytes = 0

    @property
    def is_open(self) -> bool:
        return self._octets is not None

    def write(self, chunk: bytes | memoryview) -> None:
        if self._octets is None:
            raise StorageError("the room is closed")
        end = self._written_bytes + len(chunk)
        self._octets.data[self._written_bytes : end] = chunk
        self._written_bytes = end

    def part(self, start: int, end: int) -> Octets | None:
        octets = self._octets
        return None if octets is None else octets[start:end]

    def octets(self) -> Octets:
        if self._octets is None:
            raise StorageError("the room is closed")
        return self._octets[: self._written_bytes]

    def close(self) -> None:
        self._octets = None


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

    def part(self, start: int, end: int) -> Octets | None:
        """Return None: what is in a file was hashed when it came."""
        del start, end
        return None

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
