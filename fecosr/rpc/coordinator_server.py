"""The coordinator's end of the service: authenticate, bound, decode, and hand everything to one handler."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Final, Never

import grpc
import grpc.aio
import structlog

from fecosr.config.clock import utc_now
from fecosr.errors import ProtocolViolation, StorageError
from fecosr.federation.messages import CoordinatorMessage, Hello
from fecosr.ids import NodeId
from fecosr.rpc.allowance import CALLS_PER_SECOND, MESSAGES_PER_SECOND, Allowance
from fecosr.rpc.connection import NodeConnection
from fecosr.rpc.download_call import send_model
from fecosr.rpc.encoded_chunks import EncodedChunks
from fecosr.rpc.handler import CoordinatorHandler, ModelSource, UploadSink
from fecosr.rpc.health_call import HealthCall
from fecosr.rpc.incoming import Context, IncomingStream, NewestStreams, uninterrupted
from fecosr.rpc.listener import Listener
from fecosr.rpc.revocation import Revocations
from fecosr.rpc.tls import PeerNameError, peer_certificate, peer_node
from fecosr.rpc.traffic import TrafficMeter
from fecosr.rpc.upload_call import receive_upload
from fecosr.wire.control import decode_node_message, encode_coordinator_message
from fecosr.wire.service import CONNECT, FETCH_MODEL, READY, SERVICE, UPLOAD_MASKED_INPUT
from fecosr.wire.transfers import (
    UploadVerdict,
    decode_fetch_model,
    encode_receipt,
)

HELLO_SECONDS: Final = 30.0
RECHECK_SECONDS: Final = 2.0
"""How long a node whose certificate was revoked can go on at most."""
REPLACED: Final = "replaced by a newer connection of this node"

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class CoordinatorServer:
    """Serve market nodes.

    Args:
        listener: where they knock.
        roster: the nodes that may connect.
        handler: is told what they do.
        models: holds what they may fetch.
        uploads: receives what they upload.
        revocations: refuses those whose certificate is good no longer.
        clock: returns the aware time, to notice that a certificate has expired.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        roster: Collection[NodeId],
        handler: CoordinatorHandler,
        models: ModelSource,
        uploads: UploadSink,
        revocations: Revocations | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.port = listener.port
        self.meter = TrafficMeter()
        self._roster = frozenset(roster)
        self._handler = handler
        self._models = models
        self._encoded = EncodedChunks()
        self._uploads = uploads
        self._revocations = revocations
        self._connections: NewestStreams[NodeConnection] = NewestStreams()
        self._arriving: NewestStreams[IncomingStream] = NewestStreams()
        self._fetching: NewestStreams[IncomingStream] = NewestStreams()
        self._announced: set[NodeId] = set()
        self._clock = clock
        self._messages = {node: Allowance(MESSAGES_PER_SECOND) for node in self._roster}
        self._calls = {node: Allowance(CALLS_PER_SECOND) for node in self._roster}
        self._watch: asyncio.Task[None] | None = None
        self._server = listener.server
        self._health = HealthCall()

    async def start(self) -> None:
        """Begin to answer, first those who have knocked already."""
        calls: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            CONNECT: grpc.stream_stream_rpc_method_handler(self._connect),
            FETCH_MODEL: grpc.unary_stream_rpc_method_handler(self._fetch_model),
            UPLOAD_MASKED_INPUT: grpc.stream_unary_rpc_method_handler(self._upload_masked_input),
        }
        ours = grpc.method_handlers_generic_handler(SERVICE, calls)
        self._server.add_generic_rpc_handlers((ours, self._health.handler()))
        await self._server.start()
        self._health.serving = True
        self._watch = asyncio.create_task(self._watch_certificates())

    async def stop(self, grace_seconds: float = 5.0) -> None:
        """Send what is queued, end every connection, and stop listening; after `grace_seconds` by force."""
        self._health.serving = False
        if self._watch is not None:
            self._watch.cancel()
        for connection in self._connections:
            connection.close()
        await self._server.stop(grace_seconds)

    async def send(self, node: NodeId, message: CoordinatorMessage) -> None:
        """Send `message` to `node` after those before it.

        Without a connection nothing is sent: the handler has been told, or is about to be told, that the node
        is gone. A node that has stopped reading is disconnected.
        """
        connection = self._connections.of(node)
        if connection is not None and not connection.enqueue(encode_coordinator_message(message)):
            _log.warning("node_stopped_reading", market=node)
            connection.close()

    async def close_node(self, node: NodeId) -> None:
        """End the connection of `node` after everything sent so far has left."""
        connection = self._connections.of(node)
        if connection is not None:
            connection.close()

    async def _connect(self, _requests: object, context: Context) -> None:
        connection = NodeConnection(await self._authenticated(context), context, self.meter)
        try:
            await context.send_initial_metadata(((READY, "1"),))
            hello = await _hello(connection)
            if hello is not None:
                await self._serve(connection, hello)
        except ProtocolViolation as violation:
            await _refuse(context, violation)
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no hello")
        if connection.expelled:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, connection.expelled)
        if connection.replaced:
            await context.abort(grpc.StatusCode.ABORTED, REPLACED)

    async def _serve(self, connection: NodeConnection, hello: Hello) -> None:
        try:
            await uninterrupted(self._connections.enter(connection))
            self._announced.add(connection.node)
            await uninterrupted(self._handler.connected(connection.node, hello))
            connection.start_sending()
            await self._listen(connection)
            if not connection.replaced and not connection.expelled:
                await connection.flush()
        finally:
            await uninterrupted(self._leave(connection))

    async def _listen(self, connection: NodeConnection) -> None:
        node = connection.node
        while (data := await connection.read()) is not None:
            if not self._messages[node].take(time.monotonic()):
                raise ProtocolViolation(node, "connect", "said too much in too short a time")
            message = decode_node_message(data, node)
            if isinstance(message, Hello):
                raise ProtocolViolation(node, "connect", "said hello twice")
            await uninterrupted(self._handler.received(node, message))

    async def _leave(self, connection: NodeConnection) -> None:
        try:
            await connection.stop_sending()
            # Whoever replaced this connection has also taken over to report that the node is gone.
            if not connection.replaced and connection.node in self._announced:
                self._announced.discard(connection.node)
                await self._handler.disconnected(connection.node)
        finally:
            self._connections.leave(connection)

    async def _fetch_model(self, request: bytes, context: Context) -> None:
        stream = IncomingStream(await self._authenticated(context), context, self.meter)
        try:
            model_hash = decode_fetch_model(request, stream.node)
        except ProtocolViolation as violation:
            await _refuse(context, violation)
        try:
            await uninterrupted(self._fetching.enter(stream))
            sent = await self._send_model(stream, model_hash)
        finally:
            self._fetching.leave(stream)
        if sent is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such model is offered")
        if not sent:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "replaced, or too slow")

    async def _send_model(self, stream: IncomingStream, model_hash: bytes) -> bool | None:
        """Return whether the model was sent, or None when the node may not have it."""
        parameters = self._models.parameters(stream.node, model_hash)
        if parameters is None:
            return None
        return await send_model(stream, model_hash, parameters, self._encoded)

    async def _upload_masked_input(self, _requests: object, context: Context) -> bytes:
        stream = IncomingStream(await self._authenticated(context), context, self.meter)
        try:
            return encode_receipt(await self._receive(stream))
        except ProtocolViolation as violation:
            await _refuse(context, violation)
        except StorageError as error:
            _log.error("upload_not_stored", market=stream.node, reason=str(error))
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the upload cannot be stored")
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "too slow")

    async def _receive(self, stream: IncomingStream) -> UploadVerdict:
        try:
            await uninterrupted(self._arriving.enter(stream))
            return await receive_upload(stream, self._handler, self._uploads)
        finally:
            self._arriving.leave(stream)

    async def _authenticated(self, context: Context) -> NodeId:
        try:
            node = peer_node(context.auth_context())
            self._check_certificate(context.auth_context())
        except PeerNameError as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        if node not in self._roster:
            _log.warning("node_not_in_roster", market=node)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{node} is not in the roster")
        if not self._calls[node].take(time.monotonic()):
            _log.warning("too_many_calls", market=node)
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls in too short a time")
        return node

    def _check_certificate(self, auth_context: Mapping[str, Iterable[bytes]]) -> None:
        """Check again what TLS checks once for each connection, which may last for weeks.

        Raises:
            PeerNameError: the certificate is good no longer.
        """
        if peer_certificate(auth_context).not_valid_after_utc < self._clock():
            raise PeerNameError("this certificate has expired")
        if self._revocations is not None:
            self._revocations.check(auth_context)

    async def _watch_certificates(self) -> None:
        """End whatever is open of a node, a few seconds after its certificate ceased to be good."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            for stream in (*self._connections, *self._arriving, *self._fetching):
                try:
                    self._check_certificate(stream.auth_context())
                except PeerNameError as error:
                    _log.warning("node_expelled", market=stream.node, reason=str(error))
                    stream.expel(str(error))


async def _hello(connection: NodeConnection) -> Hello | None:
    """Return the node's first message, or None when it hung up without one."""
    async with asyncio.timeout(HELLO_SECONDS):
        data = await connection.read()
    if data is None:
        return None
    message = decode_node_message(data, connection.node)
    if not isinstance(message, Hello):
        raise ProtocolViolation(connection.node, "connect", "a connection begins with a hello")
    return message


async def _refuse(context: Context, violation: ProtocolViolation) -> Never:
    _log.warning("protocol_violation", market=violation.peer, phase=violation.phase, rule=violation.rule)
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, violation.rule)
