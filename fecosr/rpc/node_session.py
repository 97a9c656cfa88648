"""One connection of a node to the coordinator, from the moment it stands until it is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

import grpc.aio
import numpy as np
import numpy.typing as npt
import structlog

from fecosr.errors import ConnectionLost
from fecosr.federation.messages import CoordinatorMessage, FromClient, NodeMessage
from fecosr.ids import COORDINATOR
from fecosr.rpc import transfers
from fecosr.rpc.patience import Patience
from fecosr.rpc.refusals import lost
from fecosr.rpc.traffic import TrafficMeter
from fecosr.secagg.messages import MaskedInput, Phase
from fecosr.wire.control import decode_coordinator_message, encode_node_message
from fecosr.wire.transfers import UploadVerdict

CONNECT: Final = "connect"
TRANSFER_TRIES: Final = 5
GOODBYE_SECONDS: Final = 5.0

Call = grpc.aio.StreamStreamCall[bytes, bytes]
Result = TypeVar("Result")

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class NodeSession:
    """Speak to the coordinator over one connection; made by `NodeClient.session`.

    Whatever is not read, sent or transferred when the connection is lost stays undone: the node and the
    coordinator start over from a new hello.
    """

    def __init__(
        self, channel: grpc.aio.Channel, call: Call, patience: Patience, meter: TrafficMeter
    ) -> None:
        self._meter = meter
        self._channel = channel
        self._call = call
        self._patience = patience
        self._writing = asyncio.Lock()

    async def messages(self) -> AsyncIterator[CoordinatorMessage]:
        """Yield what the coordinator says, until it ends the connection or the connection is lost.

        Raises:
            ConfigError: the coordinator refuses this node.
            ProtocolViolation: the coordinator sent what the protocol forbids, or refused a message of ours.
        """
        while True:
            try:
                data: object = await self._call.read()
            except grpc.aio.AioRpcError as error:
                _log.info("connection_lost", reason=str(lost(error, CONNECT)))
                return
            # gRPC marks the end of the stream with an object of its own.
            if not isinstance(data, bytes):
                return
            self._meter.received_bytes += len(data)
            yield decode_coordinator_message(data, COORDINATOR)

    async def send(self, message: NodeMessage) -> None:
        """Send a message; a masked vector goes over a call of its own, and returns when it has arrived whole.

        Raises:
            ConnectionLost: the message did not leave.
            ConfigError: the coordinator refuses this node.
            ProtocolViolation: the coordinator refused a masked vector.
        """
        match message:
            case FromClient(body=MaskedInput() as masked):
                verdict = await self._persistently(
                    lambda failures: transfers.upload(self._channel, message, masked, resume=failures > 0),
                    Phase.MASKED_INPUT,
                )
                self._meter.sent_bytes += masked.vector.nbytes
                if verdict is UploadVerdict.NOT_EXPECTED:
                    _log.info("upload_not_expected", round=message.round, attempt=message.attempt)
            case _:
                await self._write(encode_node_message(message))

    async def fetch_model(self, model_hash: bytes, num_parameters: int) -> npt.NDArray[np.float32]:
        """Return the shared parameters, float32 [P], whose SHA-256 is `model_hash`.

        Raises:
            ConnectionLost: the coordinator could not be reached several times in a row.
            ConfigError: the coordinator refuses this node.
            ProtocolViolation: the coordinator does not offer this model, or what it sent is another.
        """
        model = await self._persistently(
            lambda _failures: transfers.fetch_model(self._channel, model_hash, num_parameters),
            transfers.FETCH,
        )
        self._meter.received_bytes += model.nbytes
        return model

    async def close(self) -> None:
        """Say that nothing more will come, give the coordinator time to take the rest in, and hang up."""
        if self._call.done():
            return
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._call.done_writing()
                while isinstance(await self._call.read(), bytes):
                    pass
        except (TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # The connection is as closed as it can be.
            pass
        finally:
            self._call.cancel()

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            try:
                await self._call.write(data)
                self._meter.sent_bytes += len(data)
            except grpc.aio.AioRpcError as error:
                raise lost(error, CONNECT) from None
            except asyncio.InvalidStateError:
                raise ConnectionLost("the connection has ended") from None

    async def _persistently(self, attempt: Callable[[int], Awaitable[Result]], phase: str) -> Result:
        """Try a transfer several times, always with the same bytes, so that repeating reveals nothing.

        Args:
            attempt: told how often it failed before.
            phase: what the transfer is for.
        """
        for failures in range(1, TRANSFER_TRIES):
            try:
                return await attempt(failures - 1)
            except grpc.aio.AioRpcError as error:
                _log.info("transfer_failed", reason=str(lost(error, phase)), failures=failures)
            await self._patience.wait(failures)
        try:
            return await attempt(TRANSFER_TRIES - 1)
        except grpc.aio.AioRpcError as error:
            raise lost(error, phase) from None
