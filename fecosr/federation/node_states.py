"""The states of a market node in a run, and what training and a secure aggregation make of them.

A node that loses the coordinator forgets its session, because keys are used once. It keeps the finished
update: a retry of the round on the same model contributes the same update under fresh masks, so that two
attempts never show two different updates of one market.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

from fecosr.errors import ProtocolViolation
from fecosr.federation.aggregation import is_finite
from fecosr.federation.contribution import (
    LocalUpdate,
    NodeSetup,
    Trained,
    begin_session,
    check_invited,
    check_same_nodes,
)
from fecosr.federation.effects import (
    FineTune,
    NodeOutgoing,
    NodeRecord,
    Observed,
    StartSession,
    SumOpened,
    ToCoordinator,
)
from fecosr.federation.memory import Memory, take_back
from fecosr.federation.messages import Finished, FromClient, MetricShared, RoundManifest
from fecosr.federation.private_rounds import NoisyUpdate, PrivateContribution
from fecosr.federation.sketch import SketchContribution
from fecosr.ids import COORDINATOR
from fecosr.secagg import client as secagg
from fecosr.secagg.messages import MaskedInput, Phase, ServerMessage, Withdrawal
from fecosr.secagg.rules import Rule
from fecosr.transition import Transition

ENTROPY_BYTES: Final = 32
"""How much fresh entropy a session starts with."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Wait for a task."""

    setup: NodeSetup
    memory: Memory


@dataclass(frozen=True, slots=True)
class Training:
    """Wait for the driver to train on the model `model_hash`.

    Attributes:
        manifest: the attempt to contribute to; None once that attempt is over and no new one has come.
    """

    setup: NodeSetup
    memory: Memory
    model_hash: bytes
    manifest: RoundManifest | None

    def trained(self, result: Trained) -> "NodeTransition":
        """Keep the finished update and, if an attempt still wants it, ask for the entropy to start with.

        Training that diverged contributes nothing: an update that is not finite cannot be bounded. A
        contribution to a noisy sum is never kept: it is for one attempt, and the next one has users and noise
        of its own. A noisy update is kept: it is private however often it is seen.
        """
        if isinstance(result, PrivateContribution):
            return self._contribute(self.memory, result)
        if isinstance(result, SketchContribution):
            if not is_finite(result.sketch):
                return self.failed("the sketch is not finite")
            return self._contribute(replace(self.memory, trained=result), result)
        has_finite_loss = not isinstance(result, LocalUpdate) or math.isfinite(result.loss)
        if not (is_finite(result.update) and has_finite_loss):
            return self.failed("the update is not finite")
        if isinstance(result, NoisyUpdate):
            return self._contribute(replace(self.memory, trained=result), result)
        if result.validation is not None and not 0.0 <= result.validation <= 1.0:
            return self.failed("the validation metric is not in 0 .. 1")
        shared = self._shared(result.validation)
        return self._contribute(replace(self.memory, trained=result), result, shared)

    def failed(self, reason: str) -> "NodeTransition":
        """Give the training up for a named reason, and let the attempt go on without this node."""
        outbox: tuple[NodeOutgoing, ...] = (Observed("training_failed", {"reason": reason}),)
        if self.manifest is not None:
            leave = FromClient(self.manifest.round, self.manifest.attempt, Withdrawal(reason))
            outbox = (*outbox, ToCoordinator(leave))
        memory, taken_back = take_back(self.memory)
        return Transition(Idle(self.setup, memory), taken_back, outbox)

    def _shared(self, validation: float | None) -> tuple[ToCoordinator, ...]:
        """Return what this market shows of its own metric: nothing, unless its policy says so."""
        if validation is None or self.manifest is None or not self.setup.policy.share_validation:
            return ()
        return (ToCoordinator(MetricShared(self.manifest.round, self.manifest.attempt, validation)),)

    def _contribute(
        self, memory: Memory, result: Trained, shared: tuple[ToCoordinator, ...] = ()
    ) -> "NodeTransition":
        if self.manifest is None or result.model_hash != self.manifest.model_hash:
            return Transition(Idle(self.setup, memory))
        state = Ready(self.setup, memory, self.manifest, result)
        return Transition(state, outbox=(*shared, StartSession(self.manifest)))


@dataclass(frozen=True, slots=True)
class Ready:
    """Wait for fresh entropy to start the secure aggregation with."""

    setup: NodeSetup
    memory: Memory
    manifest: RoundManifest
    trained: Trained

    def start_session(self, entropy: bytes) -> "NodeTransition":
        """Mask nothing yet: advertise fresh keys, derived from 32 bytes that are used for nothing else."""
        step = begin_session(self.setup, self.manifest, self.trained, entropy)
        return _adopt(self.setup, self.memory, self.manifest, step)


@dataclass(frozen=True, slots=True)
class Aggregating:
    """Take part in the secure aggregation of one attempt."""

    setup: NodeSetup
    memory: Memory
    manifest: RoundManifest
    client: secagg.ClientState

    def receive(self, message: ServerMessage) -> "NodeTransition":
        """Pass on a message of this attempt, unless it leads to a second, different sum over the model."""
        if not isinstance(self.client, secagg.RunningClient):
            raise ProtocolViolation(COORDINATOR, Phase.UNMASK, Rule.LATE)
        check_invited(self.setup, self.manifest, message)
        check_same_nodes(self.setup.me, self.manifest, self.memory.opened, message)
        return _adopt(self.setup, self.memory, self.manifest, self.client.receive(message))


@dataclass(frozen=True, slots=True)
class Closing:
    """Wait for the driver to fetch and store the final model."""

    setup: NodeSetup
    memory: Memory
    model_hash: bytes

    def final_model_kept(self) -> "NodeTransition":
        """Tell the coordinator that it need not wait for this node, and turn to the market's own model."""
        done = ToCoordinator(Finished(self.model_hash))
        return Transition(Done(), outbox=(done, FineTune(self.model_hash)))


@dataclass(frozen=True, slots=True)
class Refused:
    """Stop: the coordinator does not accept this node, and only an operator can change that."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """Stop: the final model is here."""


Listening = Idle | Training | Ready | Aggregating | Closing
NodeState = Listening | Refused | Done
NodeTransition = Transition[NodeState, NodeRecord, NodeOutgoing]


def _adopt(
    setup: NodeSetup, memory: Memory, manifest: RoundManifest, step: secagg.ClientTransition
) -> NodeTransition:
    """Adopt what the secure aggregation decided: its records first, then its messages."""
    records: tuple[NodeRecord, ...] = ()
    if any(isinstance(body, MaskedInput) for body in step.outbox):
        # From here on nobody can know that the vector did not arrive.
        memory = replace(memory, unsent="")
    for record in step.records:
        match record:
            case secagg.SharesRevealed(survivors=survivors):
                opened = SumOpened(manifest.model_hash, survivors)
                memory = replace(memory, opened=opened)
                records = (*records, opened)
            case secagg.SurvivorsSigned():
                records = (*records, record)
    state = Aggregating(setup, memory, manifest, step.state)
    messages = tuple(
        ToCoordinator(FromClient(manifest.round, manifest.attempt, body)) for body in step.outbox
    )
    return Transition(state, records, messages)
