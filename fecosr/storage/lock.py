"""Let one process at a time own a piece of durable state."""

import fcntl
import os
from pathlib import Path

from fecosr.errors import StorageError


class OwnerLock:
    """Hold an advisory lock until `release`; the kernel drops it when the process dies, however it dies.

    Args:
        path: the lock file; it stays when the lock is released, because deleting it would race.

    Raises:
        StorageError: another process (or another object in this one) holds it.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"{path}: cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise StorageError(f"{path}: in use by another process") from None

    def release(self) -> None:
        """Let the next owner in; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
