"""Carry out the coordinator's transitions: store, adopt, send, and wake up at deadlines."""

import asyncio
import time
from collections.abc import Callable
from itertools import groupby
from typing import Protocol, TypeGuard

import numpy as np
import structlog

from fecosr.errors import ProtocolViolation
from fecosr.federation.coordinator import (
    CoordinatorState,
    CoordinatorTransition,
    Gathering,
    Running,
    RunningCoordinator,
)
from fecosr.federation.effects import CoordinatorRecord, Disconnect, Observed, ToNode
from fecosr.federation.handover import Finishing, Stopped
from fecosr.federation.messages import CoordinatorMessage, FromClient, Hello, NodeMessage
from fecosr.federation.progress import Progress
from fecosr.ids import NodeId
from fecosr.ledger.log import Entry
from fecosr.rpc.failpoints import NEVER, TRAINING, Rehearsal
from fecosr.rpc.handler import ReceivedVector
from fecosr.secagg.messages import HashedInput, Phase
from fecosr.secagg.packing import from_octets, packed_bytes
from fecosr.secagg.server import CollectingInputs, DropoutReason
from fecosr.wire.transfers import UploadHeader


class Connections(Protocol):
    """Reach the nodes that are connected now; a node that is not is passed over in silence."""

    async def send(self, node: NodeId, message: CoordinatorMessage) -> None:
        """Put a message on its way to `node`."""

    async def close_node(self, node: NodeId) -> None:
        """Close the connection of `node` after everything sent to it so far."""


Event = Callable[[RunningCoordinator, float], CoordinatorTransition]


class CoordinatorDriver:
    """Own the coordinator's state machine; one event at a time, in the order they came.

    The state machine runs on a thread, because adding masked vectors and removing masks take a while and the
    event loop has connections to keep alive.

    Args:
        persist: stores one record; it is on the disk when this returns.
        log: where observed events go.
        rehearsal: where to break off, in one.
    """

    def __init__(
        self,
        persist: Callable[[CoordinatorRecord], None],
        log: structlog.typing.FilteringBoundLogger,
        rehearsal: Rehearsal = NEVER,
    ) -> None:
        self._persist = persist
        self._log = log
        self._rehearsal = rehearsal
        self._state: CoordinatorState | None = None
        self._connections: Connections | None = None
        self._one_at_a_time = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._expiries: set[asyncio.Task[None]] = set()
        self._stopped: asyncio.Future[Stopped] = asyncio.get_running_loop().create_future()

    async def start(self, connections: Connections, begin: Callable[[float], CoordinatorTransition]) -> None:
        """Carry out the first transition."""
        self._connections = connections
        async with self._one_at_a_time:
            await self._carry_out(begin(time.monotonic()))

    async def stopped(self) -> Stopped:
        """Wait until the run is over.

        Raises:
            Exception: a record could not be stored, or the coordinator made a mistake; the run goes on when
                it is started again.
        """
        return await asyncio.shield(self._stopped)

    async def halt(self) -> None:
        """Carry out nothing more, once what is being carried out is done: the process is about to end.

        That nodes are then hung up on says nothing about them, and must not be taken for their leaving.
        """
        async with self._one_at_a_time:
            self._arm(None)
            self._stopped.cancel()

    async def connected(self, node: NodeId, hello: Hello) -> None:
        """Hear of a node that introduced itself."""
        await self._on(lambda state, now: state.connected(node, hello, now))

    async def received(self, node: NodeId, message: NodeMessage) -> None:
        """Hear a message of a node."""
        await self._on(lambda state, now: state.receive(node, message, now))

    async def disconnected(self, node: NodeId) -> None:
        """Hear of a node whose connection ended."""
        await self._on(lambda state, now: state.disconnected(node, now))

    async def masked_input(self, node: NodeId, header: UploadHeader, received: ReceivedVector) -> bool:
        """Hear a masked vector, which came over its own stream; return whether it is in the sum.

        Raises:
            ProtocolViolation: it was not counted, because the node broke the protocol with it or before it.
        """
        if not _is_of(self._state, header.round, header.attempt):
            return False
        vector = from_octets(received.octets, self._state.round.attempt.manifest.ring_bits)
        body = HashedInput(vector, header.signature, received.digest, header.unusable)
        message = FromClient(header.round, header.attempt, body)
        state = await self._on(lambda state, now: state.receive(node, message, now))
        if not _is_of(state, header.round, header.attempt):
            return False
        server = state.round.server
        if server.gone.get(node) is DropoutReason.VIOLATION:
            raise ProtocolViolation(node, Phase.MASKED_INPUT, "the vector was not counted")
        return node in (
            server.receipts if isinstance(server, CollectingInputs) else state.round.attempt.survivors
        )

    def expected_upload_bytes(self, node: NodeId, round_number: int, attempt: int) -> int | None:
        """Return how long a masked vector of this node and attempt must be now; None: none is wanted."""
        if not _is_of(self._state, round_number, attempt):
            return None
        running = self._state.round
        if running.server.phase is not Phase.MASKED_INPUT or node not in running.server.waiting_for:
            return None
        return packed_bytes(running.attempt.length(), running.attempt.manifest.ring_bits)

    def parameters(self, node: NodeId, model_hash: bytes) -> memoryview | None:
        """Return what has this hash, if nodes may have it now: the current model, or the sum of sketches."""
        del node
        progress = self._progress()
        if progress is None:
            return None
        offered = {progress.model_hash: progress.parameters, progress.sketch_hash: progress.sketch}
        vector = offered.get(model_hash)
        return None if vector is None else np.ascontiguousarray(vector, dtype="<f4").data

    def _progress(self) -> Progress | None:
        match self._state:
            case Running(round=running):
                return running.attempt.progress
            case Gathering(progress=progress) | Finishing(progress=progress):
                return progress
            case _:
                return None

    async def _on(self, event: Event) -> CoordinatorState | None:
        """Carry out what `event` makes of the state, and return the state after it.

        Raises:
            ProtocolViolation: a node broke the protocol; that ends its connection and nothing else.
        """
        async with self._one_at_a_time:
            state = self._state
            if state is not None and not isinstance(state, Stopped) and not self._stopped.done():
                try:
                    await self._carry_out(await asyncio.to_thread(event, state, time.monotonic()))
                except ProtocolViolation:
                    raise
                except Exception as error:  # noqa: BLE001 - a mistake of ours must not end in a node's call
                    self._fail(error)
            return self._state

    async def _carry_out(self, transition: CoordinatorTransition) -> None:
        try:
            await self._store(transition.records)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing more may be sent
            self._fail(error)
            return
        self._state = transition.state
        self._arm(transition.deadline)
        for item in transition.outbox:
            await self._do(item)
        if isinstance(transition.state, Stopped) and not self._stopped.done():
            self._stopped.set_result(transition.state)

    async def _store(self, records: tuple[CoordinatorRecord, ...]) -> None:
        """Store what an entry names side by side, each at the pace of the disk, and only then the entry."""
        for are_entries, group in groupby(records, lambda record: isinstance(record, Entry)):
            if are_entries:
                await asyncio.to_thread(self._store_in_order, tuple(group))
                continue
            stored = (asyncio.to_thread(self._persist, record) for record in group)
            for failure in await asyncio.gather(*stored, return_exceptions=True):
                if failure is not None:
                    raise failure

    def _store_in_order(self, entries: tuple[CoordinatorRecord, ...]) -> None:
        for entry in entries:
            self._persist(entry)

    async def _do(self, item: ToNode | Disconnect | Observed) -> None:
        if self._connections is None:
            return
        match item:
            case ToNode(node=node, message=message):
                await self._connections.send(node, message)
            case Disconnect(node=node):
                await self._connections.close_node(node)
            case Observed(event=event, fields=fields):
                self._log.info(event, **fields)
                self._hit_point(item)

    def _hit_point(self, observed: Observed) -> None:
        number = observed.fields.get("round")
        if isinstance(number, int) and observed.event in {"round_opened", "phase_started"}:
            point = TRAINING if observed.event == "round_opened" else str(observed.fields["phase"])
            self._rehearsal.hit(point, number)

    def _arm(self, deadline: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deadline = deadline
        if deadline is not None:
            delay = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake_up)

    def _wake_up(self) -> None:
        task = asyncio.ensure_future(self._expire())
        self._expiries.add(task)
        task.add_done_callback(self._expired)

    async def _expire(self) -> None:
        async with self._one_at_a_time:
            state, now = self._state, time.monotonic()
            # An event that had its turn first may have moved the deadline; then a later timer is armed.
            is_due = self._deadline is not None and now >= self._deadline
            if is_due and state is not None and not isinstance(state, Stopped):
                await self._carry_out(await asyncio.to_thread(state.expire, now))

    def _expired(self, task: asyncio.Task[None]) -> None:
        self._expiries.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._fail(task.exception())

    def _fail(self, error: BaseException | None) -> None:
        if error is not None and not self._stopped.done():
            self._stopped.set_exception(error)


def _is_of(state: CoordinatorState | None, round_number: int, attempt: int) -> TypeGuard[Running]:
    """Return whether this very attempt is under way."""
    if not isinstance(state, Running):
        return False
    manifest = state.round.attempt.manifest
    return (manifest.round, manifest.attempt) == (round_number, attempt)
