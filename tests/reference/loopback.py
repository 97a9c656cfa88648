"""A federation on loopback: certificates, a handler that remembers, a sink in memory, a raw channel."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import grpc.aio
import numpy as np
import numpy.typing as npt

from fecosr.errors import ProtocolViolation
from fecosr.federation.messages import Hello, NodeMessage
from fecosr.ids import NodeId, RunId
from fecosr.rpc.certificates import Credential, create_authority, issue_coordinator, issue_node
from fecosr.rpc.coordinator_server import CoordinatorServer
from fecosr.rpc.handler import ModelSource, ReceivedVector
from fecosr.rpc.listener import Listener, listen
from fecosr.rpc.node_client import NodeClient
from fecosr.rpc.patience import Patience
from fecosr.rpc.tls import TlsFiles
from fecosr.wire.transfers import UploadHeader

# TLS compares certificates with the machine's real clock, so these tests cannot choose the year.
NOW = datetime.now(UTC)  # noqa: TID251 - see above
DE, FR = NodeId("de"), NodeId("fr")
ROSTER = (DE, FR)
HELLO = Hello(RunId("first-light"), bytes(32), "0.1.0", None)


def clock() -> datetime:
    """Return the time these tests run at."""
    return NOW


class Kits:
    """Issue certificates of one authority into files."""

    def __init__(self, folder: Path, name: str = "kits") -> None:
        self.authority = create_authority(name, NOW, 365)
        self._folder = folder / name
        self._folder.mkdir()

    def coordinator(self, hosts: Iterable[str] = ("127.0.0.1",), now: datetime = NOW) -> TlsFiles:
        """Return the files of a coordinator."""
        return self.files("coordinator", issue_coordinator(self.authority, tuple(hosts), now, 30))

    def node(self, name: NodeId, now: datetime = NOW) -> TlsFiles:
        """Return the files of a node."""
        return self.files(name, issue_node(self.authority, name, now, 30))

    def expired_node(self, name: NodeId) -> TlsFiles:
        """Return the files of a node whose certificate is no longer good."""
        return self.node(name, NOW - timedelta(days=40))

    def files(self, name: str, credential: Credential, authority: bytes | None = None) -> TlsFiles:
        """Write `credential` and the authority it goes with."""
        folder = self._folder / f"{name}-{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        files = TlsFiles(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
        files.authority.write_bytes(authority or self.authority.certificate)
        credential.write(files.certificate, files.key)
        return files


class Event(NamedTuple):
    """Hold one call of the handler."""

    kind: str
    node: NodeId
    content: object = None


@dataclass
class RecordingHandler:
    """Remember what the server reports, in order."""

    expected_bytes: dict[NodeId, int] = field(default_factory=dict)
    refuses: str = ""
    counts: bool = True
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_go_on.set()

    async def connected(self, node: NodeId, hello: Hello) -> None:
        """Remember."""
        self.events.put_nowait(Event("connected", node, hello))

    async def received(self, node: NodeId, message: NodeMessage) -> None:
        """Remember when it begins and, once it may go on, that it ended."""
        self.events.put_nowait(Event("received", node, message))
        if not self.may_go_on.is_set():
            await self.may_go_on.wait()
            self.events.put_nowait(Event("went on", node))
        if self.refuses:
            raise ProtocolViolation(node, "test", self.refuses)

    async def disconnected(self, node: NodeId) -> None:
        """Remember."""
        self.events.put_nowait(Event("disconnected", node))

    def expected_upload_bytes(self, node: NodeId, round_number: int, attempt: int) -> int | None:
        """Expect uploads for round 1, attempt 1."""
        return self.expected_bytes.get(node) if (round_number, attempt) == (1, 1) else None

    async def masked_input(self, node: NodeId, header: UploadHeader, received: ReceivedVector) -> bool:
        """Remember a copy."""
        if self.refuses:
            raise ProtocolViolation(node, "test", self.refuses)
        self.events.put_nowait(Event("masked_input", node, (received.octets.copy(), header.signature)))
        return self.counts

    async def next(self) -> Event:
        """Return the next call."""
        return await self.events.get()


@dataclass
class MemoryUpload:
    """Receive one upload."""

    node: NodeId
    size_bytes: int
    largest_chunk: int = 0
    content: bytearray = field(default_factory=bytearray)
    discarded: asyncio.Event = field(default_factory=asyncio.Event)
    suspended: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    sha256: bytes = b""
    is_quick: bool = False
    digested: int = 0

    @property
    def received_bytes(self) -> int:
        """Return how much has arrived."""
        return len(self.content)

    @property
    def undigested_bytes(self) -> int:
        """Return how much no call of `digest` has seen."""
        return len(self.content) - self.digested

    def digest(self) -> None:
        """Note how much has arrived."""
        self.digested = len(self.content)

    def suspend(self, sha256: bytes) -> None:
        """Remember that it may go on."""
        self.sha256 = sha256
        self.suspended.set()

    def receive(self, chunk: memoryview) -> None:
        """Append."""
        self.largest_chunk = max(self.largest_chunk, len(chunk))
        self.content += chunk
        self.arrived.set()
        if len(self.content) > self.size_bytes:
            raise ProtocolViolation(self.node, "masked_input", "sent too much")

    def finish(self) -> "MemoryVector":
        """Return the vector."""
        if len(self.content) < self.size_bytes:
            raise ProtocolViolation(self.node, "masked_input", "sent too little")
        return MemoryVector(
            np.frombuffer(self.content, dtype=np.uint8), hashlib.sha256(self.content).digest()
        )

    def discard(self) -> None:
        """Remember that it was discarded."""
        self.discarded.set()


class MemoryVector(NamedTuple):
    """Hold a finished upload."""

    octets: npt.NDArray[np.uint8]
    digest: bytes


@dataclass
class MemorySink:
    """Hold uploads in memory."""

    uploads: list[MemoryUpload] = field(default_factory=list)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    is_quick: bool = False

    def open(self, round_number: int, attempt: int, node: NodeId, size_bytes: int) -> MemoryUpload:
        """Begin an upload."""
        self.uploads.append(MemoryUpload(node, size_bytes, is_quick=self.is_quick))
        self.opened.set()
        return self.uploads[-1]

    def resume(
        self, round_number: int, attempt: int, node: NodeId, size_bytes: int, sha256: bytes
    ) -> MemoryUpload | None:
        """Return the last upload if these bytes complete it."""
        last = self.uploads[-1] if self.uploads else None
        return last if last is not None and last.sha256 == sha256 else None


@dataclass
class OneModel:
    """Offer one model to every node."""

    model: npt.NDArray[np.float32]

    @property
    def hash(self) -> bytes:
        """Return its hash."""
        return hashlib.sha256(self.model.tobytes()).digest()

    def parameters(self, node: NodeId, model_hash: bytes) -> memoryview | None:
        """Return it if that is what is asked for."""
        return self.model.data if model_hash == self.hash else None


@dataclass
class Loopback:
    """Run one coordinator server and the clients that go with it."""

    kits: Kits
    handler: RecordingHandler = field(default_factory=RecordingHandler)
    sink: MemorySink = field(default_factory=MemorySink)
    models: OneModel = field(default_factory=lambda: OneModel(np.arange(5, dtype=np.float32)))

    @asynccontextmanager
    async def server(
        self,
        port: int = 0,
        roster: Collection[NodeId] = ROSTER,
        tls: TlsFiles | None = None,
        models: ModelSource | None = None,
        clock: Callable[[], datetime] = clock,
    ) -> AsyncIterator[CoordinatorServer]:
        """Serve inside the block."""
        listener = listen(f"127.0.0.1:{port}", tls or self.kits.coordinator(), NOW, 3)
        server = self.serving(listener, roster, models, clock)
        await server.start()
        try:
            yield server
        finally:
            await server.stop(grace_seconds=1.0)

    def serving(
        self,
        listener: Listener,
        roster: Collection[NodeId] = ROSTER,
        models: ModelSource | None = None,
        clock: Callable[[], datetime] = clock,
    ) -> CoordinatorServer:
        """Return a server that is not started yet."""
        return CoordinatorServer(
            listener,
            roster=roster,
            handler=self.handler,
            models=models or self.models,
            uploads=self.sink,
            clock=clock,
        )

    def client(self, port: int, node: NodeId = DE, patience: Patience | None = None) -> NodeClient:
        """Return a client that never waits long."""
        patience = patience or Patience(first_seconds=0.01, most_seconds=0.1, uniform=lambda: 1.0)
        return NodeClient(f"127.0.0.1:{port}", self.kits.node(node), clock=clock, patience=patience)

    @asynccontextmanager
    async def channel(self, port: int, tls: TlsFiles | None = None) -> AsyncIterator[grpc.aio.Channel]:
        """Return a channel without any of the client's manners: it checks and limits nothing of its own."""
        tls = tls or self.kits.node(DE)
        files = (tls.authority.read_bytes(), tls.key.read_bytes(), tls.certificate.read_bytes())
        credentials = grpc.ssl_channel_credentials(*files)
        unlimited = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, unlimited) as channel:
            yield channel
