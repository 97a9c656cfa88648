"""Spool masked vectors to disk while they arrive: the coordinator's memory must not grow with the nodes.

At rest the coordinator holds masked vectors only, and none that outlives its process: nothing is fsynced.
What a crash left behind is deleted at start-up, because its session died with the process.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from fecosr.errors import ProtocolViolation, StorageError
from fecosr.ids import NodeId
from fecosr.secagg.messages import Phase
from fecosr.storage.atomic_files import make_folder


@dataclass(frozen=True, slots=True, eq=False)
class SpooledVector:
    """Hold a masked vector that arrived whole.

    Attributes:
        octets: uint8 [size_bytes], mapped from a file without a name; the file goes with the last reference.
        digest: their SHA-256.
    """

    octets: npt.NDArray[np.uint8] = field(repr=False)
    digest: bytes


class Upload:
    """Receive one node's vector chunk by chunk; leaving the `with` block unfinished discards it.

    Args:
        path: where it is kept meanwhile.
        node: whose it is.
        size_bytes: how much must arrive.
        when_over: called when nothing is left to discard, perhaps more than once.
    """

    def __init__(
        self, path: Path, node: NodeId, size_bytes: int, when_over: Callable[["Upload"], None]
    ) -> None:
        self._path = path
        self._node = node
        self._expected_bytes = size_bytes
        self._when_over = when_over
        self._received_bytes = 0
        self._suspended_for = b""
        self._hash = hashlib.sha256()
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror}") from None

    @property
    def received_bytes(self) -> int:
        """Return how much has arrived."""
        return self._received_bytes

    def suspend(self, sha256: bytes) -> None:
        """Keep what arrived for an upload of the same bytes, which have this SHA-256, to go on with."""
        if not self._file.closed:
            self._suspended_for = sha256

    def goes_on_with(self, size_bytes: int, sha256: bytes) -> bool:
        """Return whether this upload was suspended, and bytes of this size and SHA-256 complete it."""
        is_same = (size_bytes, sha256) == (self._expected_bytes, self._suspended_for)
        return is_same and not self._file.closed

    def receive(self, chunk: bytes | memoryview) -> None:
        """Append `chunk`.

        Raises:
            ProtocolViolation: more bytes than a vector has; the upload is discarded.
            StorageError: the disk refused, or the upload is over; it is discarded.
        """
        if self._file.closed:
            raise StorageError(f"the upload of {self._node} is over")
        self._received_bytes += len(chunk)
        if self._received_bytes > self._expected_bytes:
            self.discard()
            raise self._violation(f"sent more than {self._expected_bytes} bytes")
        try:
            self._file.write(chunk)
        except OSError as error:
            self.discard()
            raise StorageError(f"{self._path}: cannot be written: {error.strerror}") from None
        self._hash.update(chunk)

    def finish(self) -> SpooledVector:
        """Return the vector that arrived; its file loses its name, so nothing is left to delete later.

        Raises:
            ProtocolViolation: fewer bytes than a vector has; the upload is discarded.
            StorageError: the disk refused, or the upload is over.
        """
        if self._file.closed:
            raise StorageError(f"the upload of {self._node} is over")
        if self._received_bytes < self._expected_bytes:
            self.discard()
            raise self._violation(f"sent {self._received_bytes} of {self._expected_bytes} bytes")
        try:
            self._file.close()
            octets = np.memmap(self._path, dtype=np.uint8, mode="r")
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be read back: {error.strerror}") from None
        finally:
            self.discard()
        return SpooledVector(octets, self._hash.digest())

    def discard(self) -> None:
        """Delete what arrived; a second call does nothing."""
        # A buffered rest that cannot be written is about to be deleted anyway.
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)
        self._when_over(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.closed:
            self.discard()

    def _violation(self, rule: str) -> ProtocolViolation:
        return ProtocolViolation(self._node, Phase.MASKED_INPUT, rule)


class UploadSpool:
    """Keep the vectors that are arriving in `folder`, at most one of each node.

    Raises:
        ConfigError: there cannot be such a folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._serial = count()
        self._open: dict[NodeId, tuple[int, int, Upload]] = {}
        make_folder(folder)
        for stale in folder.glob("*.upload"):
            stale.unlink()

    def open(self, round_number: int, attempt: int, node: NodeId, size_bytes: int) -> Upload:
        """Begin to receive a vector of so many bytes, discarding what `node` sent before.

        Raises:
            StorageError: the disk refused.
        """
        if node in self._open:
            self._open[node][2].discard()
        path = self._folder / f"{round_number}-{attempt}-{node}-{next(self._serial)}.upload"
        upload = Upload(path, node, size_bytes, partial(self._forget, node))
        self._open[node] = (round_number, attempt, upload)
        return upload

    def resume(
        self, round_number: int, attempt: int, node: NodeId, size_bytes: int, sha256: bytes
    ) -> Upload | None:
        """Return the suspended upload of this attempt that these bytes complete, if there is one."""
        *attempted, upload = self._open.get(node, (0, 0, None))
        if upload is None or attempted != [round_number, attempt]:
            return None
        return upload if upload.goes_on_with(size_bytes, sha256) else None

    def discard_all(self) -> None:
        """Discard every unfinished upload, because their attempt is over."""
        for _, _, upload in tuple(self._open.values()):
            upload.discard()

    def _forget(self, node: NodeId, upload: Upload) -> None:
        if node in self._open and self._open[node][2] is upload:
            del self._open[node]
