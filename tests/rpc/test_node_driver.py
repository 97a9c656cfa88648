"""The node's driver between a state machine and a connection that fails at the worst moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import structlog

from fecosr.crypto.labels import sha256
from fecosr.errors import ConnectionLost, ProtocolViolation
from fecosr.federation.aggregation import Vector
from fecosr.federation.effects import NodeRecord
from fecosr.federation.memory import Memory
from fecosr.federation.messages import (
    CoordinatorMessage,
    FromClient,
    Hello,
    NodeMessage,
    Rejected,
    RoundManifest,
    RoundTask,
)
from fecosr.federation.node_states import Refused
from fecosr.ids import COORDINATOR, NodeId
from fecosr.rpc.node_driver import NodeDriver, Train
from fecosr.secagg.messages import KeyAdvert, Withdrawal
from tests.reference.shown_ledger import SIZE, shown, signed_task
from tests.reference.small_federation import NUM_PARAMETERS, SmallFederation

DE = NodeId("de")
MODEL = sha256(b"the model")


@pytest.fixture
def federation() -> SmallFederation:
    return SmallFederation(["de", "fr", "jp", "uk"])


def task(federation: SmallFederation) -> RoundTask:
    plan = federation.plan
    manifest = RoundManifest(
        plan.run,
        1,
        1,
        plan.hash(),
        MODEL,
        NUM_PARAMETERS,
        plan.clip_norm,
        len(federation.names),
        plan.n_min,
        plan.max_colluding,
        plan.ring_bits,
        SIZE,
        bytes(32),
    )
    return signed_task(federation, manifest, shown(federation, earlier=0))


@dataclass
class ScriptedSession:
    """Say what the script says, waiting for the answer to a task.

    Attributes:
        breaks_with: what happens when a key advert is written.
    """

    script: tuple[CoordinatorMessage, ...]
    breaks_with: Exception | None = None
    model: Vector = field(default_factory=lambda: np.zeros(NUM_PARAMETERS, dtype=np.float32))
    sent: list[NodeMessage] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def messages(self) -> AsyncIterator[CoordinatorMessage]:
        for message in self.script:
            yield message
            if isinstance(message, RoundTask):
                await self.answered.wait()

    async def send(self, message: NodeMessage) -> None:
        if isinstance(message, FromClient):
            self.answered.set()
            if isinstance(message.body, KeyAdvert) and self.breaks_with is not None:
                raise self.breaks_with
        self.sent.append(message)

    async def fetch_model(self, model_hash: bytes, num_parameters: int) -> Vector:
        assert (model_hash, num_parameters) == (MODEL, NUM_PARAMETERS)
        return self.model


@dataclass
class ScriptedConnector:
    """Hand out one session after another."""

    sessions: list[ScriptedSession]

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ScriptedSession]:
        yield self.sessions.pop(0)


class NoDisk:
    """Keep nothing."""

    def persist(self, record: NodeRecord) -> None:
        pass

    def keep_final_model(self, parameters: Vector) -> None:
        pass


def driver(federation: SmallFederation, train: Train | None = None) -> NodeDriver:
    trained = train or partial(federation.train, DE)
    return NodeDriver(federation.node(DE), Memory(), NoDisk(), trained, log=structlog.get_logger())


@pytest.mark.parametrize(
    "error",
    [ConnectionLost("connect: UNAVAILABLE"), ProtocolViolation(COORDINATOR, "connect", "refused: too late")],
)
async def test_a_connection_lost_under_the_advert_is_followed_by_the_next(
    federation: SmallFederation, error: Exception
) -> None:
    first = ScriptedSession((task(federation),), breaks_with=error)
    second = ScriptedSession((Rejected("the second connection"),))
    ended = await driver(federation).run(ScriptedConnector([first, second]))
    assert ended == Refused("the second connection")
    assert federation.trained == [(DE, 1, 1)]
    assert [type(message) for message in second.sent] == [Hello]


async def test_a_model_that_is_not_finite_is_not_trained_on(federation: SmallFederation) -> None:
    poisoned = np.zeros(NUM_PARAMETERS, dtype=np.float32)
    poisoned[7] = np.nan
    session = ScriptedSession((task(federation), Rejected("goodbye")), model=poisoned)
    await driver(federation).run(ScriptedConnector([session]))
    assert federation.trained == []
    # After its introduction it signs the ledger that it is shown.
    assert session.sent[2] == FromClient(1, 1, Withdrawal("the model is not finite"))
