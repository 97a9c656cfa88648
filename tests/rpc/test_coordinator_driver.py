"""The coordinator's driver: what it answers to an upload, and which errors end the run."""

import asyncio
import hashlib
import threading
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import structlog
import structlog.testing

from fecosr.errors import ProtocolViolation, StorageError
from fecosr.federation.coordinator import CoordinatorTransition, Running, open_run
from fecosr.federation.effects import CoordinatorRecord, ModelStored, SumStored
from fecosr.federation.messages import CoordinatorMessage, Finished, FromClient
from fecosr.federation.run import FederationRun
from fecosr.ids import NodeId
from fecosr.ledger.log import Entry
from fecosr.rpc.coordinator_driver import CoordinatorDriver
from fecosr.secagg.messages import MaskedInput, Phase
from fecosr.secagg.packing import RING_BITS
from fecosr.secagg.rules import Rule
from fecosr.storage.uploads import SpooledVector
from fecosr.transition import Transition
from fecosr.wire.transfers import UploadHeader
from tests.reference.small_federation import NUM_PARAMETERS, SmallFederation

DE, FR = NodeId("de"), NodeId("fr")
NAMES = ("de", "fr", "jp", "uk", "us")


@dataclass
class Outbox:
    """Remember whom the coordinator spoke to."""

    sent: list[NodeId] = field(default_factory=list)

    async def send(self, node: NodeId, message: CoordinatorMessage) -> None:
        self.sent.append(node)

    async def close_node(self, node: NodeId) -> None:
        pass


def keep_nothing(record: CoordinatorRecord) -> None:
    pass


@dataclass
class MaskedInputPhase:
    """Stop a federation where all masked vectors are on their way."""

    driver: CoordinatorDriver
    vectors: dict[NodeId, MaskedInput]

    async def upload(self, node: NodeId, attempt: int = 1, digest: bytes = b"", **changes: object) -> bool:
        masked = replace(self.vectors[node], **changes)  # type: ignore[arg-type]  # tests change any field
        octets = masked.vector.tobytes()
        taken = digest or hashlib.sha256(octets).digest()
        received = SpooledVector(np.frombuffer(octets, dtype=np.uint8), taken)
        header = UploadHeader(1, attempt, len(octets), taken, masked.signature, masked.unusable)
        return await self.driver.masked_input(node, header, received)

    @property
    def phase(self) -> Phase:
        assert isinstance(self.driver._state, Running)
        return self.driver._state.round.server.phase


async def masked_input_phase(**plan_changes: object) -> MaskedInputPhase:
    # Nothing expires here: the driver's clock is the real one.
    federation = SmallFederation(NAMES, phase_seconds=dict.fromkeys(Phase, 1e12), **plan_changes)
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for node in federation.nodes():
        run.node_arrives(node)
    vectors: dict[NodeId, MaskedInput] = {}
    while len(vectors) < len(NAMES):
        while run.to_nodes:
            run.deliver_next()
        bodies = {node: sent.body for node, sent in run.to_coordinator if isinstance(sent, FromClient)}
        vectors = {node: body for node, body in bodies.items() if isinstance(body, MaskedInput)}
        if not vectors:
            run.deliver_next()
    state = run.coordinator
    assert state is not None
    driver = CoordinatorDriver(keep_nothing, structlog.get_logger())
    await driver.start(Outbox(), lambda _: Transition(state))
    return MaskedInputPhase(driver, vectors)


async def refusal_of(scene: MaskedInputPhase, **changes: Any) -> str:
    """Return the rule that the coordinator names, in its log, as broken by an upload of `de`."""
    with structlog.testing.capture_logs() as logs, pytest.raises(ProtocolViolation) as refused:
        await scene.upload(DE, **changes)
    assert (refused.value.peer, refused.value.phase) == (DE, Phase.MASKED_INPUT)
    (seen,) = [entry for entry in logs if entry["event"] == "node_violation"]
    assert seen["market"] == DE
    return str(seen["rule"])


async def test_every_vector_that_is_counted_is_accepted_the_last_one_too() -> None:
    scene = await masked_input_phase()
    assert [await scene.upload(NodeId(name)) for name in NAMES] == [True] * len(NAMES)
    assert scene.phase is Phase.CONSISTENCY


@pytest.mark.parametrize("ring_bits", RING_BITS)
async def test_as_many_bytes_are_expected_as_the_ring_takes(ring_bits: int) -> None:
    scene = await masked_input_phase(ring_bits=ring_bits)
    expected = scene.driver.expected_upload_bytes(DE, 1, 1)
    assert expected == scene.vectors[DE].vector.nbytes
    assert expected is not None
    assert expected >= NUM_PARAMETERS * ring_bits // 8
    assert await scene.upload(DE)
    assert scene.driver.expected_upload_bytes(DE, 1, 1) is None
    assert scene.driver.expected_upload_bytes(FR, 1, 2) is None


async def test_the_digest_that_was_taken_while_the_vector_came_is_the_one_that_counts() -> None:
    scene = await masked_input_phase()
    assert await refusal_of(scene, digest=bytes(32)) == Rule.BAD_INPUT_SIGNATURE


async def test_a_forged_signature_is_refused_and_not_accepted() -> None:
    scene = await masked_input_phase()
    assert await refusal_of(scene, signature=bytes(64)) == Rule.BAD_INPUT_SIGNATURE
    assert await scene.upload(FR)


async def test_a_vector_of_another_length_is_refused() -> None:
    scene = await masked_input_phase()
    assert await refusal_of(scene, vector=np.zeros(3, dtype=np.uint32)) == Rule.WRONG_VECTOR


async def test_a_vector_of_a_node_that_was_dropped_meanwhile_is_not_accepted() -> None:
    scene = await masked_input_phase()
    await scene.driver.disconnected(DE)
    assert not await scene.upload(DE)


async def test_a_vector_of_another_attempt_is_not_accepted() -> None:
    scene = await masked_input_phase()
    assert not await scene.upload(DE, attempt=2)


async def test_a_forged_vector_that_ends_the_attempt_is_not_accepted() -> None:
    scene = await masked_input_phase(n_min=len(NAMES))
    assert not await scene.upload(DE, signature=bytes(64))


def release_of(run: FederationRun) -> CoordinatorTransition:
    """Return a transition that stores a model, a sum, and the entry that names them."""
    model, total = ModelStored(bytes(32), np.ones(3, np.float32)), SumStored(bytes(32), np.ones(3, np.uint32))
    assert run.coordinator is not None
    return Transition(run.coordinator, (model, total, run.ledger[0]))


async def test_what_an_entry_names_is_stored_side_by_side_and_before_it() -> None:
    both_begun = threading.Barrier(2, timeout=30)
    ended: list[str] = []

    def persist(record: CoordinatorRecord) -> None:
        if not isinstance(record, Entry):
            both_begun.wait()
        ended.append(type(record).__name__)

    driver = CoordinatorDriver(persist, structlog.get_logger())
    await driver.start(Outbox(), lambda _: release_of(gathering()))
    assert ended[2:] == ["Entry"]
    assert set(ended) == {"ModelStored", "SumStored", "Entry"}


async def test_an_entry_is_not_stored_when_what_it_names_could_not_be() -> None:
    stored: list[str] = []

    def persist(record: CoordinatorRecord) -> None:
        if isinstance(record, SumStored):
            raise StorageError("the disk is full")
        stored.append(type(record).__name__)

    driver = CoordinatorDriver(persist, structlog.get_logger())
    await driver.start(Outbox(), lambda _: release_of(gathering()))
    with pytest.raises(StorageError, match="the disk is full"):
        await driver.stopped()
    assert stored == ["ModelStored"]
    assert driver._state is None


def gathering() -> FederationRun:
    federation = SmallFederation(NAMES)
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    return run


async def raising(monkeypatch: pytest.MonkeyPatch, error: Exception) -> CoordinatorDriver:
    """Return a driver whose state machine raises when it is told anything."""

    def fail(*_: object) -> CoordinatorTransition:
        raise error

    scene = await masked_input_phase()
    monkeypatch.setattr(Running, "receive", fail)
    return scene.driver


async def test_a_mistake_of_the_coordinator_ends_it_with_that_error(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = await raising(monkeypatch, ZeroDivisionError("a bug"))
    await driver.received(DE, Finished(bytes(32)))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        await driver.stopped()


async def test_a_mistake_of_a_node_ends_its_call_only(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = await raising(monkeypatch, ProtocolViolation(DE, "test", "said the wrong thing"))
    with pytest.raises(ProtocolViolation, match="said the wrong thing"):
        await driver.received(DE, Finished(bytes(32)))
    assert not driver._stopped.done()


async def test_whoever_leaves_a_coordinator_that_is_ending_is_not_missed() -> None:
    kept: list[CoordinatorRecord] = []
    scene = await masked_input_phase()
    scene.driver._persist = kept.append
    await scene.driver.halt()
    for node in NAMES:
        await scene.driver.disconnected(NodeId(node))
    assert kept == []
    assert scene.phase is Phase.MASKED_INPUT
    with pytest.raises(asyncio.CancelledError):
        await scene.driver.stopped()
