"""A market node's end of the service: dial out, again and again, until an operator must act."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import grpc.aio
import structlog

from fecosr.errors import ConfigError, MisuseError
from fecosr.rpc.channel_options import CHANNEL_OPTIONS
from fecosr.rpc.node_session import CONNECT, Call, NodeSession
from fecosr.rpc.patience import Patience
from fecosr.rpc.refusals import MAX_DETAIL_CHARACTERS, is_distrust, raise_refusal
from fecosr.rpc.tls import TlsFiles, channel_credentials, check_leaf
from fecosr.rpc.traffic import TrafficMeter
from fecosr.wire import service

DIAL_SECONDS: Final = 30.0
PATIENCE: Final = Patience()

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class NodeClient:
    """Reach the coordinator, as an asynchronous context.

    Args:
        address: host and port of the coordinator; the host must be one that its certificate names.
        tls: what the node proves its name with.
        clock: returns the aware time, to notice that the certificate has expired.
        patience: how long to wait before trying again.

    Attributes:
        meter: counts what goes over the wire.
        knocked: set once the coordinator was dialled for the first time, with or without success.
    """

    def __init__(
        self, address: str, tls: TlsFiles, *, clock: Callable[[], datetime], patience: Patience = PATIENCE
    ) -> None:
        self.meter = TrafficMeter()
        self.knocked = asyncio.Event()
        self._address = address
        self._tls = tls
        self._clock = clock
        self._patience = patience
        self._channel: grpc.aio.Channel | None = None
        self._failures = 0
        self._was_let_in = False

    async def __aenter__(self) -> Self:
        credentials = channel_credentials(self._tls, self._clock())
        self._channel = grpc.aio.secure_channel(self._address, credentials, options=CHANNEL_OPTIONS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel is not None:
            await self._channel.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[NodeSession]:
        """Connect, waiting as long as it takes, and hang up politely at the end of the `async with` block.

        A connection that is lost is not replaced behind the caller's back: its messages end, and the caller
        opens the next session, which begins with a hello.

        Raises:
            ConfigError: trying again is in vain: the node is not accepted, or the only one it ever reached at
                the coordinator's address cannot be trusted.
        """
        if self._channel is None:
            raise MisuseError("a node client is used inside its `async with` block")
        call = None
        while call is None:
            if self._failures:
                await self._patience.wait(self._failures)
            try:
                call = await self._dial(self._channel)
            finally:
                self.knocked.set()
        session = NodeSession(self._channel, call, self._patience, self.meter)
        try:
            yield session
        finally:
            # A coordinator that lets nodes in and then hangs up must not be dialled in a tight loop.
            self._failures = 1
            await session.close()

    async def _dial(self, channel: grpc.aio.Channel) -> Call | None:
        """Return the call once the coordinator has let this node in, or None when it is out of reach."""
        check_leaf(self._tls, self._clock())
        call: Call = channel.stream_stream(service.path(service.CONNECT))()
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                metadata = await call.initial_metadata()
        except TimeoutError:
            call.cancel()
            self._failed("no answer")
            return None
        if metadata.get(service.READY) is not None:
            self._failures = 0
            self._was_let_in = True
            _log.info("coordinator_reached", address=self._address)
            return call
        code, detail = await call.code(), await call.details()
        raise_refusal(code, detail, CONNECT)
        if is_distrust(detail):
            self._distrusted()
        self._failed(f"{code.name}: {(detail or '')[:MAX_DETAIL_CHARACTERS]}")
        return None

    def _distrusted(self) -> None:
        if not self._was_let_in:
            raise ConfigError(
                "the coordinator's certificate is not trusted",
                remedy="compare ca.pem, the coordinator's host name and its certificate's dates",
            )
        _log.warning("coordinator_not_trusted", address=self._address)

    def _failed(self, reason: str) -> None:
        self._failures += 1
        _log.info("coordinator_not_reached", address=self._address, reason=reason, failures=self._failures)
