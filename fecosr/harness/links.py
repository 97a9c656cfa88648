"""The network between nodes and coordinator, as ports on loopback that pass bytes on until told to do worse.

Shaping traffic in the kernel needs rights that not every machine gives; a proxy of our own runs everywhere.
"""

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar

LOOPBACK: Final = "127.0.0.1"
PIECE_BYTES: Final = 1 << 14
"""Small, so that a slow link brings something every moment, as a slow link does."""
CORRUPTED_FROM_BYTES: Final = 64
"""Pieces this long carry encrypted data: a changed bit in them is found by TLS, and by nothing below it."""
FASTEST_BYTES_PER_SECOND: Final = 1 << 28
"""Two gigabits a second: what a delayed link has room for."""
START_SECONDS: Final = 60.0
RESET: Final = struct.pack("ii", 1, 0)
"""The option under which closing a socket sends a reset."""

Result = TypeVar("Result")


@dataclass(slots=True)
class Weather:
    """Say what a link does to what passes it.

    Attributes:
        delay_seconds: how much later each piece arrives.
        bytes_per_second: how much passes, None for everything.
        passing: cleared while nothing passes.
        refusing: whether new connections are reset.
        corrupt_pieces: in how many more pieces towards the coordinator a bit is changed.
    """

    delay_seconds: float = 0.0
    bytes_per_second: int | None = None
    passing: asyncio.Event = field(default_factory=asyncio.Event)
    refusing: bool = False
    corrupt_pieces: int = 0

    def most_pieces(self) -> int:
        """Return how many pieces are underway at most: what passes within the delay, and no queue beyond."""
        rate = min(self.bytes_per_second or FASTEST_BYTES_PER_SECOND, FASTEST_BYTES_PER_SECOND)
        return 1 + int(self.delay_seconds * rate / PIECE_BYTES)


@dataclass(eq=False, slots=True)
class _Connection:
    """Hold the two ends of one connection; a dead one swallows everything, and ends for nobody."""

    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    dead: bool = False

    def reset(self) -> None:
        """End both ends at once, as a router does that has lost its memory."""
        for writer in self.writers:
            with suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    async def close(self) -> None:
        """End what is left of both ends, after what was sent to them."""
        for writer in self.writers:
            writer.close()
        for writer in self.writers:
            with suppress(OSError):
                await writer.wait_closed()


class _Underway:
    """Hold what has entered a link in one direction and has not left it yet, as a long cable does."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._changed = asyncio.Condition()

    async def send(self, piece: bytes, weather: Weather) -> None:
        """Let a piece enter, as soon as there is room for it."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._pieces) < weather.most_pieces())
            due = asyncio.get_running_loop().time() + weather.delay_seconds
            self._pieces.append((due, piece))
            self._changed.notify_all()

    async def next(self) -> bytes:
        """Return the piece that entered first, once it is due."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._pieces)
            due, _ = self._pieces[0]
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        async with self._changed:
            _, piece = self._pieces.popleft()
            self._changed.notify_all()
        return piece


class Link:
    """Pass the bytes of one node's connections on; every method but `run` is for the thread of the loop."""

    def __init__(self, coordinator_port: int) -> None:
        self.port = 0
        self.weather = Weather()
        self.weather.passing.set()
        self._coordinator_port = coordinator_port
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen at a free port."""
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0, limit=PIECE_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more, and reset every connection."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """Reset every connection, and new ones too until `refusing` ends."""
        self.weather.refusing = True
        for connection in tuple(self._connections):
            connection.reset()

    def deaden(self) -> None:
        """Let the connections there are never pass anything again."""
        for connection in self._connections:
            connection.dead = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection([writer])
        self._connections.add(connection)
        try:
            if not self.weather.refusing:
                await self._join(connection, reader, writer)
            else:
                connection.reset()
        except OSError:
            # The coordinator is not there at the moment, or one end was reset: so is the other.
            connection.reset()
        except asyncio.CancelledError:
            # This task belongs to asyncio.streams, which takes a cancelled one for a mistake.
            connection.reset()
        finally:
            self._connections.discard(connection)
            await connection.close()

    async def _join(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self.weather.passing.wait()
        far_reader, far_writer = await asyncio.open_connection(
            LOOPBACK, self._coordinator_port, limit=PIECE_BYTES
        )
        connection.writers.append(far_writer)
        up = asyncio.ensure_future(self._pump(connection, reader, far_writer, upwards=True))
        down = asyncio.ensure_future(self._pump(connection, far_reader, writer, upwards=False))
        try:
            await asyncio.gather(up, down)
        finally:
            up.cancel()
            down.cancel()

    async def _pump(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        upwards: bool,
    ) -> None:
        underway = _Underway()
        delivering = asyncio.ensure_future(self._deliver(underway, connection, writer, upwards=upwards))
        try:
            while piece := await reader.read(PIECE_BYTES):
                await underway.send(piece, self.weather)
            await underway.send(b"", self.weather)
            await delivering
        finally:
            delivering.cancel()

    async def _deliver(
        self, underway: _Underway, connection: _Connection, writer: asyncio.StreamWriter, *, upwards: bool
    ) -> None:
        while piece := await underway.next():
            if self.weather.bytes_per_second:
                await asyncio.sleep(len(piece) / self.weather.bytes_per_second)
            await self.weather.passing.wait()
            if upwards:
                piece = self._perhaps_changed(piece)
            if not connection.dead:
                writer.write(piece)
                await writer.drain()
        if not connection.dead and writer.can_write_eof():
            writer.write_eof()

    def _perhaps_changed(self, piece: bytes) -> bytes:
        if not self.weather.corrupt_pieces or len(piece) < CORRUPTED_FROM_BYTES:
            return piece
        self.weather.corrupt_pieces -= 1
        return piece[:-1] + bytes([piece[-1] ^ 1])


class Links:
    """Run links on a thread with an event loop of its own; leaving the block ends them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._links: dict[str, Link] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.run(self._end_everything())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self, name: str, coordinator_port: int) -> int:
        """Return the port of a new link, at which the node `name` finds the coordinator."""
        link = self._links[name] = Link(coordinator_port)
        self.run(link.open())
        return link.port

    def port(self, name: str) -> int | None:
        """Return the port of the link of `name`, None where it has none."""
        link = self._links.get(name)
        return None if link is None else link.port

    def change(self, names: Iterable[str], change: Callable[[Link], None]) -> None:
        """Apply `change` to the links of `names`, before this returns."""

        async def apply() -> None:
            for name in names:
                change(self._links[name])

        self.run(apply())

    async def _end_everything(self) -> None:
        for link in self._links.values():
            link.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what `work` returns on the loop of the links."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)
