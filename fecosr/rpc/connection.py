"""The control stream of one node, as the coordinator holds it."""

import asyncio
from typing import Final

from fecosr.ids import NodeId
from fecosr.rpc.incoming import Context, IncomingStream
from fecosr.rpc.traffic import TrafficMeter

MAX_QUEUED_MESSAGES: Final = 64
"""A round needs five messages to a node; one that leaves this many unread has stopped reading."""
FLUSH_SECONDS: Final = 5.0


class NodeConnection(IncomingStream):
    """Send to a node at its own pace, without ever making the sender wait."""

    def __init__(self, node: NodeId, context: Context, meter: TrafficMeter) -> None:
        super().__init__(node, context, meter)
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED_MESSAGES)
        self._sending: asyncio.Task[None] | None = None

    def enqueue(self, message: bytes) -> bool:
        """Send `message` after those before it; return False when the node has stopped reading."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            return False
        return True

    def start_sending(self) -> None:
        """Begin to send what is in the queue."""
        self._sending = asyncio.create_task(self._send_queued())

    async def flush(self) -> None:
        """Wait until everything in the queue has left, or the node proves too slow."""
        drained = asyncio.ensure_future(self._queue.join())
        sending = {self._sending} if self._sending else set()
        await asyncio.wait({drained, *sending}, timeout=FLUSH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        drained.cancel()

    async def stop_sending(self) -> None:
        """Stop sending, whether or not the queue is empty."""
        if self._sending is not None:
            self._sending.cancel()
            # A write that failed says only that the node is gone, which its reader notices as well.
            await asyncio.gather(self._sending, return_exceptions=True)

    async def _send_queued(self) -> None:
        while True:
            message = await self._queue.get()
            await self._context.write(message)
            self.meter.sent_bytes += len(message)
            self._queue.task_done()
