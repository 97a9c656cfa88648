"""The node's end: what makes it dial again, and what makes it give up."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fecosr.errors import ConfigError, MisuseError
from fecosr.federation.messages import Rejected
from fecosr.rpc.node_client import NodeClient
from fecosr.rpc.patience import Patience
from fecosr.rpc.tls import TlsFiles
from tests.reference.loopback import DE, HELLO, NOW, Event, Kits, Loopback, clock


class GaveUpError(Exception):
    """Leave a client that would otherwise dial for ever."""


def impatient(waits: list[float], allowed: int = 0) -> Patience:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > allowed:
            raise GaveUpError

    return Patience(first_seconds=0.25, uniform=lambda: 1.0, sleep=sleep)


def client_of(files: TlsFiles, port: int, now: Callable[[], datetime] = clock) -> NodeClient:
    return NodeClient(f"127.0.0.1:{port}", files, clock=now, patience=impatient([]))


async def test_a_client_comes_back_after_the_server_was_restarted_on_its_port(loopback: Loopback) -> None:
    async with loopback.server() as server:
        port = server.port
        client = loopback.client(port)
        await client.__aenter__()
        assert not client.knocked.is_set()
        async with client.session() as session:
            assert client.knocked.is_set()
            await session.send(HELLO)
            assert await loopback.handler.next() == Event("connected", DE, HELLO)
            await server.stop(grace_seconds=0)
            assert [message async for message in session.messages()] == []
    assert await loopback.handler.next() == Event("disconnected", DE)
    async with loopback.server(port=port) as server, client.session() as session:
        await session.send(HELLO)
        assert await loopback.handler.next() == Event("connected", DE, HELLO)
        await server.send(DE, Rejected("welcome back"))
        assert await anext(session.messages()) == Rejected("welcome back")
    await client.__aexit__(None, None, None)


async def test_waits_grow_while_nobody_answers(loopback: Loopback) -> None:
    async with loopback.server() as server:
        port = server.port
    waits: list[float] = []
    async with loopback.client(port, patience=impatient(waits, allowed=3)) as client:
        with pytest.raises(GaveUpError):
            async with client.session():
                pass
    assert waits == [0.25, 0.5, 1.0, 2.0]
    assert client.knocked.is_set()


async def test_a_coordinator_that_hangs_up_at_once_is_not_dialled_in_a_tight_loop(loopback: Loopback) -> None:
    waits: list[float] = []
    async with loopback.server() as server, loopback.client(server.port, patience=impatient(waits)) as client:
        async with client.session():
            pass
        with pytest.raises(GaveUpError):
            async with client.session():
                pass
    assert waits == [0.25]


async def test_a_node_outside_the_roster_gives_up(loopback: Loopback) -> None:
    async with loopback.server(roster=[]) as server, loopback.client(server.port) as client:
        with pytest.raises(ConfigError, match="de is not in the roster"):
            async with client.session():
                pass


async def test_a_coordinator_of_another_authority_is_not_trusted(loopback: Loopback, tmp_path: Path) -> None:
    other = Kits(tmp_path, "other")
    async with loopback.server() as server, client_of(other.node(DE), server.port) as client:
        with pytest.raises(ConfigError, match="the coordinator's certificate is not trusted"):
            async with client.session():
                pass
    assert loopback.handler.events.empty()


async def test_a_stranger_at_the_coordinators_address_is_waited_out(
    loopback: Loopback, tmp_path: Path
) -> None:
    other = Kits(tmp_path, "other")
    waits: list[float] = []
    async with loopback.server() as server:
        port = server.port
        client = loopback.client(port, patience=impatient(waits, allowed=1))
        await client.__aenter__()
        async with client.session():
            pass
    async with loopback.server(port, tls=other.coordinator()):
        with capture_logs() as lines, pytest.raises(GaveUpError):
            async with client.session():
                pass
    assert {
        "event": "coordinator_not_trusted",
        "log_level": "warning",
        "address": f"127.0.0.1:{port}",
    } in lines
    assert len(waits) == 2
    await client.__aexit__(None, None, None)


async def test_a_coordinator_under_another_host_name_is_not_trusted(loopback: Loopback) -> None:
    tls = loopback.kits.coordinator(hosts=["coordinator.example.org"])
    async with loopback.server(tls=tls) as server, loopback.client(server.port) as client:
        with pytest.raises(ConfigError, match="the coordinator's certificate is not trusted"):
            async with client.session():
                pass


async def test_a_node_cannot_pose_as_the_coordinator(loopback: Loopback) -> None:
    async with loopback.server(tls=loopback.kits.node(DE)) as server, loopback.client(server.port) as client:
        with pytest.raises(ConfigError, match="the coordinator's certificate is not trusted"):
            async with client.session():
                pass


async def test_an_expired_certificate_is_refused_at_both_ends(loopback: Loopback) -> None:
    files = loopback.kits.expired_node(DE)
    async with loopback.server() as server:
        with pytest.raises(ConfigError, match="is valid from"):
            await client_of(files, server.port).__aenter__()
        # With its clock set back the client dials, and the server refuses.
        async with client_of(files, server.port, lambda: NOW - timedelta(days=30)) as client:
            with pytest.raises(GaveUpError):
                async with client.session():
                    pass
    assert loopback.handler.events.empty()


async def test_a_certificate_that_expires_while_the_node_runs_ends_its_dialling(loopback: Loopback) -> None:
    times = iter([NOW, NOW + timedelta(days=31)])
    files = loopback.kits.node(DE)
    async with loopback.server() as server, client_of(files, server.port, lambda: next(times)) as client:
        with pytest.raises(ConfigError, match="is valid from"):
            async with client.session():
                pass


async def test_the_loser_of_two_processes_with_one_certificate_gives_up(loopback: Loopback) -> None:
    async with loopback.server() as server, loopback.client(server.port) as first, first.session() as older:
        await older.send(HELLO)
        await loopback.handler.next()
        async with loopback.client(server.port) as second, second.session() as newer:
            await newer.send(HELLO)
            await loopback.handler.next()
            with pytest.raises(ConfigError, match="let only one process use this node's certificate"):
                await anext(older.messages())


async def test_a_client_outside_its_block_is_misused(loopback: Loopback) -> None:
    with pytest.raises(MisuseError, match="async with"):
        async with loopback.client(1).session():
            pass
