"""The newest audit that somebody put where the coordinator looks; it is shown, never believed."""

import json
from pathlib import Path
from typing import Final

from fecosr.observability.page import AuditSeen, audit_from

MOST_BYTES: Final = 4 << 20


class AuditFile:
    """Read what `fecosr audit --out` wrote, once for every time it is written.

    Args:
        path: of the file, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._seen: AuditSeen | None = None

    def newest(self) -> AuditSeen | None:
        """Return the audit that stands in the file now; None when there is no file."""
        try:
            found = self._path.stat()
        except OSError:
            self._stamp = self._seen = None
            return None
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._seen = audit_from(self._value(found.st_size), found.st_mtime)
            self._stamp = stamp
        return self._seen

    def _value(self, size_bytes: int) -> object:
        if size_bytes > MOST_BYTES:
            return None
        try:
            return json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
