"""Downloads: a node that does not read costs the coordinator neither time nor memory."""

import asyncio
import hashlib
import weakref
from dataclasses import dataclass, field

import grpc.aio
import numpy as np
import numpy.typing as npt
import pytest

from fecosr.ids import NodeId
from fecosr.rpc import transfers
from fecosr.wire import service
from fecosr.wire.transfers import encode_fetch_model
from tests.reference.loopback import Loopback, OneModel

LARGE = 4_000_000
"""More float32 than fit into what the network between two ends holds."""


@dataclass
class PassingModel:
    """Offer a model that the coordinator has moved on from: nothing but a download still holds it."""

    model: npt.NDArray[np.float32] | None = field(default_factory=lambda: np.arange(LARGE, dtype=np.float32))
    forgotten: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        assert self.model is not None
        self.hash = hashlib.sha256(self.model.tobytes()).digest()
        weakref.finalize(self.model, self.forgotten.set)

    def parameters(self, node: NodeId, model_hash: bytes) -> memoryview | None:
        model, self.model = self.model, None
        return None if model is None or model_hash != self.hash else model.data


async def stalled(channel: grpc.aio.Channel, model: PassingModel) -> grpc.aio.Call:
    """Ask for the model and read nothing of it."""
    fetch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
        service.path(service.FETCH_MODEL)
    )
    call = fetch(encode_fetch_model(model.hash))
    await call.initial_metadata()
    return call


async def test_a_node_that_does_not_read_is_given_up_with_its_model(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "SETUP_SECONDS", 0.05)
    monkeypatch.setattr(transfers, "SLOWEST_BYTES_PER_SECOND", 1 << 40)
    model = PassingModel()
    async with loopback.server(models=model) as server, loopback.channel(server.port) as channel:
        call = await stalled(channel, model)
        await model.forgotten.wait()
        call.cancel()


async def test_a_node_that_asks_again_gives_up_what_it_asked_for_before(loopback: Loopback) -> None:
    model = PassingModel()
    async with loopback.server(models=model) as server, loopback.channel(server.port) as channel:
        call = await stalled(channel, model)
        async with loopback.client(server.port) as client, client.session() as session:
            server._models = newer = OneModel(np.arange(5, dtype=np.float32))
            fetched = await session.fetch_model(newer.hash, 5)
        np.testing.assert_array_equal(fetched, newer.model)
        await model.forgotten.wait()
        call.cancel()
