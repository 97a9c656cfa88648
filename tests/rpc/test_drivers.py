"""Both drivers around the real state machines, over loopback and mutual TLS, in one event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import structlog
from structlog.testing import capture_logs

from fecosr.errors import LedgerError, StorageError
from fecosr.federation.aggregation import Vector
from fecosr.federation.contribution import LocalUpdate
from fecosr.federation.coordinator import CoordinatorTransition, open_run
from fecosr.federation.effects import CheckpointKept, CoordinatorRecord, ModelStored, NodeRecord
from fecosr.federation.handover import Stopped
from fecosr.federation.memory import Memory
from fecosr.federation.messages import Hello, RoundManifest
from fecosr.federation.node_states import Done, Refused
from fecosr.ids import NodeId
from fecosr.ledger.log import Entry
from fecosr.ledger.records import RoundAborted, RoundReleased, RunCompleted
from fecosr.rpc.coordinator_driver import CoordinatorDriver
from fecosr.rpc.coordinator_server import CoordinatorServer
from fecosr.rpc.listener import listen
from fecosr.rpc.node_client import NodeClient
from fecosr.rpc.node_driver import NodeDriver, Train
from fecosr.secagg.encoding import UpdateEncoding
from fecosr.secagg.messages import Phase
from fecosr.secagg.packing import packed_bytes
from tests.reference.loopback import NOW, Kits, MemorySink, clock
from tests.reference.small_federation import NUM_PARAMETERS, SmallFederation

TOLERANCE = 1e-5


@pytest.fixture
def federation() -> SmallFederation:
    return SmallFederation(["de", "fr", "jp", "uk"])


def log() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def upload_bytes(federation: SmallFederation) -> int:
    plan = federation.plan
    encoding = UpdateEncoding(
        NUM_PARAMETERS, plan.clip_norm, len(federation.names), plan.max_loss, plan.ring_bits
    )
    return packed_bytes(encoding.length, plan.ring_bits)


@dataclass
class CoordinatorDisk:
    """Keep records in memory; refuse the entry at `full_at`."""

    full_at: int = 1_000_000
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    entries: list[Entry] = field(default_factory=list)
    models: dict[bytes, Vector] = field(default_factory=dict)

    def persist(self, record: CoordinatorRecord) -> None:
        match record:
            case ModelStored(model_hash=model_hash, parameters=parameters):
                self.models[model_hash] = parameters
            case Entry() if len(self.entries) == self.full_at:
                raise StorageError("the disk is full")
            case Entry():
                self.entries.append(record)
                if isinstance(record.body, RoundReleased):
                    self.loop.call_soon_threadsafe(self.released.set)


@dataclass
class NodeDisk:
    """Keep records in memory; `refuse` stands for a checkpoint that contradicts an earlier one."""

    refuse: bool = False
    records: list[NodeRecord] = field(default_factory=list)
    final: Vector | None = None

    def persist(self, record: NodeRecord) -> None:
        if self.refuse and isinstance(record, CheckpointKept):
            raise LedgerError(3, "checkpoint", "a second history of 4 records")
        self.records.append(record)

    def keep_final_model(self, parameters: Vector) -> None:
        self.final = parameters


@dataclass
class Network:
    """Run one coordinator and nodes around it."""

    federation: SmallFederation
    kits: Kits
    disk: CoordinatorDisk = field(default_factory=CoordinatorDisk)
    sink: MemorySink = field(default_factory=MemorySink)

    @asynccontextmanager
    async def coordinator(self) -> AsyncIterator[tuple[CoordinatorDriver, CoordinatorServer]]:
        driver = CoordinatorDriver(self.disk.persist, log())
        server = CoordinatorServer(
            listen("127.0.0.1:0", self.kits.coordinator(), NOW, 3),
            roster=self.federation.names,
            handler=driver,
            models=driver,
            uploads=self.sink,
        )
        begin: Callable[[float], CoordinatorTransition] = partial(
            open_run, self.federation.setup, self.federation.initial
        )
        await driver.start(server, begin)
        await server.start()
        try:
            yield driver, server
        finally:
            await server.stop(grace_seconds=1.0)

    async def node(
        self, name: NodeId, port: int, disk: NodeDisk, train: Train | None = None
    ) -> Done | Refused:
        trained = train or partial(self.federation.train, name)
        driver = NodeDriver(self.federation.node(name), Memory(), disk, trained, log=log())
        async with NodeClient(f"127.0.0.1:{port}", self.kits.node(name), clock=clock) as client:
            return await driver.run(client)


@pytest.mark.parametrize(("ring_bits", "tolerance"), [(32, TOLERANCE), (24, 1e-3), (16, 0.2)])
async def test_a_run_over_the_network_ends_with_the_same_model_everywhere(
    kits: Kits, ring_bits: int, tolerance: float
) -> None:
    federation = SmallFederation(["de", "fr", "jp", "uk"], ring_bits=ring_bits)
    network = Network(federation, kits)
    disks = {name: NodeDisk() for name in federation.names}
    async with network.coordinator() as (driver, server), asyncio.TaskGroup() as nodes:
        for name, disk in disks.items():
            nodes.create_task(network.node(name, server.port, disk))
        stopped = await driver.stopped()

    assert stopped == Stopped(completed=True, reason="", missing=())
    expected = federation.initial + 2 * federation.mean_update(federation.names)
    final = network.disk.entries[-1].body
    assert isinstance(final, RunCompleted)
    np.testing.assert_allclose(network.disk.models[final.final_model_hash], expected, atol=tolerance)
    assert {upload.size_bytes for upload in network.sink.uploads} == {upload_bytes(federation)}
    for disk in disks.values():
        assert disk.final is not None
        np.testing.assert_array_equal(disk.final, network.disk.models[final.final_model_hash])


async def test_a_record_that_cannot_be_stored_stops_the_coordinator_before_it_sends(
    federation: SmallFederation, kits: Kits
) -> None:
    # Entries: run_opened, round_opened, cohort_fixed, survivors_fixed, and round_released does not fit.
    network = Network(federation, kits, CoordinatorDisk(full_at=4))
    disks = {name: NodeDisk() for name in federation.names}
    async with network.coordinator() as (driver, server):
        nodes = [asyncio.create_task(network.node(name, server.port, disk)) for name, disk in disks.items()]
        with pytest.raises(StorageError, match="the disk is full"):
            await driver.stopped()
        for node in nodes:
            node.cancel()
        await asyncio.gather(*nodes, return_exceptions=True)

    assert not any(isinstance(entry.body, RoundReleased) for entry in network.disk.entries)
    kept = [
        record.kept.checkpoint.size
        for disk in disks.values()
        for record in disk.records
        if isinstance(record, CheckpointKept)
    ]
    assert set(kept) == {1}, "nobody may hear of a release that the ledger does not know"


async def test_a_node_whose_training_fails_ends_with_that_error_and_the_round_goes_on(
    federation: SmallFederation, kits: Kits
) -> None:
    def fail(manifest: RoundManifest, parameters: Vector) -> LocalUpdate:
        del manifest, parameters
        raise StorageError("no memory left on this device")

    network = Network(federation, kits)
    disks = {name: NodeDisk() for name in federation.names}
    async with network.coordinator() as (_, server):
        healthy = [
            asyncio.create_task(network.node(name, server.port, disks[name]))
            for name in federation.names
            if name != "jp"
        ]
        with pytest.raises(StorageError, match="no memory left"):
            await network.node(NodeId("jp"), server.port, disks[NodeId("jp")], fail)
        await network.disk.released.wait()
        for node in healthy:
            node.cancel()
        await asyncio.gather(*healthy, return_exceptions=True)

    released = [entry.body for entry in network.disk.entries if isinstance(entry.body, RoundReleased)]
    assert released[0].survivors == ("de", "fr", "uk")


async def test_a_node_that_is_shown_two_histories_leaves_for_good(
    federation: SmallFederation, kits: Kits
) -> None:
    network = Network(federation, kits)
    disks = {name: NodeDisk(refuse=name == "uk") for name in federation.names}
    async with network.coordinator() as (_, server):
        others = [
            asyncio.create_task(network.node(name, server.port, disks[name]))
            for name in federation.names
            if name != "uk"
        ]
        with pytest.raises(LedgerError, match="a second history"):
            await network.node(NodeId("uk"), server.port, disks[NodeId("uk")])
        for node in others:
            node.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def test_training_that_takes_too_long_is_ended_by_the_clock(kits: Kits) -> None:
    federation = SmallFederation(
        ["de", "fr", "jp", "uk"], max_attempts=1, phase_seconds=dict.fromkeys(Phase, 0.2)
    )
    network = Network(federation, kits)
    stuck = asyncio.Event()

    async with network.coordinator() as (driver, server):
        connected = [
            asyncio.create_task(_connect_only(network, name, server.port, stuck)) for name in federation.names
        ]
        stopped = await driver.stopped()
        stuck.set()
        await asyncio.gather(*connected)

    assert stopped.reason == "too_few_adverts"
    aborted = [entry.body for entry in network.disk.entries if isinstance(entry.body, RoundAborted)]
    assert [body.reason for body in aborted] == ["too_few_adverts"]


async def _connect_only(network: Network, name: NodeId, port: int, until: asyncio.Event) -> None:
    """Say hello and then nothing more."""
    plan = network.federation.plan
    async with (
        NodeClient(f"127.0.0.1:{port}", network.kits.node(name), clock=clock) as client,
        client.session() as session,
    ):
        await session.send(Hello(plan.run, plan.hash(), "test", None))
        await until.wait()


async def test_what_is_observed_is_logged(federation: SmallFederation, kits: Kits) -> None:
    network = Network(federation, kits)
    with capture_logs() as lines:
        async with network.coordinator() as (driver, server), asyncio.TaskGroup() as nodes:
            for name in federation.names:
                nodes.create_task(network.node(name, server.port, NodeDisk()))
            await driver.stopped()
    events = [line["event"] for line in lines]
    assert events.count("round_released") == 2
    assert "run_completed" in events
    assert events.count("final_model_kept") == len(federation.names)
