"""One session: every message survives the trip, models are verified, a lost connection is named."""

import asyncio

import grpc
import grpc.aio
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fecosr.errors import ConnectionLost, ProtocolViolation
from fecosr.federation.messages import CoordinatorMessage, Finished, Hello, NodeMessage
from fecosr.rpc.incoming import Context
from fecosr.rpc.tls import server_credentials
from fecosr.rpc.transfers import transfer_seconds
from fecosr.wire import service
from fecosr.wire.transfers import ModelHeader, encode_model_chunk
from tests.reference.loopback import DE, HELLO, NOW, Event, Loopback, OneModel
from tests.reference.message_strategies import coordinator_messages, node_messages


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(node_messages.filter(lambda message: not isinstance(message, Hello)), max_size=3),
    st.lists(coordinator_messages, max_size=3),
)
def test_every_message_survives_the_trip(
    loopback: Loopback, upward: list[NodeMessage], downward: list[CoordinatorMessage]
) -> None:
    async def scenario() -> None:
        loopback.handler.events = asyncio.Queue()
        async with (
            loopback.server() as server,
            loopback.client(server.port) as client,
            client.session() as session,
        ):
            await session.send(HELLO)
            assert await loopback.handler.next() == Event("connected", DE, HELLO)
            for message in upward:
                await session.send(message)
                assert await loopback.handler.next() == Event("received", DE, message)
            arriving = session.messages()
            for order in downward:
                await server.send(DE, order)
                assert await anext(arriving) == order

    asyncio.run(asyncio.wait_for(scenario(), 20.0))


async def test_messages_sent_by_several_tasks_at_once_all_arrive(loopback: Loopback) -> None:
    async with (
        loopback.server() as server,
        loopback.client(server.port) as client,
        client.session() as session,
    ):
        await session.send(HELLO)
        await asyncio.gather(*(session.send(Finished(bytes([i]) * 32)) for i in range(50)))
        events = [await loopback.handler.next() for _ in range(51)]
    assert {event.content for event in events[1:]} == {Finished(bytes([i]) * 32) for i in range(50)}


async def test_a_model_of_several_chunks_is_fetched_and_verified(loopback: Loopback) -> None:
    loopback.models = OneModel(np.random.default_rng(1).normal(size=700_001).astype("<f4"))
    async with (
        loopback.server() as server,
        loopback.client(server.port) as client,
        client.session() as session,
    ):
        fetched = await session.fetch_model(loopback.models.hash, 700_001)
    assert fetched.dtype == np.float32
    np.testing.assert_array_equal(fetched, loopback.models.model)


async def test_a_model_that_is_not_offered_is_refused(loopback: Loopback) -> None:
    async with (
        loopback.server() as server,
        loopback.client(server.port) as client,
        client.session() as session,
    ):
        with pytest.raises(ProtocolViolation, match="no such model is offered"):
            await session.fetch_model(bytes(32), 5)


@pytest.mark.parametrize("num_parameters", [4, 6])
async def test_a_model_of_another_length_is_refused(loopback: Loopback, num_parameters: int) -> None:
    async with (
        loopback.server() as server,
        loopback.client(server.port) as client,
        client.session() as session,
    ):
        with pytest.raises(ProtocolViolation, match=f"does not have {4 * num_parameters} bytes"):
            await session.fetch_model(loopback.models.hash, num_parameters)


@pytest.mark.parametrize(
    ("chunks", "rule"),
    [
        ([ModelHeader(8), b"12345678"], "does not have the announced hash"),
        ([ModelHeader(8), b"1234"], "does not have the announced hash"),
        ([ModelHeader(8), b"1234567890"], "longer than announced"),
        ([ModelHeader(8), b"1234", ModelHeader(8)], "does not have 8 bytes"),
        ([], "does not have the announced hash"),
    ],
    ids=["other bytes", "too few", "too many", "two headers", "nothing"],
)
async def test_a_coordinator_cannot_slip_in_another_model(
    loopback: Loopback, chunks: list[ModelHeader | bytes], rule: str
) -> None:
    async def connect(_requests: object, context: Context) -> None:
        await context.send_initial_metadata(((service.READY, "1"),))
        await context.read()

    async def fetch(_request: bytes, context: Context) -> None:
        for chunk in chunks:
            await context.write(encode_model_chunk(memoryview(chunk) if isinstance(chunk, bytes) else chunk))

    liar = grpc.aio.server()
    calls: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        service.CONNECT: grpc.stream_stream_rpc_method_handler(connect),
        service.FETCH_MODEL: grpc.unary_stream_rpc_method_handler(fetch),
    }
    liar.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.SERVICE, calls),))
    port = liar.add_secure_port("127.0.0.1:0", server_credentials(loopback.kits.coordinator(), NOW))
    await liar.start()
    async with loopback.client(port) as client, client.session() as session:
        with pytest.raises(ProtocolViolation, match=rule):
            await session.fetch_model(bytes(32), 2)
    await liar.stop(0)


async def test_a_lost_connection_is_named_to_senders_and_fetchers(loopback: Loopback) -> None:
    async with (
        loopback.server() as server,
        loopback.client(server.port) as client,
        client.session() as session,
    ):
        await session.send(HELLO)
        await loopback.handler.next()
        await server.stop(grace_seconds=0)
        assert [message async for message in session.messages()] == []
        with pytest.raises(ConnectionLost):
            await session.send(Finished(bytes(32)))
        with pytest.raises(ConnectionLost, match="fetch_model: UNAVAILABLE"):
            await session.fetch_model(bytes(32), 5)


async def test_garbage_from_the_coordinator_is_its_violation(loopback: Loopback) -> None:
    async def connect(_requests: object, context: Context) -> None:
        await context.send_initial_metadata(((service.READY, "1"),))
        await context.write(b"\xff\xff")
        await context.read()

    liar = grpc.aio.server()
    calls: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        service.CONNECT: grpc.stream_stream_rpc_method_handler(connect)
    }
    liar.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.SERVICE, calls),))
    port = liar.add_secure_port("127.0.0.1:0", server_credentials(loopback.kits.coordinator(), NOW))
    await liar.start()
    async with loopback.client(port) as client, client.session() as session:
        with pytest.raises(ProtocolViolation, match="coordinator broke the protocol in decode"):
            await anext(session.messages())
    await liar.stop(0)


def test_deadlines_grow_with_the_size() -> None:
    assert transfer_seconds(0) == 30.0
    assert transfer_seconds(40_000_000) == pytest.approx(335.2, abs=0.1)
