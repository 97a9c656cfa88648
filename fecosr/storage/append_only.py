"""A file of lines that only ever grows; a line is in it once `append` has returned, and not before."""

import os
from pathlib import Path

from fecosr.errors import StorageError
from fecosr.storage.atomic_files import sync_folder
from fecosr.storage.lock import OwnerLock


class AppendOnlyLines:
    """Own the file at `path`: lock it, mend a torn end, read all lines, append durably.

    A crash in the middle of `append` leaves a last line without a newline. Nobody was told that this line was
    stored, so opening the file cuts it off. A write that fails while running closes the file for good: nobody
    knows what the disk holds after a failed fsync, and only opening it again finds out.

    Raises:
        StorageError: in use by another process, or the disk refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)
        self._lock = OwnerLock(path.with_name(f"{path.name}.lock"))
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            sync_folder(path.parent)
            self._mend()
        except OSError as error:
            self.close()
            raise StorageError(f"{path}: cannot be opened: {error.strerror}") from None

    def read(self) -> list[bytes]:
        """Return all lines, without their newlines."""
        return self.path.read_bytes().split(b"\n")[:-1]

    def append(self, line: bytes) -> None:
        """Store `line`, which holds no newline, at the end of the file.

        Raises:
            StorageError: the disk refused, now or before; the file must be opened again.
        """
        if self._descriptor < 0:
            raise StorageError(f"{self.path}: closed")
        try:
            self._write(line + b"\n")
            os.fsync(self._descriptor)
        except OSError as error:
            self.close()
            raise StorageError(f"{self.path}: cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._lock.release()

    def _mend(self) -> None:
        data = self.path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end < len(data):
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
