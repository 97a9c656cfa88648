"""Keep masked vectors while they arrive: the coordinator's memory must not grow with the nodes.

They wait in memory where there is room for those of all nodes, otherwise in files. At rest the coordinator
holds masked vectors only, and none that outlives its process: nothing is fsynced. What a crash left behind is
deleted at start-up, because its session died with the process.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from fecosr.errors import ProtocolViolation, StorageError
from fecosr.ids import NodeId
from fecosr.secagg.messages import Phase
from fecosr.storage.atomic_files import make_folder
from fecosr.storage.upload_room import MEMORY_BYTES, FileRoom, Memory, Room


@dataclass(frozen=True, slots=True, eq=False)
class SpooledVector:
    """Hold a masked vector that arrived whole.

    Attributes:
        octets: uint8 [size_bytes], in memory or mapped from a file without a name, which goes with the last
            reference.
        digest: their SHA-256.
    """

    octets: npt.NDArray[np.uint8] = field(repr=False)
    digest: bytes


class Upload:
    """Receive one node's vector chunk by chunk; leaving the `with` block unfinished discards it.

    Args:
        room: where it is kept meanwhile.
        node: whose it is.
        size_bytes: how much must arrive.
        when_over: called when nothing is left to discard, perhaps more than once.
    """

    def __init__(
        self, room: Room, node: NodeId, size_bytes: int, when_over: Callable[["Upload"], None]
    ) -> None:
        self._room = room
        self._node = node
        self._expected_bytes = size_bytes
        self._when_over = when_over
        self._received_bytes = 0
        self._suspended_for = b""
        self._hash = hashlib.sha256()
        self._digested_bytes = 0
        self._hashing = Lock()

    @property
    def received_bytes(self) -> int:
        """Return how much has arrived."""
        return self._received_bytes

    @property
    def is_quick(self) -> bool:
        """Return whether `receive` never waits for a disk, and leaves the hash to `digest`."""
        return self._room.is_quick

    @property
    def undigested_bytes(self) -> int:
        """Return how much of what has arrived is not part of the hash yet."""
        return self._received_bytes - self._digested_bytes

    def suspend(self, sha256: bytes) -> None:
        """Keep what arrived for an upload of the same bytes, which have this SHA-256, to go on with."""
        if self._room.is_open:
            self._suspended_for = sha256

    @property
    def is_suspended(self) -> bool:
        """Return whether it waits for an upload of the same bytes."""
        return self._suspended_for != b"" and self._room.is_open

    def goes_on_with(self, size_bytes: int, sha256: bytes) -> bool:
        """Return whether this upload was suspended, and bytes of this size and SHA-256 complete it."""
        is_same = (size_bytes, sha256) == (self._expected_bytes, self._suspended_for)
        return is_same and self._room.is_open

    def receive(self, chunk: bytes | memoryview) -> None:
        """Append `chunk`.

        Raises:
            ProtocolViolation: more bytes than a vector has; the upload is discarded.
            StorageError: the disk refused, or the upload is over; it is discarded.
        """
        if not self._room.is_open:
            raise StorageError(f"the upload of {self._node} is over")
        self._received_bytes += len(chunk)
        if self._received_bytes > self._expected_bytes:
            self.discard()
            raise self._violation(f"sent more than {self._expected_bytes} bytes")
        try:
            self._room.write(chunk)
        except StorageError:
            self.discard()
            raise
        if not self.is_quick:
            self._hash.update(chunk)
            self._digested_bytes = self._received_bytes

    def digest(self) -> None:
        """Hash what has arrived; may be called on a thread while more arrives, and when all is over."""
        with self._hashing:
            start, end = self._digested_bytes, self._received_bytes
            part = self._room.part(start, end)
            if part is not None:
                self._hash.update(part.data)
                self._digested_bytes = end

    def finish(self) -> SpooledVector:
        """Return the vector that arrived; a file loses its name, so nothing is left to delete later.

        Raises:
            ProtocolViolation: fewer bytes than a vector has; the upload is discarded.
            StorageError: the disk refused, or the upload is over.
        """
        if not self._room.is_open:
            raise StorageError(f"the upload of {self._node} is over")
        if self._received_bytes < self._expected_bytes:
            self.discard()
            raise self._violation(f"sent {self._received_bytes} of {self._expected_bytes} bytes")
        self.digest()
        try:
            octets = self._room.octets()
        finally:
            self.discard()
        return SpooledVector(octets, self._hash.digest())

    def discard(self) -> None:
        """Delete what arrived; a second call does nothing."""
        self._room.close()
        self._when_over(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._room.is_open:
            self.discard()

    def _violation(self, rule: str) -> ProtocolViolation:
        return ProtocolViolation(self._node, Phase.MASKED_INPUT, rule)


class UploadSpool:
    """Keep the vectors that are arriving, at most one of each node.

    Args:
        folder: for those there is no room for in memory.
        num_nodes: how many may send one at a time. Either the vectors of all of them fit into memory, or none
            is kept there, so that with many nodes no memory is taken for a few.
        memory_bytes: what all together may take.

    Raises:
        ConfigError: there cannot be such a folder.
    """

    def __init__(self, folder: Path, num_nodes: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder = folder
        self._share_bytes = memory_bytes // num_nodes
        self._memory = Memory(memory_bytes)
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
        self._discard_suspended((round_number, attempt))
        path = self._folder / f"{round_number}-{attempt}-{node}-{next(self._serial)}.upload"
        room = self._memory.room(size_bytes) if size_bytes <= self._share_bytes else None
        room = room or FileRoom(path)
        upload = Upload(room, node, size_bytes, partial(self._forget, node))
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

    def _discard_suspended(self, current: tuple[int, int]) -> None:
        """Discard what broke off in attempts before the current one: nothing can go on with it."""
        for *attempted, upload in tuple(self._open.values()):
            if upload.is_suspended and tuple(attempted) != current:
                upload.discard()

    def _forget(self, node: NodeId, upload: Upload) -> None:
        if node in self._open and self._open[node][2] is upload:
            del self._open[node]
