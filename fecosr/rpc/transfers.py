"""The two bulk transfers as a node makes them: one try each, checked from the first byte to the last."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Final

import grpc.aio
import numpy as np
import numpy.typing as npt

from fecosr.errors import ProtocolViolation
from fecosr.federation.messages import FromClient
from fecosr.ids import COORDINATOR
from fecosr.secagg.messages import MaskedInput, Phase
from fecosr.secagg.statements import vector_digest
from fecosr.wire import service
from fecosr.wire.service import RECEIVED
from fecosr.wire.transfers import (
    CHUNK_BYTES,
    ModelHeader,
    UploadHeader,
    UploadVerdict,
    decode_model_chunk,
    decode_receipt,
    encode_fetch_model,
    encode_upload_chunk,
)

FETCH: Final = "fetch_model"
SETUP_SECONDS: Final = 30.0
SLOWEST_BYTES_PER_SECOND: Final = 128 << 10
"""A link slower than 1 Mbit/s counts as broken."""


def transfer_seconds(size_bytes: int) -> float:
    """Return how long a transfer of `size_bytes` may take before it is given up."""
    return SETUP_SECONDS + size_bytes / SLOWEST_BYTES_PER_SECOND


async def upload(
    channel: grpc.aio.Channel, message: FromClient, masked: MaskedInput, *, resume: bool = False
) -> UploadVerdict:
    """Return the coordinator's verdict on `masked`, the body of `message`.

    With `resume`, which costs a round trip, only what the coordinator has not got yet is sent.

    Raises:
        AioRpcError: the transfer failed.
        ProtocolViolation: the answer is malformed.
    """
    octets = masked.vector.data.cast("B")
    digest = masked.digest
    if digest is None:
        digest = await asyncio.to_thread(vector_digest, masked.vector)
    header = UploadHeader(
        message.round, message.attempt, octets.nbytes, digest, masked.signature, masked.unusable, resume
    )
    start: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(
        service.path(service.UPLOAD_MASKED_INPUT)
    )
    timeout = transfer_seconds(octets.nbytes)
    if resume:
        return decode_receipt(await _rest(start(timeout=timeout), header, octets), COORDINATOR)
    return decode_receipt(await start(_chunks(header, octets), timeout=timeout), COORDINATOR)


async def _rest(
    call: grpc.aio.StreamUnaryCall[bytes, bytes], header: UploadHeader, octets: memoryview
) -> bytes:
    """Send what the coordinator lacks of `octets`, and return its answer."""
    try:
        await call.write(encode_upload_chunk(header))
        received = (await call.initial_metadata()).get(RECEIVED)
        # Without it the coordinator has answered already: it does not wait for this vector.
        if received is not None:
            start = _place(received, len(octets))
            async for chunk in _chunks_from(octets, start):
                await call.write(chunk)
            await call.done_writing()
    except (asyncio.InvalidStateError, grpc.aio.UsageError):
        # The call has ended; why, its answer says.
        pass
    return await call


def _place(text: str | bytes, most: int) -> int:
    try:
        place = int(text)
    except ValueError:
        place = -1
    if not 0 <= place <= most:
        raise ProtocolViolation(COORDINATOR, Phase.MASKED_INPUT, "it has more of the upload than there is")
    return place


async def fetch_model(
    channel: grpc.aio.Channel, model_hash: bytes, num_parameters: int
) -> npt.NDArray[np.float32]:
    """Return the shared parameters, float32 [P], whose SHA-256 is `model_hash`.

    Raises:
        AioRpcError: the transfer failed.
        ProtocolViolation: what came is not that model.
    """
    parameters = np.empty(num_parameters, dtype="<f4")  # [P]
    room = parameters.data.cast("B")
    digest = hashlib.sha256()
    start: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
        service.path(service.FETCH_MODEL)
    )
    call = start(encode_fetch_model(model_hash), timeout=transfer_seconds(parameters.nbytes))
    try:
        async for data in call:
            chunk = decode_model_chunk(data, COORDINATOR)
            room = _placed(chunk, room, parameters.nbytes)
            digest.update(b"" if isinstance(chunk, ModelHeader) else chunk)
    finally:
        call.cancel()
    if room.nbytes or digest.digest() != model_hash:
        raise ProtocolViolation(COORDINATOR, FETCH, "the model does not have the announced hash")
    return parameters


def _placed(chunk: ModelHeader | memoryview, room: memoryview, expected_bytes: int) -> memoryview:
    """Write `chunk` into `room` and return what is left of it."""
    if isinstance(chunk, ModelHeader):
        if chunk.size_bytes != expected_bytes or room.nbytes != expected_bytes:
            raise ProtocolViolation(COORDINATOR, FETCH, f"the model does not have {expected_bytes} bytes")
        return room
    if len(chunk) > room.nbytes:
        raise ProtocolViolation(COORDINATOR, FETCH, "the model is longer than announced")
    room[: len(chunk)] = chunk
    return room[len(chunk) :]


async def _chunks(header: UploadHeader, octets: memoryview) -> AsyncIterator[bytes]:
    yield encode_upload_chunk(header)
    async for chunk in _chunks_from(octets, 0):
        yield chunk


async def _chunks_from(octets: memoryview, begin: int) -> AsyncIterator[bytes]:
    for start in range(begin, len(octets), CHUNK_BYTES):
        yield encode_upload_chunk(octets[start : start + CHUNK_BYTES])
