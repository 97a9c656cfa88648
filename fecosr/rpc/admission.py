"""Ask the coordinator whether it would let this node in, without joining a run."""

import asyncio
from typing import Final

import grpc.aio

from fecosr.errors import ConfigError, ConnectionLost
from fecosr.rpc.channel_options import CHANNEL_OPTIONS
from fecosr.rpc.refusals import MAX_DETAIL_CHARACTERS
from fecosr.rpc.tls import TlsFiles
from fecosr.wire import service
from fecosr.wire.transfers import encode_fetch_model

ASK_SECONDS: Final = 10.0
NO_MODEL: Final = bytes(32)
"""No parameters have this hash, so asking for them has no effect on anything."""


async def ask_admission(address: str, tls: TlsFiles) -> None:
    """Return if the coordinator at `address` accepts this node's certificate and has it in its roster.

    It is asked for a model that does not exist: only a node that is let in is told so.

    Raises:
        ConfigError: the node is turned away; the message says why.
        ConnectionLost: there was no answer.
    """
    try:
        files = (tls.authority.read_bytes(), tls.key.read_bytes(), tls.certificate.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(error.filename)) from None
    credentials = grpc.ssl_channel_credentials(*files)
    async with grpc.aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS) as channel:
        ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            service.path(service.FETCH_MODEL)
        )
        call = ask(encode_fetch_model(NO_MODEL))
        try:
            async with asyncio.timeout(ASK_SECONDS):
                code, detail = await call.code(), (await call.details() or "")[:MAX_DETAIL_CHARACTERS]
        except TimeoutError:
            raise ConnectionLost(f"no answer in {ASK_SECONDS:.0f} s") from None
    if code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        raise ConfigError(f"the coordinator refuses this node: {detail}", remedy="see its log; enrol again")
    if code is not grpc.StatusCode.NOT_FOUND:
        raise ConnectionLost(f"{code.name}: {detail}")
