"""The server against real clients over mutual TLS, and against callers without manners."""

import asyncio
import contextlib
import os
import socket
from datetime import timedelta
from pathlib import Path

import grpc.aio
import pytest

from fecosr.federation.messages import Finished, Rejected
from fecosr.ids import NodeId
from fecosr.rpc.certificates import issue_node
from fecosr.rpc.connection import MAX_QUEUED_MESSAGES
from fecosr.wire import service
from fecosr.wire.control import encode_node_message
from fecosr.wire.transfers import encode_fetch_model
from tests.reference.loopback import DE, FR, HELLO, NOW, Event, Kits, Loopback

FINISHED = Finished(bytes(32))


async def status(call: grpc.aio.Call) -> tuple[grpc.StatusCode, str]:
    return await call.code(), await call.details()


def throw(port: int, content: bytes) -> None:
    """Send `content` to the port and wait until the other end hangs up."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
    ):
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


async def converse(channel: grpc.aio.Channel, *requests: bytes) -> grpc.aio.StreamStreamCall[bytes, bytes]:
    call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(service.path(service.CONNECT))()
    for request in requests:
        await call.write(request)
    return call


async def test_events_of_a_node_come_in_order(loopback: Loopback) -> None:
    async with loopback.server() as server, loopback.client(server.port) as client:
        async with client.session() as session:
            await session.send(HELLO)
            await session.send(FINISHED)
        events = [await loopback.handler.next() for _ in range(3)]
    assert events == [
        Event("connected", DE, HELLO),
        Event("received", DE, FINISHED),
        Event("disconnected", DE),
    ]


async def test_what_was_sent_leaves_before_a_connection_is_closed(loopback: Loopback) -> None:
    async with loopback.server() as server, loopback.client(server.port) as client:
        async with client.session() as session:
            await session.send(HELLO)
            await loopback.handler.next()
            for number in range(10):
                await server.send(DE, Rejected(f"reason {number}"))
            await server.close_node(DE)
            messages = [message async for message in session.messages()]
        assert messages == [Rejected(f"reason {number}") for number in range(10)]
        assert await loopback.handler.next() == Event("disconnected", DE)


async def test_sending_to_a_node_that_is_not_there_does_nothing(loopback: Loopback) -> None:
    async with loopback.server() as server:
        await server.send(DE, Rejected("nobody hears this"))
        await server.close_node(DE)
    assert loopback.handler.events.empty()


async def test_a_node_that_stops_reading_is_disconnected(loopback: Loopback) -> None:
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        call = await converse(channel, encode_node_message(HELLO))
        await loopback.handler.next()
        for _ in range(MAX_QUEUED_MESSAGES + 1):
            await server.send(DE, Rejected("x" * 4000))
        assert await loopback.handler.next() == Event("disconnected", DE)
        call.cancel()


async def test_a_node_that_is_not_in_the_roster_is_refused(loopback: Loopback) -> None:
    async with loopback.server(roster=[FR]) as server, loopback.channel(server.port) as channel:
        fetch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            service.path(service.FETCH_MODEL)
        )
        upload: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(
            service.path(service.UPLOAD_MASKED_INPUT)
        )
        for call in (await converse(channel), upload(), fetch(b"")):
            code, details = await status(call)
            assert (code, details) == (grpc.StatusCode.PERMISSION_DENIED, "de is not in the roster")
    assert loopback.handler.events.empty()


async def test_a_certificate_that_is_not_good_for_dialling_in_is_refused(loopback: Loopback) -> None:
    tls = loopback.kits.coordinator()
    async with loopback.server() as server, loopback.channel(server.port, tls) as channel:
        code, _ = await status(channel.stream_stream(service.path(service.CONNECT))())
    assert code is grpc.StatusCode.UNAVAILABLE
    assert loopback.handler.events.empty()


async def test_a_node_of_another_authority_is_refused(loopback: Loopback, tmp_path: Path) -> None:
    leaf = issue_node(Kits(tmp_path, "other").authority, DE, NOW, 30)
    tls = loopback.kits.files("forged", leaf)
    async with loopback.server() as server, loopback.channel(server.port, tls) as channel:
        code, _ = await status(channel.stream_stream(service.path(service.CONNECT))())
    assert code is grpc.StatusCode.UNAVAILABLE
    assert loopback.handler.events.empty()


async def test_a_certificate_that_names_no_node_is_refused(loopback: Loopback) -> None:
    tls = loopback.kits.files("odd", issue_node(loopback.kits.authority, NodeId("Not a name"), NOW, 30))
    async with loopback.server() as server, loopback.channel(server.port, tls) as channel:
        code, details = await status(channel.stream_stream(service.path(service.CONNECT))())
    assert (code, details) == (grpc.StatusCode.UNAUTHENTICATED, "the certificate names no market node")
    assert loopback.handler.events.empty()


async def test_a_node_that_hangs_up_without_a_hello_leaves_no_trace(loopback: Loopback) -> None:
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        call = await converse(channel)
        await call.done_writing()
        assert (await status(call))[0] is grpc.StatusCode.OK
    assert loopback.handler.events.empty()


@pytest.mark.parametrize("requests", [[b"\xff\xff"], [b""], [encode_node_message(FINISHED)]])
async def test_a_connection_that_does_not_begin_with_a_hello_is_refused(
    loopback: Loopback, requests: list[bytes]
) -> None:
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        code, _ = await status(await converse(channel, *requests))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert loopback.handler.events.empty()


@pytest.mark.parametrize("bad", [b"\xff\xff", b"", encode_node_message(HELLO)])
async def test_a_malformed_message_ends_the_connection_of_its_sender_only(
    loopback: Loopback, bad: bytes
) -> None:
    async with (
        loopback.server() as server,
        loopback.client(server.port, FR) as client,
        client.session() as other,
    ):
        await other.send(HELLO)
        assert await loopback.handler.next() == Event("connected", FR, HELLO)
        async with loopback.channel(server.port) as channel:
            code, _ = await status(await converse(channel, encode_node_message(HELLO), bad))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert [(await loopback.handler.next()).kind for _ in range(2)] == ["connected", "disconnected"]
        await other.send(FINISHED)
        assert await loopback.handler.next() == Event("received", FR, FINISHED)


async def test_a_violation_that_the_handler_finds_ends_the_connection(loopback: Loopback) -> None:
    loopback.handler.refuses = "said the wrong thing"
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        call = await converse(channel, encode_node_message(HELLO), encode_node_message(FINISHED))
        assert await status(call) == (grpc.StatusCode.INVALID_ARGUMENT, "said the wrong thing")
        kinds = [(await loopback.handler.next()).kind for _ in range(3)]
    assert kinds == ["connected", "received", "disconnected"]


async def test_a_message_above_the_limit_is_refused(loopback: Loopback) -> None:
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        call = await converse(channel, encode_node_message(HELLO))
        await loopback.handler.next()
        await call.write(bytes(service.MAX_MESSAGE_BYTES + 1))
        assert (await status(call))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await loopback.handler.next() == Event("disconnected", DE)


async def test_a_node_that_says_too_much_loses_its_connection_and_nobody_else_does(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So few that the slowest machine says more.
    monkeypatch.setattr("fecosr.rpc.coordinator_server.MESSAGES_PER_SECOND", 2.0)
    async with (
        loopback.server() as server,
        loopback.channel(server.port) as channel,
        loopback.client(server.port, FR) as quiet,
        quiet.session() as other,
    ):
        await other.send(HELLO)
        assert await loopback.handler.next() == Event("connected", FR, HELLO)
        call = await converse(channel, encode_node_message(HELLO))
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
            for _ in range(1000):
                await call.write(encode_node_message(FINISHED))
        # A caller that is still writing when it is refused is told less.
        assert await call.code() in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL}
        await other.send(FINISHED)
        while await loopback.handler.next() != Event("received", FR, FINISHED):
            pass


async def test_a_node_that_calls_too_often_is_told_to_wait(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fecosr.rpc.coordinator_server.CALLS_PER_SECOND", 0.4)
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        fetch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            service.path(service.FETCH_MODEL)
        )
        codes = [await fetch(encode_fetch_model(bytes(32))).code() for _ in range(3)]
    assert codes == [
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ]


async def test_a_certificate_that_expires_ends_what_is_open_and_lets_nothing_new_in(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fecosr.rpc.coordinator_server.RECHECK_SECONDS", 0.01)
    days = [0]
    async with (
        loopback.server(clock=lambda: NOW + timedelta(days=days[0])) as server,
        loopback.channel(server.port) as channel,
    ):
        call = await converse(channel, encode_node_message(HELLO))
        assert await loopback.handler.next() == Event("connected", DE, HELLO)
        days[0] = 31
        assert await status(call) == (grpc.StatusCode.UNAUTHENTICATED, "this certificate has expired")
        assert await loopback.handler.next() == Event("disconnected", DE)
        again = await converse(channel)
        assert await status(again) == (grpc.StatusCode.UNAUTHENTICATED, "this certificate has expired")


async def test_hostile_bytes_on_the_port_leave_the_server_running(loopback: Loopback) -> None:
    async with loopback.server() as server:
        for hostile in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
            b"\x16\x03\x01\xff\xff" + os.urandom(4000),
            os.urandom(100_000),
        ):
            await asyncio.to_thread(throw, server.port, hostile)
        async with loopback.client(server.port) as client, client.session() as session:
            await session.send(HELLO)
            assert await loopback.handler.next() == Event("connected", DE, HELLO)


async def test_a_newer_connection_replaces_the_older_without_a_farewell(loopback: Loopback) -> None:
    async with loopback.server() as server, loopback.channel(server.port) as first:
        older = await converse(first, encode_node_message(HELLO))
        await loopback.handler.next()
        async with loopback.client(server.port) as client, client.session() as newer:
            await newer.send(HELLO)
            assert await loopback.handler.next() == Event("connected", DE, HELLO)
            assert (await status(older))[0] is grpc.StatusCode.ABORTED
            await server.send(DE, Rejected("to the newer one"))
            await newer.send(FINISHED)
            assert await loopback.handler.next() == Event("received", DE, FINISHED)
            assert await anext(newer.messages()) == Rejected("to the newer one")
        assert await loopback.handler.next() == Event("disconnected", DE)


async def test_a_newer_connection_waits_for_what_the_older_one_has_begun(loopback: Loopback) -> None:
    loopback.handler.may_go_on.clear()
    async with loopback.server() as server, loopback.channel(server.port) as first:
        older = await converse(first, encode_node_message(HELLO), encode_node_message(FINISHED))
        assert [(await loopback.handler.next()).kind for _ in range(2)] == ["connected", "received"]
        async with loopback.client(server.port) as client, client.session() as newer:
            await newer.send(HELLO)
            older.cancel()
            loopback.handler.may_go_on.set()
            assert (await loopback.handler.next()).kind == "went on"
            # The end of the older one may reach the server before the newer one does.
            following = [(await loopback.handler.next()).kind]
            if following == ["disconnected"]:
                following.append((await loopback.handler.next()).kind)
            assert following[-1] == "connected"


async def test_a_handler_is_not_cut_short_when_the_node_hangs_up(loopback: Loopback) -> None:
    loopback.handler.may_go_on.clear()
    async with loopback.server() as server:
        async with loopback.channel(server.port) as channel:
            call = await converse(channel, encode_node_message(HELLO), encode_node_message(FINISHED))
            assert [(await loopback.handler.next()).kind for _ in range(2)] == ["connected", "received"]
            call.cancel()
        loopback.handler.may_go_on.set()
        assert [(await loopback.handler.next()).kind for _ in range(2)] == ["went on", "disconnected"]


async def test_stopping_says_what_is_queued_and_hangs_up(loopback: Loopback) -> None:
    async with (
        loopback.server() as server,
        loopback.client(server.port) as client,
        client.session() as session,
    ):
        await session.send(HELLO)
        await loopback.handler.next()
        await server.send(DE, Rejected("the run is over"))
        await server.stop()
        assert [message async for message in session.messages()] == [Rejected("the run is over")]
        assert await loopback.handler.next() == Event("disconnected", DE)
