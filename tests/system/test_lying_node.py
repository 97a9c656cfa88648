"""A market node that lies to a real coordinator process: it is named, done without, and proved guilty."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import structlog

from fecosr import __version__
from fecosr.audit.report import AuditReport
from fecosr.audit.verification import audit_run
from fecosr.config.clock import utc_now
from fecosr.config.parties import load_coordinator, load_identity, load_node, load_roster
from fecosr.config.plan import load_plan
from fecosr.federation.contribution import LocalUpdate, NodeSetup
from fecosr.federation.effects import CheckpointKept, NodeRecord
from fecosr.federation.memory import Memory
from fecosr.federation.messages import FromClient, NodeMessage, RoundManifest
from fecosr.federation.node_states import Aggregating
from fecosr.harness.events import Logged
from fecosr.harness.processes import Processes, python_module
from fecosr.harness.wire_runs import Bench, provisioned
from fecosr.ids import COORDINATOR, NodeId
from fecosr.rpc.node_client import NodeClient
from fecosr.rpc.node_driver import NodeDriver
from fecosr.rpc.node_session import NodeSession
from fecosr.rpc.tls import TlsFiles
from fecosr.secagg.client import ClientState
from fecosr.secagg.messages import ClientMessage, MaskedInput
from fecosr.storage.checkpoint_store import CHECKPOINTS_FILE, CheckpointStore
from tests.reference.misdealing import another_polynomial, misdealing, to_each

LIAR, HOLDER = NodeId("node-1"), NodeId("node-2")
NUM_NODES, NUM_PARAMETERS, NUM_ROUNDS = 4, 1000, 2
PATIENCE_SECONDS = 240.0
Lie = Callable[[ClientState, ClientMessage], ClientMessage]
pytestmark = pytest.mark.system


def corrupting(state: ClientState, message: ClientMessage) -> ClientMessage:
    """Send another vector than the one that was hashed and signed."""
    del state
    return replace(message, vector=message.vector + 1) if isinstance(message, MaskedInput) else message


@dataclass(slots=True)
class _Liar:
    """Be a node of a kit that is honest but for what a lie makes of its messages."""

    config: Path
    lie: Lie
    checkpoints: CheckpointStore = field(init=False)
    driver: NodeDriver = field(init=False)

    async def take_part(self, address: str) -> None:
        config = load_node(self.config)
        plan, roster = load_plan(config.plan).federation(), load_roster(config.roster)
        identity = load_identity(config.identity)
        setup = NodeSetup(LIAR, identity, roster, plan, config.policy, NUM_PARAMETERS, __version__)
        config.storage.mkdir(parents=True, exist_ok=True)
        files = TlsFiles(config.tls.ca, config.tls.certificate, config.tls.key)
        path = config.storage / CHECKPOINTS_FILE
        with CheckpointStore(
            path, plan.run, roster.coordinator, market=LIAR, identity=roster.nodes[LIAR]
        ) as self.checkpoints:
            self.driver = NodeDriver(setup, Memory(), self, _train, log=structlog.get_logger())
            async with NodeClient(address, files, clock=utc_now) as client:
                await self.driver.run(_Tampering(client, self))

    def persist(self, record: NodeRecord) -> None:
        if isinstance(record, CheckpointKept):
            self.checkpoints.keep(record.kept)

    def keep_final_model(self, parameters: object) -> None:
        del parameters


def _train(manifest: RoundManifest, *_: object) -> LocalUpdate:
    return LocalUpdate(manifest.model_hash, np.ones(NUM_PARAMETERS, np.float32), 100, 1.0)


@dataclass(slots=True)
class _Tampering:
    """Reach the coordinator as a node does, and send what the lie makes of its messages."""

    client: NodeClient
    liar: _Liar

    @asynccontextmanager
    async def session(self) -> AsyncIterator[NodeSession]:
        async with self.client.session() as session:
            send = session.send

            async def tampered(message: NodeMessage) -> None:
                state = self.liar.driver._state
                if isinstance(message, FromClient) and isinstance(state, Aggregating):
                    message = replace(message, body=self.liar.lie(state.client, message.body))
                await send(message)

            session.send = tampered  # type: ignore[method-assign]  # this node is not quite the usual one
            yield session


async def played(bench: Bench, lie: Lie, folder: Path) -> list[Logged]:
    """Return what the coordinator logs in a run with three honest processes and the liar."""
    with Processes(folder) as processes:
        command = python_module("coordinator", "--config", str(bench.kits.coordinator))
        processes.start(COORDINATOR, command)
        logged = await asyncio.to_thread(_until, processes, "coordinator_ready")
        address = f"127.0.0.1:{logged[-1].whole('port')}"
        for name in bench.kits.nodes.keys() - {LIAR}:
            command = python_module(
                "fecosr.harness.bench_node",
                *("--config", str(bench.kits.nodes[name])),
                *("--coordinator", address),
                *("--num-parameters", str(NUM_PARAMETERS)),
            )
            processes.start(name, command)
        lying = asyncio.ensure_future(_Liar(bench.kits.nodes[LIAR], lie).take_part(address))
        try:
            return await asyncio.to_thread(_until, processes, "coordinator_stopped")
        finally:
            lying.cancel()
            await asyncio.wait({lying})


def _until(processes: Processes, event: str) -> list[Logged]:
    """Return what the coordinator logs until it logs an event."""
    found: list[Logged] = []
    while happenings := processes.wait(PATIENCE_SECONDS):
        found += [it for it in happenings if isinstance(it, Logged) and it.name == COORDINATOR]
        if any(it.event == event for it in found):
            return found
    raise AssertionError(f"the coordinator did not log {event}")


def run_with(lie: Lie, folder: Path) -> tuple[list[Logged], AuditReport]:
    """Return what the coordinator logged in a run with a liar, and what an audit of the run folder says."""
    with provisioned(NUM_NODES, NUM_PARAMETERS, rounds=NUM_ROUNDS, n_min=NUM_NODES - 1) as bench:
        logged = asyncio.run(played(bench, lie, folder))
        config = load_coordinator(bench.kits.coordinator)
        return logged, audit_run(config.storage.parent, config.roster)


def test_a_corrupt_stream_names_its_node_and_the_round_goes_on_without_it(tmp_path: Path) -> None:
    logged, report = run_with(corrupting, tmp_path)
    violations = [it for it in logged if it.event in {"protocol_violation", "node_violation"}]
    assert {it.text("market") for it in violations} == {LIAR}
    assert any("SHA-256 is not the announced one" in it.text("rule") for it in violations)
    assert report.findings == ()
    assert report.facts is not None
    assert report.facts.rounds == NUM_ROUNDS
    assert report.facts.sums[LIAR] == 0


def test_a_bad_dealer_is_convicted_left_out_and_seen_by_the_auditor(tmp_path: Path) -> None:
    logged, report = run_with(misdealing({LIAR: to_each([HOLDER], another_polynomial)}), tmp_path)
    (convicted,) = [it for it in logged if it.event == "node_convicted"]
    assert (convicted.text("market"), convicted.text("fault")) == (LIAR, "misdealt_shares")
    asked = [it.names("markets") for it in logged if it.event == "round_opened"]
    assert [LIAR in names for names in asked] == [True, False]
    assert report.findings == ()
    assert report.facts is not None
    (proved,) = report.facts.convictions
    assert (proved.market, proved.fault, proved.round) == (LIAR, "misdealt_shares", 1)
