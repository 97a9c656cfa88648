import pytest

from fecosr.errors import ConfigError, ConnectionLost
from fecosr.rpc.admission import ask_admission
from tests.reference.loopback import DE, FR, Kits, Loopback


async def test_a_node_that_would_be_let_in_learns_it_without_joining(loopback: Loopback, kits: Kits) -> None:
    async with loopback.server() as server:
        await ask_admission(f"127.0.0.1:{server.port}", kits.node(DE))
    assert loopback.handler.events.empty()


async def test_a_node_that_is_not_in_the_roster_learns_why(loopback: Loopback, kits: Kits) -> None:
    async with loopback.server(roster=[FR]) as server:
        with pytest.raises(ConfigError, match="de is not in the roster"):
            await ask_admission(f"127.0.0.1:{server.port}", kits.node(DE))


async def test_nobody_there_is_no_answer(kits: Kits) -> None:
    with pytest.raises(ConnectionLost, match="UNAVAILABLE"):
        await ask_admission("127.0.0.1:1", kits.node(DE))


async def test_a_missing_file_is_named(loopback: Loopback, kits: Kits) -> None:
    files = kits.node(DE)
    files.key.unlink()
    with pytest.raises(ConfigError, match=r"key\.pem: cannot be read"):
        await ask_admission("127.0.0.1:1", files)
