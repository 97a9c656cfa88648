"""Replace whole files so that a crash leaves either the old content or the new, never a mixture."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fecosr.errors import ConfigError, StorageError
from fecosr.storage.direct_file import write_directly

LARGE_BYTES: Final = 8 << 20
"""From here on a file goes past the page cache, where the file system can."""
PARTIAL_SUFFIX = ".partial"
"""Ends the name of a file that was not finished; start-up may delete it."""


def write_bytes(path: Path, *parts: bytes | memoryview) -> None:
    """Replace the file at `path` by all `parts`: temporary file, fsync, rename, fsync of the folder.

    Raises:
        StorageError: the disk refused; the old file still stands.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        is_large = sum(memoryview(part).nbytes for part in parts) >= LARGE_BYTES
        if not (is_large and write_directly(partial, parts)):
            _write_through_cache(partial, parts)
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


def _write_through_cache(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, value: object) -> None:
    """Replace the file at `path` by `value` as indented JSON.

    Raises:
        StorageError: the disk refused; the old file still stands.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def make_folder(folder: Path) -> None:
    """Make sure that `folder`, which an operator named, is there.

    Raises:
        ConfigError: it cannot be: a file stands in its place, or this user may not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot be used as a folder: {error.strerror}",
            remedy="name another one as storage, or make it writable for this user",
            source=str(folder),
        ) from None


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; a renamed or new file is not before this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial_files(folder: Path) -> None:
    """Delete what a crash left unfinished in `folder`."""
    for partial in folder.glob(f".*{PARTIAL_SUFFIX}"):
        partial.unlink(missing_ok=True)
