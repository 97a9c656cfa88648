"""The headers, chunks and receipts of the two bulk transfers."""

import contextlib

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from fecosr.errors import ProtocolViolation
from fecosr.wire.generated.v1 import coordination_pb2 as pb
from fecosr.wire.service import MAX_MESSAGE_BYTES
from fecosr.wire.transfers import (
    CHUNK_BYTES,
    ModelHeader,
    UploadHeader,
    UploadVerdict,
    decode_fetch_model,
    decode_model_chunk,
    decode_receipt,
    decode_upload_chunk,
    encode_fetch_model,
    encode_model_chunk,
    encode_receipt,
    encode_upload_chunk,
)

HEADER = UploadHeader(round=1, attempt=2, size_bytes=12, sha256=bytes(32), signature=bytes(64))


def uploaded(message: bytes) -> bytes:
    part = decode_upload_chunk(message, "de")
    assert isinstance(part, memoryview)
    return bytes(part)


def downloaded(message: bytes) -> bytes:
    part = decode_model_chunk(message, "coordinator")
    assert isinstance(part, memoryview)
    return bytes(part)


def test_headers_survive_the_trip() -> None:
    assert decode_upload_chunk(encode_upload_chunk(HEADER), "de") == HEADER
    assert decode_model_chunk(encode_model_chunk(ModelHeader(8)), "coordinator") == ModelHeader(8)


def test_data_is_cut_straight_from_an_array() -> None:
    array = np.arange(6, dtype="<u4")
    view = array.data.cast("B")
    assert uploaded(encode_upload_chunk(view[4:12])) == array[1:3].tobytes()
    assert downloaded(encode_model_chunk(view[4:12])) == array[1:3].tobytes()


def test_a_full_chunk_fits_into_a_message() -> None:
    full = memoryview(bytes(CHUNK_BYTES))
    assert len(encode_upload_chunk(full)) < MAX_MESSAGE_BYTES < 4 << 20
    assert uploaded(encode_upload_chunk(full)) == bytes(CHUNK_BYTES)


@pytest.mark.parametrize("size_bytes", [1, 127, 128, 129, 16_383, 16_384, 16_385, CHUNK_BYTES])
def test_data_is_written_and_read_as_protobuf_would(size_bytes: int) -> None:
    data = bytes(range(256)) * (size_bytes // 256 + 1)
    data = data[:size_bytes]
    for ours, theirs in (
        (encode_upload_chunk(memoryview(data)), pb.UploadChunk(data=data)),
        (encode_model_chunk(memoryview(data)), pb.ModelChunk(data=data)),
    ):
        assert ours == theirs.SerializeToString()
    assert uploaded(pb.UploadChunk(data=data).SerializeToString()) == data
    assert downloaded(pb.ModelChunk(data=data).SerializeToString()) == data


def test_data_in_a_form_that_only_protobuf_knows_is_read_all_the_same() -> None:
    # The length in one octet more than it needs, and the field twice: the last one counts.
    assert uploaded(b"\x12\x82\x00ab") == b"ab"
    assert uploaded(b"\x12\x01a\x12\x01b") == b"b"
    with pytest.raises(ProtocolViolation):
        decode_upload_chunk(b"\x12\x02abc", "de")


@given(st.binary(min_size=1, max_size=300))
def test_whatever_begins_like_data_is_what_protobuf_says_it_is(rest: bytes) -> None:
    message = b"\x12" + rest
    try:
        expected = pb.UploadChunk.FromString(message)
    except DecodeError:
        with pytest.raises(ProtocolViolation):
            decode_upload_chunk(message, "de")
        return
    if expected.data:
        assert uploaded(message) == expected.data


@pytest.mark.parametrize("size_bytes", [0, CHUNK_BYTES + 1])
def test_empty_and_oversized_data_are_refused(size_bytes: int) -> None:
    data = memoryview(bytes(size_bytes))
    with pytest.raises(ProtocolViolation, match="a chunk carries 1-1048576 bytes"):
        decode_upload_chunk(encode_upload_chunk(data), "de")
    with pytest.raises(ProtocolViolation, match="a chunk carries 1-1048576 bytes"):
        decode_model_chunk(encode_model_chunk(data), "coordinator")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attempt", 0),
        ("size_bytes", 0),
        ("sha256", bytes(20)),
        ("signature", b""),
    ],
)
def test_an_upload_header_out_of_range_is_refused(field: str, value: object) -> None:
    chunk = pb.UploadChunk.FromString(encode_upload_chunk(HEADER))
    setattr(chunk.header, field, value)
    with pytest.raises(ProtocolViolation, match=field):
        decode_upload_chunk(chunk.SerializeToString(), "de")


def test_a_model_header_out_of_range_is_refused() -> None:
    with pytest.raises(ProtocolViolation, match="size_bytes must be a positive multiple of 4"):
        decode_model_chunk(encode_model_chunk(ModelHeader(7)), "coordinator")


@pytest.mark.parametrize("verdict", list(UploadVerdict))
def test_receipts_survive_the_trip(verdict: UploadVerdict) -> None:
    assert decode_receipt(encode_receipt(verdict), "coordinator") is verdict


@pytest.mark.parametrize("data", [b"", b"\x08\x09"], ids=["unspecified", "unknown"])
def test_an_unknown_verdict_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="verdict is not known"):
        decode_receipt(data, "coordinator")


def test_requests_for_a_model_carry_a_whole_hash() -> None:
    assert decode_fetch_model(encode_fetch_model(bytes(32)), "de") == bytes(32)
    with pytest.raises(ProtocolViolation, match="model_hash must be 32 bytes, not 5"):
        decode_fetch_model(encode_fetch_model(b"short"), "de")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_with_one_error(data: bytes) -> None:
    for decode in (decode_fetch_model, decode_model_chunk, decode_upload_chunk, decode_receipt):
        with contextlib.suppress(ProtocolViolation):
            decode(data, "de")
