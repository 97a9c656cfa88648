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
from fecosr.secagg.messages import MaskedInput
from fecosr.secagg.statements import vector_digest
from fecosr.wire import service
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


async def upload(channel: grpc.aio.Channel, message: FromClient, masked: MaskedInput) -> UploadVerdict:
    """Return the coordinator's verdict on `masked`, the body of `message`.

    Raises:
        AioRpcError: the transfer failed.
        ProtocolViolation: the answer is malformed.
    """
    octets = masked.vector.data.cast("B")
    digest = masked.digest
    if digest is None:
        digest = await asyncio.to_thread(vector_digest, masked.vector)
    header = UploadHeader(
        message.round, message.attempt, octets.nbytes, digest, masked.signature, masked.unusable
    )
    start: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(
        service.path(service.UPLOAD_MASKED_INPUT)
    )
    receipt = await start(_chunks(header, octets), timeout=transfer_seconds(octets.nbytes))
    return decode_receipt(receipt, COORDINATOR)


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
    for start in range(0, len(octets), CHUNK_BYTES):
        yield encode_upload_chunk(octets[start : start + CHUNK_BYTES])
