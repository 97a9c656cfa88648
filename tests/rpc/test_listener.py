"""The port before and while it is served."""

import asyncio
import socket
from datetime import timedelta

import pytest

from fecosr.errors import ConfigError
from fecosr.rpc.listener import listen
from tests.reference.loopback import DE, HELLO, NOW, Event, Kits, Loopback


async def test_a_node_that_knocks_before_the_server_is_started_is_served_afterwards(
    loopback: Loopback,
) -> None:
    listener = listen("127.0.0.1:0", loopback.kits.coordinator(), NOW, 3)
    server = loopback.serving(listener)
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10):
        pass

    async def dial() -> None:
        async with loopback.client(listener.port) as client, client.session() as session:
            await session.send(HELLO)
            assert await loopback.handler.next() == Event("connected", DE, HELLO)

    dialling = asyncio.create_task(dial())
    await server.start()
    await dialling
    await server.stop(grace_seconds=1.0)


async def test_a_taken_port_is_an_error_that_says_what_to_do(loopback: Loopback) -> None:
    async with loopback.server() as server:
        with pytest.raises(ConfigError, match=r"cannot listen on .*another coordinator running"):
            listen(f"127.0.0.1:{server.port}", loopback.kits.coordinator(), NOW, 3)


async def test_an_expired_certificate_takes_no_port(kits: Kits) -> None:
    with pytest.raises(ConfigError, match="is valid from"):
        listen("127.0.0.1:0", kits.coordinator(now=NOW - timedelta(days=40)), NOW, 3)
