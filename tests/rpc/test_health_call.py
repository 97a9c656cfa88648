"""Health over the coordinator's own port."""

import grpc
import grpc.aio
import pytest

from fecosr.ids import NodeId
from fecosr.wire.health import CHECK, HEALTH_SERVICE, decode_health, encode_health_request
from fecosr.wire.service import SERVICE
from tests.reference.loopback import FR, Kits, Loopback


async def ask(channel: grpc.aio.Channel, request: bytes, call: str = CHECK) -> bytes:
    start: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{HEALTH_SERVICE}/{call}")
    return await start(request, timeout=10)


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_a_coordinator_that_answers_is_serving(loopback: Loopback, service: str) -> None:
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        assert decode_health(await ask(channel, encode_health_request(service))) == "serving"
    assert loopback.handler.events.empty()


async def test_whoever_is_not_in_the_roster_may_ask(loopback: Loopback, kits: Kits) -> None:
    probe = kits.node(NodeId("probe"))
    async with loopback.server(roster=[FR]) as server, loopback.channel(server.port, probe) as channel:
        assert decode_health(await ask(channel, b"")) == "serving"


@pytest.mark.parametrize(
    ("request_bytes", "call", "code"),
    [
        (encode_health_request("other.Service"), CHECK, grpc.StatusCode.NOT_FOUND),
        (b"\x0a\xff", CHECK, grpc.StatusCode.INVALID_ARGUMENT),
        (b"", "Watch", grpc.StatusCode.UNIMPLEMENTED),
        (b"", "List", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
async def test_anything_else_is_refused(
    loopback: Loopback, request_bytes: bytes, call: str, code: grpc.StatusCode
) -> None:
    async with loopback.server() as server, loopback.channel(server.port) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(channel, request_bytes, call)
        assert refused.value.code() == code


async def test_a_certificate_of_another_authority_learns_nothing(
    loopback: Loopback, tmp_path_factory: pytest.TempPathFactory
) -> None:
    strangers = Kits(tmp_path_factory.mktemp("elsewhere"))
    async with loopback.server() as server, loopback.channel(server.port, strangers.node(FR)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(channel, b"")
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
