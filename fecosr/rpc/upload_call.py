"""Receive one masked vector: header, data into the sink, digest, and only then the handler."""

import asyncio
from typing import Final

from fecosr.errors import ProtocolViolation, StorageError
from fecosr.ids import NodeId
from fecosr.rpc.handler import CoordinatorHandler, ReceivedVector, Upload, UploadSink
from fecosr.rpc.incoming import IncomingStream, uninterrupted
from fecosr.rpc.transfers import transfer_seconds
from fecosr.secagg.messages import Phase
from fecosr.wire.service import RECEIVED
from fecosr.wire.transfers import UploadHeader, UploadVerdict, decode_upload_chunk

HEADER_SECONDS: Final = 30.0
DIGEST_BYTES: Final = 4 << 20
"""How much is hashed at a time while more arrives: a thread for every chunk would cost more than its hash."""


async def receive_upload(
    stream: IncomingStream, handler: CoordinatorHandler, sink: UploadSink
) -> UploadVerdict:
    """Return what became of the upload that arrives on `stream`.

    Raises:
        ProtocolViolation: it breaks the protocol, its size or digest is not the announced one, or the handler
            refused it.
        StorageError: the sink cannot hold it.
        TimeoutError: it takes longer than a transfer may.

    Guarantees:
        At most one chunk is in memory, and the sink never sees more bytes than the handler expects. What
        broke off is kept, one of each node at most, and a later one of the same bytes may go on with it.
    """
    header = await _header(stream)
    expected = handler.expected_upload_bytes(stream.node, header.round, header.attempt)
    if expected is None:
        return UploadVerdict.NOT_EXPECTED
    if header.size_bytes != expected:
        raise _violation(stream.node, f"announced {header.size_bytes} bytes instead of {expected}")
    async with asyncio.timeout(transfer_seconds(expected)):
        received = await _body(stream, header, sink)
    if received.digest != header.sha256:
        raise _violation(stream.node, "the SHA-256 is not the announced one")
    is_counted = await uninterrupted(handler.masked_input(stream.node, header, received))
    return UploadVerdict.ACCEPTED if is_counted else UploadVerdict.NOT_EXPECTED


async def _header(stream: IncomingStream) -> UploadHeader:
    async with asyncio.timeout(HEADER_SECONDS):
        data = await stream.read()
    header = None if data is None else decode_upload_chunk(data, stream.node)
    if not isinstance(header, UploadHeader):
        raise _violation(stream.node, "an upload begins with its header")
    return header


async def _body(stream: IncomingStream, header: UploadHeader, sink: UploadSink) -> ReceivedVector:
    upload = await _opened(stream, header, sink)
    try:
        received = await _whole(stream, upload)
    except (ProtocolViolation, StorageError):
        if not stream.replaced:
            upload.discard()
            raise
        upload.suspend(header.sha256)
        raise
    except BaseException:
        # What broke off because of the network is good as far as it goes.
        upload.suspend(header.sha256)
        raise
    upload.discard()
    return received


async def _whole(stream: IncomingStream, upload: Upload) -> ReceivedVector:
    digesting: asyncio.Future[None] | None = None
    while (data := await stream.read()) is not None:
        chunk = decode_upload_chunk(data, stream.node)
        if isinstance(chunk, UploadHeader):
            raise _violation(stream.node, "an upload has one header")
        if upload.is_quick:
            upload.receive(chunk)
            if upload.undigested_bytes >= DIGEST_BYTES and (digesting is None or digesting.done()):
                digesting = asyncio.get_running_loop().run_in_executor(None, upload.digest)
        else:
            await uninterrupted(asyncio.to_thread(upload.receive, chunk))
    if stream.replaced:
        raise _violation(stream.node, "replaced by a newer upload")
    return await uninterrupted(asyncio.to_thread(upload.finish))


async def _opened(stream: IncomingStream, header: UploadHeader, sink: UploadSink) -> Upload:
    """Return what receives the data, having told a node that goes on where they begin."""
    attempt = (header.round, header.attempt, stream.node)
    if not header.resume:
        return sink.open(*attempt, header.size_bytes)
    upload = sink.resume(*attempt, header.size_bytes, header.sha256) or sink.open(*attempt, header.size_bytes)
    await stream.send_metadata(RECEIVED, str(upload.received_bytes))
    return upload


def _violation(node: NodeId, rule: str) -> ProtocolViolation:
    return ProtocolViolation(node, Phase.MASKED_INPUT, rule)
