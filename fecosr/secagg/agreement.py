"""The server's last two phases: make the survivors agree on who they are, then open their sum."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from fecosr.crypto.shamir import SHARE_BYTES
from fecosr.crypto.signatures import verify
from fecosr.errors import CryptoError, ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.cohort import Cohort
from fecosr.secagg.collecting import Collecting, ServerTransition
from fecosr.secagg.dealing import (
    Deal,
    Receipt,
    revealed_commitments,
    revealed_statement,
    usable_holders,
)
from fecosr.secagg.evidence import Conviction, complained_of
from fecosr.secagg.masking import Vector
from fecosr.secagg.messages import (
    ClientMessage,
    ConsistencyProof,
    ConsistencySignature,
    Phase,
    UnmaskShares,
)
from fecosr.secagg.outcomes import (
    Aborted,
    AbortReason,
    Completed,
    DropoutReason,
    Envelope,
    UnmaskingBegun,
)
from fecosr.secagg.packing import reduce_to_ring
from fecosr.secagg.rules import Rule, out_of_phase
from fecosr.secagg.statements import survivors_statement
from fecosr.secagg.unmasking import Answers, open_secrets, unmask
from fecosr.transition import Transition


@dataclass(frozen=True, slots=True, eq=False)
class CollectingSignatures(Collecting):
    """Wait for the survivors to sign the one list of survivors."""

    phase = Phase.CONSISTENCY
    too_few = AbortReason.TOO_FEW_SIGNATURES
    cohort: Cohort
    total: Vector = field(repr=False)
    deals: Mapping[NodeId, Deal]
    receipts: Mapping[NodeId, Receipt]
    survivors: tuple[NodeId, ...]
    signatures: Mapping[NodeId, ConsistencySignature]

    @property
    def _answered(self) -> Collection[NodeId]:
        return self.signatures.keys()

    @property
    def _needed(self) -> int:
        return self.cohort.threshold

    def _accept(self, sender: NodeId, message: ClientMessage) -> "CollectingSignatures":
        if not isinstance(message, ConsistencySignature):
            raise out_of_phase(sender, self.phase, message)
        if self._is_repeated(sender, self.signatures.get(sender), message):
            return self
        if message.client != sender:
            raise ProtocolViolation(sender, self.phase, Rule.WRONG_NAME)
        statement = survivors_statement(self.cohort.session, self.survivors)
        try:
            verify(self.terms.roster[sender], message.signature, statement)
        except CryptoError:
            raise ProtocolViolation(sender, self.phase, Rule.BAD_SURVIVORS_SIGNATURE) from None
        return replace(self, signatures={**self.signatures, sender: message})

    def _complained_of(self) -> tuple[Conviction, ...]:
        return complained_of(self.cohort, self.deals, self.receipts)

    def _close(self, now: float) -> ServerTransition:
        proof = ConsistencyProof(tuple(self.signatures[client] for client in sorted(self.signatures)))
        state = CollectingUnmaskShares(
            self.terms,
            frozenset(self.signatures.keys() - self.gone.keys()),
            self.gone,
            self._next_deadline(Phase.UNMASK, now),
            cohort=self.cohort,
            total=self.total,
            deals=self.deals,
            receipts=self.receipts,
            survivors=self.survivors,
            proof=proof,
            reveals={},
        )
        outbox = tuple(Envelope(client, proof) for client in sorted(state.asked))
        begun = self._enter(state, (), outbox, now)
        if isinstance(begun.state, Aborted):
            return begun
        return replace(begun, records=(UnmaskingBegun(self.cohort.session),))


@dataclass(frozen=True, slots=True, eq=False)
class CollectingUnmaskShares(Collecting):
    """Wait for the signers' shares, then open the sum, in place."""

    phase = Phase.UNMASK
    too_few = AbortReason.TOO_FEW_UNMASK_SHARES
    cohort: Cohort
    total: Vector = field(repr=False)
    deals: Mapping[NodeId, Deal]
    receipts: Mapping[NodeId, Receipt]
    survivors: tuple[NodeId, ...]
    proof: ConsistencyProof
    reveals: Mapping[NodeId, UnmaskShares]

    @property
    def _answered(self) -> Collection[NodeId]:
        return self.reveals.keys()

    @property
    def _needed(self) -> int:
        return self.cohort.graph.threshold

    def _accept(self, sender: NodeId, message: ClientMessage) -> "CollectingUnmaskShares":
        if not isinstance(message, UnmaskShares):
            raise out_of_phase(sender, self.phase, message)
        if self._is_repeated(sender, self.reveals.get(sender), message):
            return self
        owners = self.deals.keys() & frozenset(self.cohort.graph.holders(sender))
        owners -= frozenset(self.receipts[sender].unusable)
        dropouts = owners.difference(self.survivors)
        if message.mask_key_shares.keys() != dropouts or message.seed_shares.keys() != owners - dropouts:
            raise ProtocolViolation(sender, self.phase, Rule.WRONG_SHARES)
        shares = (*message.seed_shares.values(), *message.mask_key_shares.values())
        if any(len(share) != SHARE_BYTES for share in shares):
            raise ProtocolViolation(sender, self.phase, Rule.MALFORMED_SHARE)
        commitments = revealed_commitments(self.cohort.session, sender, message)
        statement = revealed_statement(self.cohort.session, sender, commitments)
        try:
            verify(self.terms.roster[sender], message.signature, statement)
        except CryptoError:
            raise ProtocolViolation(sender, self.phase, Rule.BAD_REVEAL_SIGNATURE) from None
        return replace(self, reveals={**self.reveals, sender: message})

    def _complained_of(self) -> tuple[Conviction, ...]:
        return complained_of(self.cohort, self.deals, self.receipts)

    def _close(self, now: float) -> ServerTransition:
        stuck = [owner for owner in sorted(self.deals) if not self._can_open(owner)]
        if stuck:
            detail = f"{self.phase}: too few hold shares of the secrets of {', '.join(stuck)}"
            return Transition(
                Aborted(self.too_few, detail, self.gone, unmasked=True, convictions=self._complained_of())
            )
        opened = open_secrets(Answers(self.cohort, self.deals, self.receipts, self.reveals))
        convictions = (*self._complained_of(), *opened.convictions)
        if opened.closed:
            detail = f"{self.phase}: no quorum of shares opens the secret of {', '.join(opened.closed)}"
            return Transition(
                Aborted(
                    AbortReason.BAD_SHARES,
                    detail,
                    self.gone,
                    unmasked=True,
                    convictions=convictions,
                )
            )
        unmask(self.total, self.cohort, opened)
        reduce_to_ring(self.total, self.terms.parameters.ring_bits)
        completed = Completed(
            total=self.total,
            survivors=self.survivors,
            dropouts=without(self.survivors, self.gone),
            departed={client: self.gone[client] for client in self.survivors if client in self.gone},
            session=self.cohort.session,
            proof=self.proof,
            adverts=tuple(self.cohort.adverts.values()),
            convictions=convictions,
        )
        return Transition(completed)

    def _can_open(self, owner: NodeId) -> bool:
        holders = usable_holders(self.cohort, owner, self.reveals, self.receipts)
        return len(holders) >= self.cohort.graph.threshold


def without(
    survivors: Collection[NodeId], gone: Mapping[NodeId, DropoutReason]
) -> Mapping[NodeId, DropoutReason]:
    """Return everybody who left except the survivors."""
    return {client: reason for client, reason in sorted(gone.items()) if client not in survivors}
