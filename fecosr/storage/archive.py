"""Where a coordinator keeps what has to outlast it: lines that only grow, and whole files by name.

On a disk that is a folder (`FolderArchive`); where a second machine has to be able to go on, it is a database
(`fecosr.storage.postgres`). The stores above cannot tell the two apart.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fecosr.errors import StorageError
from fecosr.storage.append_only import AppendOnlyLines
from fecosr.storage.atomic_files import make_folder, remove_partial_files, write_bytes


class Lines(Protocol):
    """Lines that only ever grow, with one owner at a time."""

    @property
    def place(self) -> str:
        """Say where they stand, for messages."""

    def read(self) -> list[bytes]:
        """Return all lines, without their newlines."""

    def append(self, line: bytes) -> None:
        """Store `line`, which holds no newline, behind the others; it lasts when this returns.

        Raises:
            StorageError: it could not be stored, now or before; only opening again finds out what is there.
        """

    def close(self) -> None:
        """Give them back; a second call does nothing."""


class Files(Protocol):
    """Whole files by name: whenever the process dies, each is the old one or the new one."""

    def place(self, name: str) -> str:
        """Say where this file stands, or would, for messages."""

    def write(self, name: str, *parts: bytes | memoryview) -> None:
        """Replace the file by all `parts`; they last when this returns.

        Raises:
            StorageError: they could not be stored; the old file still stands.
        """

    def read(self, name: str) -> bytes:
        """Return the file.

        Raises:
            StorageError: it is not there, or cannot be read.
        """

    def names(self) -> Sequence[str]:
        """Return the names of all files, in order."""

    def delete(self, name: str) -> None:
        """Delete the file, if it is there.

        Raises:
            StorageError: it could not be deleted.
        """


class Archive(Protocol):
    """Everything one coordinator keeps of one run."""

    def lines(self, name: str) -> Lines:
        """Open lines, which are made when they are not there.

        Raises:
            StorageError: somebody else owns them.
        """

    def files(self, folder: str = "") -> Files:
        """Open the files of a folder, which is made when it is not there.

        Raises:
            ConfigError: there cannot be such a folder.
        """


class FolderFiles:
    """Keep files in `folder`, each replaced atomically; what a crash left unfinished there is removed.

    Raises:
        ConfigError: there cannot be such a folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_folder(folder)
        remove_partial_files(folder)

    def place(self, name: str) -> str:
        """Return the file's path."""
        return str(self.folder / name)

    def write(self, name: str, *parts: bytes | memoryview) -> None:
        """Replace the file; it is on the disk when this returns."""
        write_bytes(self.folder / name, *parts)

    def read(self, name: str) -> bytes:
        """Return the file."""
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise StorageError(f"{self.place(name)}: cannot be read: {error.strerror}") from None

    def names(self) -> Sequence[str]:
        """Return the names of all files, in order."""
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())

    def delete(self, name: str) -> None:
        """Delete the file, if it is there."""
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{self.place(name)}: cannot be deleted: {error.strerror}") from None


class FolderArchive:
    """Keep a run in `folder`, which is made when something is opened in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lines(self, name: str) -> Lines:
        """Open a file of lines, which this process owns then."""
        make_folder(self._folder)
        return AppendOnlyLines(self._folder / name)

    def files(self, folder: str = "") -> Files:
        """Open a folder of files."""
        return FolderFiles(self._folder / folder)
