"""The server: one frozen state for each phase, each collecting one kind of answer.

    open_session -> CollectingAdverts -> CollectingShares -> CollectingInputs -> CollectingSignatures
                 -> CollectingUnmaskShares -> Completed

and from each of them to Aborted as soon as too few clients are left. A phase ends when everybody it asked
has answered or gone, or at its deadline. A bad message raises ProtocolViolation and leaves the state as it
was; the driver then calls `drop`. No state can hold one client's vector: masked inputs go straight into the
running sum.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from fecosr.crypto.key_agreement import check_public_key
from fecosr.crypto.labels import HASH_BYTES
from fecosr.crypto.signatures import verify
from fecosr.errors import CryptoError, MisuseError, ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.agreement import CollectingSignatures, CollectingUnmaskShares, without
from fecosr.secagg.cohort import Cohort, form_cohort
from fecosr.secagg.collecting import Collecting, RunningState, ServerState, ServerTransition, Terms
from fecosr.secagg.dealing import (
    Deal,
    Receipt,
    delivered_leaves,
    is_whole,
    receipt_hash,
    usable_holders,
    verified_deal,
)
from fecosr.secagg.evidence import Conviction, complained_of
from fecosr.secagg.masking import Vector
from fecosr.secagg.messages import (
    AdvertList,
    ClientMessage,
    EncryptedShares,
    HashedInput,
    KeyAdvert,
    MaskedInput,
    Phase,
    ShareDelivery,
    SurvivorList,
)
from fecosr.secagg.outcomes import (
    Aborted,
    AbortReason,
    CohortFixed,
    Completed,
    DropoutReason,
    Envelope,
    ServerRecord,
    SurvivorsFixed,
    UnmaskingBegun,
)
from fecosr.secagg.packing import add_packed, begin_sum, empty_sum, is_packed
from fecosr.secagg.parameters import MAX_CLIENTS, SecAggParameters
from fecosr.secagg.rules import Rule, out_of_phase
from fecosr.secagg.statements import (
    masked_input_statement,
    vector_digest,
    verify_advert,
)
from fecosr.transition import Transition

__all__ = [
    "AbortReason",
    "Aborted",
    "CohortFixed",
    "CollectingAdverts",
    "CollectingInputs",
    "CollectingShares",
    "CollectingSignatures",
    "CollectingUnmaskShares",
    "Completed",
    "DropoutReason",
    "Envelope",
    "RunningState",
    "ServerRecord",
    "ServerState",
    "ServerTransition",
    "SurvivorsFixed",
    "UnmaskingBegun",
    "open_session",
]


@dataclass(frozen=True, slots=True, eq=False)
class CollectingAdverts(Collecting):
    """Wait for everybody's keys; whoever has advertised and is still there becomes the cohort."""

    phase = Phase.ADVERTISE_KEYS
    too_few = AbortReason.TOO_FEW_ADVERTS
    adverts: Mapping[NodeId, KeyAdvert]

    @property
    def _answered(self) -> Collection[NodeId]:
        return self.adverts.keys()

    @property
    def _counted(self) -> frozenset[NodeId]:
        return frozenset(self.adverts.keys() - self.gone.keys())

    @property
    def _needed(self) -> int:
        # A cohort of n_min meets its own threshold, because n_min is at least max_colluding + 2.
        return self.terms.parameters.n_min

    def _accept(self, sender: NodeId, message: ClientMessage) -> "CollectingAdverts":
        if not isinstance(message, KeyAdvert):
            raise out_of_phase(sender, self.phase, message)
        if self._is_repeated(sender, self.adverts.get(sender), message):
            return self
        self._check(sender, message)
        return replace(self, adverts={**self.adverts, sender: message})

    def _check(self, sender: NodeId, advert: KeyAdvert) -> None:
        if advert.client != sender:
            raise ProtocolViolation(sender, self.phase, Rule.WRONG_NAME)
        try:
            verify_advert(self.terms.parameters.context, advert, self.terms.roster[sender])
        except CryptoError:
            raise ProtocolViolation(sender, self.phase, Rule.BAD_ADVERT) from None
        if len(advert.seed_commitment) != HASH_BYTES:
            raise ProtocolViolation(sender, self.phase, Rule.BAD_ADVERT)
        publics = [advert.channel_public, advert.mask_public]
        try:
            for public in publics:
                check_public_key(public)
        except CryptoError:
            raise ProtocolViolation(sender, self.phase, Rule.UNUSABLE_KEY) from None
        publics += [
            key for other in self.adverts.values() for key in (other.channel_public, other.mask_public)
        ]
        if len(set(publics)) != len(publics):
            raise ProtocolViolation(sender, self.phase, Rule.KEY_REUSED)

    def _close(self, now: float) -> ServerTransition:
        cohort = form_cohort(self.terms.parameters, (self.adverts[client] for client in self._counted))
        adverts = tuple(cohort.adverts.values())
        deadline = self._next_deadline(Phase.SHARE_KEYS, now)
        state = CollectingShares(self.terms, self._counted, self.gone, deadline, cohort=cohort, deals={})
        outbox = tuple(Envelope(client, AdvertList(adverts)) for client in cohort.adverts)
        return self._enter(state, (CohortFixed(cohort.session, adverts),), outbox, now)


@dataclass(frozen=True, slots=True, eq=False)
class CollectingShares(Collecting):
    """Wait for everybody's sealed shares; pairwise masks are made among those who sent them."""

    phase = Phase.SHARE_KEYS
    too_few = AbortReason.TOO_FEW_SHARES
    cohort: Cohort
    deals: Mapping[NodeId, Deal]

    @property
    def _answered(self) -> Collection[NodeId]:
        return self.deals.keys()

    @property
    def _counted(self) -> frozenset[NodeId]:
        return frozenset(self.deals.keys() - self.gone.keys())

    @property
    def _needed(self) -> int:
        return self.cohort.fewest_survivors

    def _accept(self, sender: NodeId, message: ClientMessage) -> "CollectingShares":
        if not isinstance(message, EncryptedShares):
            raise out_of_phase(sender, self.phase, message)
        earlier = self.deals[sender].message if sender in self.deals else None
        if self._is_repeated(sender, earlier, message):
            return self
        if message.sealed.keys() != frozenset(self.cohort.graph.holders(sender)):
            raise ProtocolViolation(sender, self.phase, Rule.WRONG_DESTINATIONS)
        if not is_whole(message):
            raise ProtocolViolation(sender, self.phase, Rule.MALFORMED_SHARE)
        try:
            deal = verified_deal(self.cohort, sender, self.terms.roster[sender], message)
        except CryptoError:
            raise ProtocolViolation(sender, self.phase, Rule.BAD_DEAL) from None
        return replace(self, deals={**self.deals, sender: deal})

    def _close(self, now: float) -> ServerTransition:
        isolated = self.cohort.graph.isolated(self._counted)
        if isolated:
            # They would withdraw, and rightly blame the server.
            gone = {**self.gone, **dict.fromkeys(sorted(isolated), DropoutReason.ISOLATED)}
            return replace(self, gone=gone).advance(now)
        deals = {client: self.deals[client] for client in sorted(self._counted)}
        state = CollectingInputs(
            self.terms,
            self._counted,
            self.gone,
            self._next_deadline(Phase.MASKED_INPUT, now),
            cohort=self.cohort,
            total=empty_sum(self.terms.parameters.length),  # [length]
            deals=deals,
            receipts={},
        )
        outbox = tuple(Envelope(client, self._delivery(client, deals)) for client in deals)
        return self._enter(state, (), outbox, now)

    def _delivery(self, client: NodeId, deals: Mapping[NodeId, Deal]) -> ShareDelivery:
        dealers = (peer for peer in self.cohort.graph.neighbours(client) if peer in deals)
        return ShareDelivery({dealer: deals[dealer].delivered_to(client) for dealer in dealers})


@dataclass(frozen=True, slots=True, eq=False)
class CollectingInputs(Collecting):
    """Wait for everybody's masked vector and add each to the sum as it comes.

    The sum is added to in place, so the state before an accepted input must not be used again.

    Attributes:
        total: sum of the masked vectors so far, modulo the ring or any multiple of it, uint32 [length].
        deals: whose shares were delivered; masks are made among these clients.
        receipts: digest of each vector that is in the sum, and what its client said of the shares it got.
    """

    phase = Phase.MASKED_INPUT
    too_few = AbortReason.TOO_FEW_INPUTS
    cohort: Cohort
    total: Vector = field(repr=False)
    deals: Mapping[NodeId, Deal]
    receipts: Mapping[NodeId, Receipt]

    @property
    def _answered(self) -> Collection[NodeId]:
        return self.receipts.keys()

    @property
    def _needed(self) -> int:
        return self.cohort.fewest_survivors

    def _accept(self, sender: NodeId, message: ClientMessage) -> "CollectingInputs":
        if not isinstance(message, MaskedInput):
            raise out_of_phase(sender, self.phase, message)
        vector = message.vector
        if not is_packed(vector, self.total.size, self.terms.parameters.ring_bits):
            raise ProtocolViolation(sender, self.phase, Rule.WRONG_VECTOR)
        hashed = message.digest if isinstance(message, HashedInput) else None
        digest = hashed or vector_digest(vector)
        receipt = Receipt(digest, message.unusable, message.signature)
        if self._is_repeated(sender, self.receipts.get(sender), receipt):
            return self
        leaves = delivered_leaves(self.deals, sender)
        self._check_complaints(sender, message.unusable, leaves)
        accepted = receipt_hash(self.cohort.session, sender, leaves, message.unusable)
        statement = masked_input_statement(self.cohort.session, sender, digest, accepted)
        try:
            verify(self.terms.roster[sender], message.signature, statement)
        except CryptoError:
            raise ProtocolViolation(sender, self.phase, Rule.BAD_INPUT_SIGNATURE) from None
        receipts = {**self.receipts, sender: receipt}
        if not self.receipts:
            total = begin_sum(vector, self.total.size, may_keep=isinstance(message, HashedInput))
            return replace(self, total=total, receipts=receipts)
        add_packed(self.total, vector)
        return replace(self, receipts=receipts)

    def _check_complaints(
        self, sender: NodeId, unusable: Sequence[NodeId], leaves: Mapping[NodeId, bytes]
    ) -> None:
        """Refuse whoever complains of more dealers than may lie: it can only mean to hold back shares."""
        is_sorted = all(earlier < later for earlier, later in pairwise(unusable))
        most = max(1, self.terms.parameters.max_colluding)
        if not is_sorted or not leaves.keys() >= set(unusable) or len(unusable) > most:
            raise ProtocolViolation(sender, self.phase, Rule.BAD_COMPLAINT)

    def _complained_of(self) -> tuple[Conviction, ...]:
        return complained_of(self.cohort, self.deals, self.receipts)

    def _close(self, now: float) -> ServerTransition:
        survivors = tuple(sorted(self.receipts))
        if self.cohort.graph.has_gap(self.receipts.keys()):
            detail = f"{self.phase}: the survivors leave a gap in the mask graph"
            return Transition(self._end(self.too_few, detail))
        closed = self._closed_by_complaints()
        if closed:
            # Masks made with them are in the sum already, so that it could not be opened: ask for nothing.
            detail = f"{self.phase}: too few hold usable shares of the secrets of {', '.join(closed)}"
            return Transition(self._end(AbortReason.UNUSABLE_SHARES, detail))
        state = CollectingSignatures(
            self.terms,
            frozenset(survivors) - self.gone.keys(),
            self.gone,
            self._next_deadline(Phase.CONSISTENCY, now),
            cohort=self.cohort,
            total=self.total,
            deals=self.deals,
            receipts=self.receipts,
            survivors=survivors,
            signatures={},
        )
        record = SurvivorsFixed(self.cohort.session, survivors, without(survivors, self.gone))
        outbox = tuple(Envelope(client, SurvivorList(survivors)) for client in sorted(state.asked))
        return self._enter(state, (record,), outbox, now)

    def _end(self, reason: AbortReason, detail: str) -> Aborted:
        return Aborted(reason, detail, self.gone, unmasked=False, convictions=self._complained_of())

    def _closed_by_complaints(self) -> list[NodeId]:
        """Return whose secrets too few hold usable shares of, because some complain or have left."""
        left = self.receipts.keys() - self.gone.keys()
        accused = {dealer for receipt in self.receipts.values() for dealer in receipt.unusable}
        return [
            owner
            for owner in sorted(accused)
            if len(usable_holders(self.cohort, owner, left, self.receipts)) < self.cohort.graph.threshold
        ]


def open_session(
    parameters: SecAggParameters,
    roster: Mapping[NodeId, bytes],
    expected: frozenset[NodeId],
    phase_seconds: Mapping[Phase, float],
    now: float,
) -> Transition[RunningState, ServerRecord, Envelope]:
    """Open a session that waits for the adverts of the `expected` clients.

    Args:
        parameters: what everybody agreed on.
        roster: the pinned Ed25519 identity of every client that may ever take part.
        expected: the clients asked to take part.
        phase_seconds: how long each phase may take; AdvertiseKeys includes whatever clients do before it.
        now: driver seconds.

    Raises:
        MisuseError: too few or too many clients are expected, one is not in the roster, or a phase has no
            time limit.
    """
    if not parameters.n_min <= len(expected) <= MAX_CLIENTS:
        raise MisuseError(f"a session is for n_min to {MAX_CLIENTS} clients")
    if not expected <= roster.keys():
        raise MisuseError("a client that is not in the roster cannot be expected")
    if not phase_seconds.keys() >= set(Phase):
        raise MisuseError("every phase needs a time limit")
    terms = Terms(parameters, roster, expected, phase_seconds)
    deadline = now + phase_seconds[Phase.ADVERTISE_KEYS]
    state = CollectingAdverts(terms, expected, {}, deadline, adverts={})
    return Transition(state, deadline=deadline)
