"""Chunks encoded once: the right bytes for every model, and never many of them."""

from fecosr.rpc.encoded_chunks import MOST_CHUNKS, EncodedChunks
from fecosr.wire.transfers import CHUNK_BYTES, decode_model_chunk

FIRST, SECOND = bytes(range(256)) * (CHUNK_BYTES >> 6), bytes(reversed(range(256))) * (CHUNK_BYTES >> 6)


def test_nodes_that_fetch_together_are_given_the_same_message() -> None:
    encoded = EncodedChunks()
    messages = [encoded.message(b"first", memoryview(FIRST), CHUNK_BYTES) for _ in range(3)]
    assert messages[0] is messages[1] is messages[2]
    assert decode_model_chunk(messages[0], "de") == memoryview(FIRST)[CHUNK_BYTES : 2 * CHUNK_BYTES]


def test_another_model_and_another_place_are_other_messages() -> None:
    encoded = EncodedChunks()
    for model_hash, content in ((b"first", FIRST), (b"second", SECOND), (b"first", FIRST)):
        for start in (0, CHUNK_BYTES):
            message = encoded.message(model_hash, memoryview(content), start)
            chunk = memoryview(content)[start : start + CHUNK_BYTES]
            assert decode_model_chunk(message, "de") == chunk


def test_only_the_last_few_are_kept() -> None:
    encoded = EncodedChunks()
    content = bytes(4 * (MOST_CHUNKS + 1))
    first = encoded.message(b"model", memoryview(content), 0)
    for start in range(1, MOST_CHUNKS):
        encoded.message(b"model", memoryview(content), start)
    assert encoded.message(b"model", memoryview(content), 0) is first
    for start in range(1, MOST_CHUNKS + 1):
        encoded.message(b"model", memoryview(content), start)
    assert encoded.message(b"model", memoryview(content), 0) is not first
