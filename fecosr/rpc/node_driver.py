"""Carry out a node's transitions: store, adopt, send, fetch models, train on a thread, draw entropy."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Final, Protocol

import structlog

from fecosr.errors import ConnectionLost, MisuseError, ProtocolViolation
from fecosr.federation import node as market
from fecosr.federation.aggregation import Vector, is_finite
from fecosr.federation.contribution import NodeSetup, Trained
from fecosr.federation.effects import (
    FineTune,
    KeepFinalModel,
    MakeSketch,
    NodeOutgoing,
    NodeRecord,
    Observed,
    StartSession,
    ToCoordinator,
    TrainLocally,
)
from fecosr.federation.memory import Memory
from fecosr.federation.messages import CoordinatorMessage, FromClient, NodeMessage, RoundManifest
from fecosr.federation.node_states import (
    ENTROPY_BYTES,
    Closing,
    Done,
    Idle,
    Listening,
    NodeState,
    NodeTransition,
    Ready,
    Refused,
    Training,
)
from fecosr.federation.sketch import SketchContribution
from fecosr.ids import COORDINATOR
from fecosr.rpc.failpoints import NEVER, TRAINING, Rehearsal
from fecosr.secagg.messages import (
    ClientMessage,
    ConsistencySignature,
    EncryptedShares,
    KeyAdvert,
    MaskedInput,
    Phase,
    UnmaskShares,
)

_PHASE_OF: Final[dict[type[ClientMessage], Phase]] = {
    KeyAdvert: Phase.ADVERTISE_KEYS,
    EncryptedShares: Phase.SHARE_KEYS,
    MaskedInput: Phase.MASKED_INPUT,
    ConsistencySignature: Phase.CONSISTENCY,
    UnmaskShares: Phase.UNMASK,
}


class Session(Protocol):
    """Be one connection to the coordinator, from the moment it stands."""

    def messages(self) -> AsyncIterator[CoordinatorMessage]:
        """Yield what the coordinator says until the connection ends."""

    async def send(self, message: NodeMessage) -> None:
        """Send a message; a masked vector goes over its own stream."""

    async def fetch_model(self, model_hash: bytes, num_parameters: int) -> Vector:
        """Return the float32 [P] with this hash, verified."""


class Connector(Protocol):
    """Reach the coordinator again and again."""

    def session(self) -> AbstractAsyncContextManager[Session]:
        """Connect, waiting as long as it takes; a permanent refusal raises."""


class NodeStore(Protocol):
    """Keep what must survive a crash."""

    def persist(self, record: NodeRecord) -> None:
        """Store one record; it is on the disk when this returns."""

    def keep_final_model(self, parameters: Vector) -> None:
        """Store the final shared parameters."""


class Sketches(Protocol):
    """Make this market's sketch of behaviour, and keep the sum over all markets."""

    def make(self) -> Vector:
        """Return this market's sketch, float32 [length]; it may take a while."""

    def has(self, sketch_hash: bytes) -> bool:
        """Return whether the sum with this hash is stored."""

    def keep(self, sketch_hash: bytes, sketch: Vector) -> None:
        """Store the sum with this hash, which was verified; it is on the disk when this returns."""


Train = Callable[[RoundManifest, Vector], Trained]


class NodeDriver:
    """Own a node's state machine; one event at a time, in the order they came.

    Args:
        setup: what the node was provisioned with.
        memory: what it remembers from before.
        store: where records go.
        train: trains for one round, with the stored sum of sketches if the manifest names one; runs on a
            thread.
        sketches: where the plan has a sketch round; None in every other plan.
        log: where observed events go.
        rehearsal: where to break off, in one.
    """

    def __init__(
        self,
        setup: NodeSetup,
        memory: Memory,
        store: NodeStore,
        train: Train,
        *,
        log: structlog.typing.FilteringBoundLogger,
        sketches: Sketches | None = None,
        rehearsal: Rehearsal = NEVER,
    ) -> None:
        if (sketches is None) != (setup.plan.sketch is None):
            raise MisuseError("a node needs sketches where its plan has a sketch round, and only there")
        self._sketch_length = setup.plan.sketch.length if setup.plan.sketch else 0
        self._num_parameters = setup.num_parameters
        self._state: NodeState = Idle(setup, memory)
        self._store = store
        self._train = train
        self._sketches = sketches
        self._log = log
        self._rehearsal = rehearsal
        self._session: Session | None = None
        self._training: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, connector: Connector) -> Refused | Done:
        """Take part until the final model is here, or the coordinator refuses this node for good.

        Raises:
            FecosrError: a record could not be stored, or the coordinator cannot be trusted any more.
        """
        while isinstance(self._state, Listening):
            async with connector.session() as session:
                await self._serve(session)
        return self._state

    async def _serve(self, session: Session) -> None:
        """Listen to one connection, and end it when training fails: then this node has nothing to offer."""
        listening = asyncio.ensure_future(self._listen(session))
        try:
            await asyncio.wait({listening, self._failed}, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
            await listening
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def _listen(self, session: Session) -> None:
        self._session = session
        try:
            await self._on(market.connected)
            async for message in session.messages():
                await self._on(partial(market.receive, message=message))
                if self._is_over():
                    return
        except (ConnectionLost, ProtocolViolation) as error:
            self._log.info("session_ended", reason=str(error))
        finally:
            self._session = None
            await self._on(market.disconnected)

    def _is_over(self) -> bool:
        return not isinstance(self._state, Listening)

    async def _on(self, event: Callable[[Listening], NodeTransition]) -> None:
        async with self._one_at_a_time:
            if isinstance(self._state, Listening):
                await self._carry_out(await asyncio.to_thread(event, self._state))

    async def _carry_out(self, transition: NodeTransition) -> None:
        for record in transition.records:
            await asyncio.to_thread(self._store.persist, record)
        self._state = transition.state
        for item in transition.outbox:
            await self._do(item)

    async def _do(self, item: NodeOutgoing) -> None:
        match item:
            case ToCoordinator(message=message):
                await self._send(message)
            case Observed(event=event, fields=fields):
                self._log.info(event, **fields)
            case TrainLocally(manifest=manifest):
                self._start(self._fetch_and_train(manifest, self._training))
            case MakeSketch(manifest=manifest):
                self._start(self._make_sketch(manifest, self._training))
            case StartSession():
                if isinstance(self._state, Ready):
                    entropy = secrets.token_bytes(ENTROPY_BYTES)
                    await self._carry_out(await asyncio.to_thread(self._state.start_session, entropy))
            case KeepFinalModel(model_hash=model_hash, sketch_hash=sketch_hash):
                await self._fetch_sketch(sketch_hash)
                await self._keep_final_model(model_hash)
            case FineTune():
                self._log.info("final_model_kept")

    async def _send(self, message: NodeMessage) -> None:
        if isinstance(message, FromClient):
            phase = _PHASE_OF.get(type(message.body))
            if phase is not None:
                self._log.info(
                    "phase_started", round=message.round, attempt=message.attempt, phase=phase.value
                )
                self._rehearsal.hit(phase, message.round)
        if self._session is not None:
            await self._session.send(message)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self._training = asyncio.ensure_future(work)
        self._training.add_done_callback(self._note_failure)

    async def _fetch_and_train(self, manifest: RoundManifest, earlier: asyncio.Task[None] | None) -> None:
        """Train once the training under way has ended, for a thread cannot be interrupted."""
        if earlier is not None:
            await asyncio.wait({earlier})
        try:
            await self._fetch_sketch(manifest.sketch_hash)
            parameters = await self._fetch(manifest.model_hash, self._num_parameters)
        except (ConnectionLost, ProtocolViolation) as error:
            # The round may have gone on without this node; then its model is no longer on offer.
            self._log.info("model_not_fetched", round=manifest.round, reason=str(error))
            await self._give_up_training(manifest, "the model could not be fetched")
            return
        if not is_finite(parameters):
            await self._give_up_training(manifest, "the model is not finite")
            return
        self._log.info("training_started", round=manifest.round, attempt=manifest.attempt)
        self._rehearsal.hit(TRAINING, manifest.round)
        result = await asyncio.to_thread(self._train, manifest, parameters)
        self._log.info("training_finished", round=manifest.round, attempt=manifest.attempt)
        await self._on_training(manifest.model_hash, partial(Training.trained, result=result))

    async def _make_sketch(self, manifest: RoundManifest, earlier: asyncio.Task[None] | None) -> None:
        """Sketch the market's behaviour; nothing is fetched for it."""
        if earlier is not None:
            await asyncio.wait({earlier})
        if self._sketches is None:
            raise MisuseError("there is no sketch round in this plan")
        self._log.info("sketch_started", round=manifest.round, attempt=manifest.attempt)
        self._rehearsal.hit(TRAINING, manifest.round)
        sketch = await asyncio.to_thread(self._sketches.make)
        self._log.info("sketch_finished", round=manifest.round, attempt=manifest.attempt)
        result = SketchContribution(manifest.model_hash, sketch)
        await self._on_training(manifest.model_hash, partial(Training.trained, result=result))

    async def _give_up_training(self, manifest: RoundManifest, reason: str) -> None:
        await self._on_training(manifest.model_hash, partial(Training.failed, reason=reason))

    async def _on_training(self, model_hash: bytes, event: Callable[[Training], NodeTransition]) -> None:
        """Report on a training, unless nobody waits for this model any more."""
        async with self._one_at_a_time:
            state = self._state
            if not isinstance(state, Training) or state.model_hash != model_hash:
                return
            try:
                await self._carry_out(await asyncio.to_thread(event, state))
            except (ConnectionLost, ProtocolViolation) as error:
                # Whoever reads from this connection notices the loss as well, and begins the next one.
                self._log.info("training_not_reported", reason=str(error))

    def _note_failure(self, training: asyncio.Task[None]) -> None:
        error = None if training.cancelled() else training.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _fetch(self, named: bytes, length: int) -> Vector:
        if self._session is None:
            raise ConnectionLost("the coordinator is gone")
        return await self._session.fetch_model(named, length)

    async def _fetch_sketch(self, sketch_hash: bytes | None) -> None:
        """Fetch the sum of sketches, if there is one and it is not stored yet."""
        if sketch_hash is None or self._sketches is None or self._sketches.has(sketch_hash):
            return
        sketch = await self._fetch(sketch_hash, self._sketch_length)
        if not is_finite(sketch):
            raise ProtocolViolation(COORDINATOR, "fetch_model", "the sum of sketches is not finite")
        await asyncio.to_thread(self._sketches.keep, sketch_hash, sketch)
        self._log.info("sketch_kept")

    async def _keep_final_model(self, model_hash: bytes) -> None:
        parameters = await self._fetch(model_hash, self._num_parameters)
        await asyncio.to_thread(self._store.keep_final_model, parameters)
        if isinstance(self._state, Closing):
            await self._carry_out(self._state.final_model_kept())
