"""Encode each chunk of a model once for all the nodes that fetch it at about the same time."""

from collections import OrderedDict
from typing import Final

from fecosr.wire.transfers import CHUNK_BYTES, encode_model_chunk

MOST_CHUNKS: Final = 4
"""How many are kept: as far as nodes that began together come apart."""


class EncodedChunks:
    """Keep the messages that were asked for last; which model they are of, its hash says."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()

    def message(self, model_hash: bytes, octets: memoryview, start: int) -> bytes:
        """Return the message with the chunk of `octets`, the bytes with this hash, that begins at `start`."""
        message = self._kept.pop((model_hash, start), None)
        if message is None:
            message = encode_model_chunk(octets[start : start + CHUNK_BYTES])
        self._kept[model_hash, start] = message
        if len(self._kept) > MOST_CHUNKS:
            self._kept.popitem(last=False)
        return message
