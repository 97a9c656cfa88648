"""Uploads: whole and verified, or refused without reaching the handler."""

import hashlib

import grpc.aio
import numpy as np
import pytest

from fecosr.errors import ProtocolViolation
from fecosr.federation.messages import FromClient
from fecosr.rpc import transfers
from fecosr.rpc.upload_call import DIGEST_BYTES
from fecosr.secagg.messages import MaskedInput
from fecosr.secagg.packing import RING_BITS, make_room
from fecosr.wire import service
from fecosr.wire.transfers import (
    CHUNK_BYTES,
    UploadHeader,
    UploadVerdict,
    decode_receipt,
    encode_upload_chunk,
)
from tests.reference.loopback import DE, Loopback, MemoryUpload

SIGNATURE = bytes(range(64))
VECTOR = np.arange(3, dtype="<u4")
DATA = VECTOR.data.cast("B")


def header(
    size_bytes: int = 12, sha256: bytes = hashlib.sha256(DATA).digest(), round_number: int = 1
) -> bytes:
    return encode_upload_chunk(UploadHeader(round_number, 1, size_bytes, sha256, SIGNATURE))


def data(content: bytes | memoryview) -> bytes:
    return encode_upload_chunk(memoryview(content))


def uploads(channel: grpc.aio.Channel) -> grpc.aio.StreamUnaryMultiCallable[bytes, bytes]:
    return channel.stream_unary(service.path(service.UPLOAD_MASKED_INPUT))


async def upload(loopback: Loopback, *chunks: bytes) -> UploadVerdict:
    loopback.handler.expected_bytes[DE] = VECTOR.nbytes
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        return decode_receipt(await uploads(channel)(iter(chunks)), "coordinator")


@pytest.mark.parametrize("ring_bits", RING_BITS)
async def test_a_vector_of_several_mebibytes_arrives_whole(loopback: Loopback, ring_bits: int) -> None:
    vector = make_room(1_500_001, ring_bits)
    octets = vector.reshape(-1).view(np.uint8)
    octets[:] = np.random.default_rng(7).integers(0, 2**8, octets.size, dtype=np.uint8)
    loopback.handler.expected_bytes[DE] = vector.nbytes
    async with (
        loopback.server() as server,
        loopback.client(server.port) as client,
        client.session() as session,
    ):
        await session.send(FromClient(1, 1, MaskedInput(vector, SIGNATURE)))
    event = loopback.handler.events.get_nowait()
    assert isinstance(event.content, tuple)
    assert event.kind == "masked_input"
    np.testing.assert_array_equal(event.content[0], octets)
    assert octets.size == 1_500_001 * ring_bits // 8
    assert event.content[1] == SIGNATURE
    assert loopback.sink.uploads[0].largest_chunk == CHUNK_BYTES
    assert loopback.sink.uploads[0].discarded.is_set()


@pytest.mark.parametrize("is_quick", [True, False])
async def test_what_waits_in_memory_is_hashed_while_it_arrives(loopback: Loopback, is_quick: bool) -> None:
    vector = np.arange(1_500_001, dtype="<u4")
    loopback.handler.expected_bytes[DE] = vector.nbytes
    loopback.sink.is_quick = is_quick
    async with (
        loopback.server() as server,
        loopback.client(server.port) as client,
        client.session() as session,
    ):
        await session.send(FromClient(1, 1, MaskedInput(vector, SIGNATURE)))
    event = loopback.handler.events.get_nowait()
    assert isinstance(event.content, tuple)
    np.testing.assert_array_equal(event.content[0], vector.view(np.uint8))
    (received,) = loopback.sink.uploads
    assert (received.digested >= DIGEST_BYTES) is is_quick


async def test_the_receipt_says_accepted(loopback: Loopback) -> None:
    verdict = await upload(loopback, header(), data(DATA[:5]), data(DATA[5:]))
    assert verdict is UploadVerdict.ACCEPTED


async def test_the_receipt_of_a_vector_that_came_too_late_says_so(loopback: Loopback) -> None:
    loopback.handler.counts = False
    verdict = await upload(loopback, header(), data(DATA))
    assert verdict is UploadVerdict.NOT_EXPECTED


async def test_an_upload_nobody_waits_for_is_turned_away_at_its_header(loopback: Loopback) -> None:
    verdict = await upload(loopback, header(round_number=2), data(DATA))
    assert verdict is UploadVerdict.NOT_EXPECTED
    assert loopback.sink.uploads == []


@pytest.mark.parametrize(
    ("chunks", "rule"),
    [
        ([], "an upload begins with its header"),
        ([data(DATA)], "an upload begins with its header"),
        ([b"\xff"], "the bytes are no message of this protocol"),
        ([header(size_bytes=16), data(DATA)], "announced 16 bytes instead of 12"),
        ([header(size_bytes=2**62)], "announced 4611686018427387904 bytes instead of 12"),
        ([header(), header()], "an upload has one header"),
        ([header(), data(DATA), data(b"more")], "sent too much"),
        ([header(), data(DATA[:8])], "sent too little"),
        ([header(sha256=bytes(32)), data(DATA)], "the SHA-256 is not the announced one"),
        ([header(), data(bytes(CHUNK_BYTES + 1))], "a chunk carries 1-1048576 bytes"),
    ],
    ids=[
        "nothing",
        "no header",
        "garbage",
        "too big",
        "huge",
        "two headers",
        "more",
        "less",
        "digest",
        "chunk",
    ],
)
async def test_a_bad_upload_is_refused_and_forgotten(
    loopback: Loopback, chunks: list[bytes], rule: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await upload(loopback, *chunks)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert rule in (caught.value.details() or "")
    assert loopback.handler.events.empty()
    assert all(upload.discarded.is_set() for upload in loopback.sink.uploads)


async def test_a_node_learns_that_its_vector_was_refused(loopback: Loopback) -> None:
    loopback.handler.expected_bytes[DE] = 12
    loopback.handler.refuses = "the signature does not verify"
    async with (
        loopback.server() as server,
        loopback.client(server.port) as client,
        client.session() as session,
    ):
        with pytest.raises(ProtocolViolation, match="refused: the signature does not verify"):
            await session.send(FromClient(1, 1, MaskedInput(VECTOR, SIGNATURE)))


async def test_a_newer_upload_replaces_the_older(loopback: Loopback) -> None:
    loopback.handler.expected_bytes[DE] = VECTOR.nbytes
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        older = uploads(channel)()
        await older.write(header())
        async with loopback.client(server.port) as client, client.session() as session:
            await session.send(FromClient(1, 1, MaskedInput(VECTOR, SIGNATURE)))
        assert await older.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (await loopback.handler.next()).kind == "masked_input"
    assert loopback.handler.events.empty()


async def test_an_upload_that_breaks_off_is_kept_to_go_on_with(loopback: Loopback) -> None:
    loopback.handler.expected_bytes[DE] = VECTOR.nbytes
    async with loopback.server() as server:
        async with loopback.channel(server.port) as channel:
            call = uploads(channel)()
            await call.write(header())
            await call.write(data(DATA[:4]))
            await loopback.sink.opened.wait()
            call.cancel()
        await loopback.sink.uploads[0].suspended.wait()
    assert not loopback.sink.uploads[0].discarded.is_set()
    assert loopback.handler.events.empty()


async def test_an_upload_that_stalls_is_given_up(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    loopback.handler.expected_bytes[DE] = VECTOR.nbytes
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        call = uploads(channel)()
        monkeypatch.setattr(transfers, "SETUP_SECONDS", 0.05)
        await call.write(header())
        await call.write(data(DATA[:4]))
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert loopback.sink.uploads[0].suspended.is_set()
    assert loopback.handler.events.empty()


async def test_a_node_sends_only_what_the_coordinator_lacks(loopback: Loopback) -> None:
    loopback.handler.expected_bytes[DE] = VECTOR.nbytes
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        call = uploads(channel)()
        await call.write(header())
        await call.write(data(DATA[:4]))
        await loopback.sink.opened.wait()
        first = loopback.sink.uploads[0]
        await first.arrived.wait()
        call.cancel()
        await first.suspended.wait()
        message = FromClient(1, 1, MaskedInput(VECTOR, SIGNATURE))
        verdict = await transfers.upload(channel, message, MaskedInput(VECTOR, SIGNATURE), resume=True)
    assert verdict is UploadVerdict.ACCEPTED
    assert loopback.sink.uploads == [first]
    assert first.largest_chunk == 8
    assert first.content == DATA
    assert (await loopback.handler.next()).kind == "masked_input"


async def test_a_replaced_upload_can_be_gone_on_with(loopback: Loopback) -> None:
    """A node notices a dead connection before the coordinator does."""
    loopback.handler.expected_bytes[DE] = VECTOR.nbytes
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        older = uploads(channel)()
        await older.write(header())
        await older.write(data(DATA[:4]))
        await loopback.sink.opened.wait()
        message = FromClient(1, 1, MaskedInput(VECTOR, SIGNATURE))
        verdict = await transfers.upload(channel, message, MaskedInput(VECTOR, SIGNATURE), resume=True)
    assert verdict is UploadVerdict.ACCEPTED
    assert len(loopback.sink.uploads) == 1


async def test_with_nothing_to_go_on_with_everything_is_sent(loopback: Loopback) -> None:
    loopback.handler.expected_bytes[DE] = VECTOR.nbytes
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        message = FromClient(1, 1, MaskedInput(VECTOR, SIGNATURE))
        verdict = await transfers.upload(channel, message, MaskedInput(VECTOR, SIGNATURE), resume=True)
    assert verdict is UploadVerdict.ACCEPTED
    assert loopback.sink.uploads[0].content == DATA


async def test_going_on_with_what_nobody_waits_for_is_answered(loopback: Loopback) -> None:
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        message = FromClient(1, 1, MaskedInput(VECTOR, SIGNATURE))
        verdict = await transfers.upload(channel, message, MaskedInput(VECTOR, SIGNATURE), resume=True)
    assert verdict is UploadVerdict.NOT_EXPECTED


async def test_other_bytes_do_not_complete_an_upload(loopback: Loopback) -> None:
    loopback.handler.expected_bytes[DE] = VECTOR.nbytes
    other = VECTOR + np.uint32(1)
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        call = uploads(channel)()
        await call.write(header())
        await call.write(data(DATA[:4]))
        await loopback.sink.opened.wait()
        call.cancel()
        await loopback.sink.uploads[0].suspended.wait()
        message = FromClient(1, 1, MaskedInput(other, SIGNATURE))
        verdict = await transfers.upload(channel, message, MaskedInput(other, SIGNATURE), resume=True)
    assert verdict is UploadVerdict.ACCEPTED
    assert loopback.sink.uploads[1].content == other.data.cast("B")


@pytest.mark.parametrize("claimed", ["13", "-1", "much"])
async def test_a_coordinator_that_claims_to_have_more_than_there_is_lies(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch, claimed: str
) -> None:
    loopback.handler.expected_bytes[DE] = VECTOR.nbytes
    monkeypatch.setattr(MemoryUpload, "received_bytes", claimed)
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        message = FromClient(1, 1, MaskedInput(VECTOR, SIGNATURE))
        with pytest.raises(ProtocolViolation, match="more of the upload than there is"):
            await transfers.upload(channel, message, MaskedInput(VECTOR, SIGNATURE), resume=True)
