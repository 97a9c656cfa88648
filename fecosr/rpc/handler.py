"""What a coordinator server needs from the process it runs in, as protocols that other packages satisfy."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from fecosr.federation.messages import Hello, NodeMessage
from fecosr.ids import NodeId
from fecosr.wire.transfers import UploadHeader


class CoordinatorHandler(Protocol):
    """Be told what the nodes do.

    Guarantees:
        For one node the calls of `connected`, `received` and `disconnected` never overlap. Every
        `disconnected` follows a `connected`; a node that comes back over a newer connection is `connected`
        again without a `disconnected` between. No call is cut short because a node hung up.
    """

    async def connected(self, node: NodeId, hello: Hello) -> None:
        """Learn that `node` is there; from now on it can be sent to."""

    async def received(self, node: NodeId, message: NodeMessage) -> None:
        """Take a message; a ProtocolViolation raised here ends the node's connection."""

    async def disconnected(self, node: NodeId) -> None:
        """Learn that `node` is gone."""

    def expected_upload_bytes(self, node: NodeId, round_number: int, attempt: int) -> int | None:
        """Return the size of the masked vector that is waited for from `node`, or None when none is."""

    async def masked_input(self, node: NodeId, header: UploadHeader, received: "ReceivedVector") -> bool:
        """Take a whole masked vector before its receipt leaves, and return whether it is in the sum.

        It is not when its attempt went on or ended without it; a ProtocolViolation refuses it.
        """


class ModelSource(Protocol):
    """Hold the shared parameters that nodes may fetch."""

    def parameters(self, node: NodeId, model_hash: bytes) -> memoryview | None:
        """Return the float32 little-endian bytes with this SHA-256, or None when `node` may not have them."""


class ReceivedVector(Protocol):
    """Hold an upload that arrived whole."""

    @property
    def octets(self) -> npt.NDArray[np.uint8]:
        """Return its bytes."""

    @property
    def digest(self) -> bytes:
        """Return their SHA-256, taken while they arrived."""


class Upload(Protocol):
    """Receive one upload; `digest` and `finish` are called on a thread, and `receive` unless it is quick."""

    @property
    def is_quick(self) -> bool:
        """Return whether `receive` never waits for a disk, and leaves the hash to `digest`."""

    @property
    def undigested_bytes(self) -> int:
        """Return how much of what has arrived is not part of the hash yet."""

    def digest(self) -> None:
        """Hash what has arrived, perhaps while more arrives, perhaps when all is over."""

    @property
    def received_bytes(self) -> int:
        """Return how much has arrived."""

    def suspend(self, sha256: bytes) -> None:
        """Keep what arrived for an upload of the same bytes to go on with."""

    def receive(self, chunk: memoryview) -> None:
        """Append `chunk`; raises ProtocolViolation when that is more than was announced."""

    def finish(self) -> ReceivedVector:
        """Return what arrived; raises ProtocolViolation when that is less than was announced."""

    def discard(self) -> None:
        """Forget what arrived; a second call does nothing."""


class UploadSink(Protocol):
    """Receive uploads, outside of memory where they are many."""

    def open(self, round_number: int, attempt: int, node: NodeId, size_bytes: int) -> Upload:
        """Begin to receive so many bytes; whatever the node sent before is forgotten."""

    def resume(
        self, round_number: int, attempt: int, node: NodeId, size_bytes: int, sha256: bytes
    ) -> Upload | None:
        """Return the suspended upload of this attempt that such bytes complete, if there is one."""
