"""One call of one node, as the coordinator reads it, and the rule that a newer call replaces an older one."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import grpc.aio

from fecosr.ids import NodeId
from fecosr.rpc.traffic import TrafficMeter

Context = grpc.aio.ServicerContext[bytes, bytes]
Result = TypeVar("Result")


class IncomingStream:
    """Read and write the messages of one call until the node or the coordinator ends it.

    Attributes:
        node: whose call it is.
        meter: counts what is read and written.
        replaced: whether it ended because the node opened a newer one.
        expelled: why the node is not let in any more, "" while it is.
        ended: set when nothing of this call is going on any more.
    """

    def __init__(self, node: NodeId, context: Context, meter: TrafficMeter) -> None:
        self.node = node
        self.meter = meter
        self.replaced = False
        self.expelled = ""
        self.ended = asyncio.Event()
        self._context = context
        self._closing = asyncio.Event()
        self._waiting: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """Let the read or write that waits, and every later one, come to nothing."""
        if not self._closing.is_set():
            self._closing.set()
            for task in self._waiting:
                task.cancel()

    def replace(self) -> None:
        """Close in favour of a newer call of the same node."""
        self.replaced = True
        self.close()

    def expel(self, reason: str) -> None:
        """Close because the node's certificate is good no longer."""
        self.expelled = reason
        self.close()

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Return what TLS found out about the caller."""
        return self._context.auth_context()

    async def send_metadata(self, key: str, value: str) -> None:
        """Send the initial metadata, which can be done once."""
        await self._context.send_initial_metadata(((key, value),))

    async def read(self) -> bytes | None:
        """Return the next message, or None when there will be none."""
        message: object = await self._unless_closed(self._context.read)
        # gRPC marks the end of the stream with an object of its own.
        if not isinstance(message, bytes):
            return None
        self.meter.received_bytes += len(message)
        return message

    async def write(self, message: bytes) -> bool:
        """Send a message as soon as the node has room for it; return whether it left."""

        async def writing() -> bool:
            await self._context.write(message)
            self.meter.sent_bytes += len(message)
            return True

        return await self._unless_closed(writing) is True

    async def _unless_closed(self, start: Callable[[], Coroutine[Any, Any, Result]]) -> Result | None:
        """Return what `start` leads to, or None when the call is closed before.

        It is awaited by the caller's own task: one more for each chunk would cost more than the chunk.
        """
        task = asyncio.current_task()
        if self._closing.is_set() or task is None:
            return None
        self._waiting.add(task)
        try:
            return await start()
        except asyncio.CancelledError:
            # Only what `close` asked for ends here; whoever else cancels this task still does.
            if not self._closing.is_set() or task.uncancel() > 0:
                raise
            return None
        finally:
            self._waiting.discard(task)


Stream = TypeVar("Stream", bound=IncomingStream)


class NewestStreams(Generic[Stream]):
    """Keep at most one stream of every node: the newest."""

    def __init__(self) -> None:
        self._streams: dict[NodeId, Stream] = {}

    def __iter__(self) -> Iterator[Stream]:
        return iter(tuple(self._streams.values()))

    def of(self, node: NodeId) -> Stream | None:
        """Return the stream of `node`, if there is one."""
        return self._streams.get(node)

    async def enter(self, stream: Stream) -> None:
        """Take the node's place, once the stream that had it has ended."""
        while (older := self._streams.get(stream.node)) is not None:
            older.replace()
            await older.ended.wait()
        self._streams[stream.node] = stream

    def leave(self, stream: Stream) -> None:
        """Give the node's place back, if it is still this stream's."""
        if self._streams.get(stream.node) is stream:
            del self._streams[stream.node]
        stream.ended.set()


async def uninterrupted(work: Coroutine[Any, Any, Result]) -> Result:
    """Return what `work` returns; when this call is cancelled, be cancelled only after `work` is done.

    gRPC cancels the code that answers a call as soon as the caller hangs up. What the coordinator does about
    a message must not stop half-way because of that.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
