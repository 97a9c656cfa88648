"""What the server's phases have in common: ask some clients, wait until all have answered or gone, go on."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.evidence import Conviction
from fecosr.secagg.messages import ClientMessage, Phase, Withdrawal
from fecosr.secagg.outcomes import Aborted, AbortReason, Completed, DropoutReason, Envelope, ServerRecord
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.rules import Rule
from fecosr.transition import Transition


@dataclass(frozen=True, slots=True)
class Terms:
    """Fix what holds for the whole session.

    Attributes:
        parameters: what everybody agreed on.
        roster: the pinned Ed25519 identity of every client that may ever take part.
        expected: the clients this session was opened for.
        phase_seconds: how long each phase may take.
    """

    parameters: SecAggParameters
    roster: Mapping[NodeId, bytes] = field(repr=False)
    expected: frozenset[NodeId]
    phase_seconds: Mapping[Phase, float]


@dataclass(frozen=True, slots=True, eq=False)
class Collecting(ABC):
    """Wait for one kind of answer from each of the clients asked.

    Attributes:
        terms: what holds for the whole session.
        asked: the clients asked in this phase; none had left when it began.
        gone: everybody who left the session so far, and why.
        deadline: when this phase ends with whoever has answered, in driver seconds.
    """

    phase: ClassVar[Phase]
    too_few: ClassVar[AbortReason]
    terms: Terms
    asked: frozenset[NodeId]
    gone: Mapping[NodeId, DropoutReason]
    deadline: float

    @property
    def waiting_for(self) -> frozenset[NodeId]:
        """Return who has neither answered nor gone."""
        return self.asked - self.gone.keys() - frozenset(self._answered)

    def receive(self, sender: NodeId, message: ClientMessage, now: float) -> "ServerTransition":
        """Take in one message; an exact repetition changes nothing.

        Args:
            sender: the client the transport authenticated.
            message: what it sent.
            now: driver seconds.

        Raises:
            ProtocolViolation: the message breaks a rule; the state stays as it was.
        """
        if sender not in self.terms.expected:
            raise ProtocolViolation(sender, self.phase, Rule.NOT_EXPECTED)
        if sender in self.gone:
            raise ProtocolViolation(sender, self.phase, Rule.LATE)
        if isinstance(message, Withdrawal):
            return self.drop(sender, DropoutReason.WITHDREW, now)
        return self._accept(sender, message).advance(now)

    def drop(self, client: NodeId, reason: DropoutReason, now: float) -> "ServerTransition":
        """Go on without a client; harmless if it had left already or is none of this session's."""
        if client not in self.asked or client in self.gone:
            return Transition(self, deadline=self.deadline)
        return replace(self, gone={**self.gone, client: reason}).advance(now)

    def expire(self, now: float) -> "ServerTransition":
        """End the phase without those who missed its deadline; does nothing before the deadline."""
        if now < self.deadline:
            return Transition(self, deadline=self.deadline)
        missed = dict.fromkeys(sorted(self.waiting_for), DropoutReason.DEADLINE)
        return replace(self, gone={**self.gone, **missed}).advance(now)

    def advance(self, now: float) -> "ServerTransition":
        """Stay while an answer is due, go on when none is, and abort once too few can still come."""
        reachable = len(self._counted) + len(self.waiting_for)
        if reachable < self._needed:
            return Transition(self._abort(reachable))
        if self.waiting_for:
            return Transition(self, deadline=self.deadline)
        return self._close(now)

    @property
    @abstractmethod
    def _answered(self) -> Collection[NodeId]:
        """Return who has answered."""

    @property
    def _counted(self) -> frozenset[NodeId]:
        """Return whose answers count: in this phase a client may leave once it has answered."""
        return frozenset(self._answered)

    @property
    @abstractmethod
    def _needed(self) -> int:
        """Return how many answers must count for the session to go on."""

    @abstractmethod
    def _accept(self, sender: NodeId, message: ClientMessage) -> "Collecting":
        """Return the state with one more answer in it, or raise ProtocolViolation."""

    @abstractmethod
    def _close(self, now: float) -> "ServerTransition":
        """Turn the answers into the next state, now that there are enough and nobody is left to wait for."""

    def _enter(
        self,
        state: "Collecting",
        records: tuple[ServerRecord, ...],
        outbox: tuple[Envelope, ...],
        now: float,
    ) -> "ServerTransition":
        """Begin the next phase, or abort where so many have left that it cannot succeed."""
        begun = state.advance(now)
        if isinstance(begun.state, Aborted):
            # Nothing of the new phase was sent, so nobody has revealed anything in it.
            return Transition(replace(begun.state, unmasked=False), records)
        return replace(begun, records=records, outbox=outbox)

    def _next_deadline(self, phase: Phase, now: float) -> float:
        return now + self.terms.phase_seconds[phase]

    def _is_repeated(self, sender: NodeId, earlier: object, message: object) -> bool:
        """Return whether `message` repeats the sender's earlier one; refuse a different second one."""
        if earlier is not None and earlier != message:
            raise ProtocolViolation(sender, self.phase, Rule.EQUIVOCATION)
        return earlier is not None

    def _abort(self, reachable: int) -> Aborted:
        detail = f"{self.phase}: {reachable} of {len(self.asked)} clients are left, {self._needed} are needed"
        is_unmasked = self.phase is Phase.UNMASK
        return Aborted(
            self.too_few, detail, self.gone, unmasked=is_unmasked, convictions=self._complained_of()
        )

    def _complained_of(self) -> tuple[Conviction, ...]:
        """Return whom the holders' complaints convict, in the phases that know of complaints."""
        return ()


RunningState = Collecting
ServerState = RunningState | Completed | Aborted
ServerTransition = Transition[ServerState, ServerRecord, Envelope]
