"""Send one model: header, then data, at the node's pace, but neither for ever nor twice at once."""

import asyncio

from fecosr.rpc.encoded_chunks import EncodedChunks
from fecosr.rpc.incoming import IncomingStream
from fecosr.rpc.transfers import transfer_seconds
from fecosr.wire.transfers import CHUNK_BYTES, ModelHeader, encode_model_chunk


async def send_model(
    stream: IncomingStream, model_hash: bytes, parameters: memoryview, encoded: EncodedChunks
) -> bool:
    """Return whether all of `parameters`, float32 little endian, went to the caller.

    Args:
        stream: the call.
        model_hash: their SHA-256.
        parameters: the model.
        encoded: what other calls have encoded lately.

    Guarantees:
        It returns after the time a transfer may take, or as soon as the node asks again; whether the node
        reads or not, no more than one chunk is kept for it from then on.
    """
    try:
        async with asyncio.timeout(transfer_seconds(parameters.nbytes)):
            return await _send(stream, model_hash, parameters.cast("B"), encoded)
    except TimeoutError:
        return False


async def _send(
    stream: IncomingStream, model_hash: bytes, octets: memoryview, encoded: EncodedChunks
) -> bool:
    if not await stream.write(encode_model_chunk(ModelHeader(octets.nbytes))):
        return False
    for start in range(0, len(octets), CHUNK_BYTES):
        if not await stream.write(encoded.message(model_hash, octets, start)):
            return False
    return True
