"""The client: one frozen state for each message it waits for.

    begin -> AwaitingAdverts -> AwaitingShares -> AwaitingSurvivors -> AwaitingProof -> Revealed

and from each of them `withdraw` leads to Withdrawn. A state holds only what its phase still needs: the
vector is gone once it is masked, and from the moment a survivor list is signed only the one share of each
client that this list allows to reveal is left. Nothing the server sends is believed unless a pinned
identity signed it. A breach raises ProtocolViolation and leaves the state as it was; the driver then
answers with `state.withdraw(reason)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from fecosr.crypto.shamir import split
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import CryptoError, MisuseError, ProtocolViolation
from fecosr.ids import COORDINATOR, NodeId
from fecosr.secagg.checks import check_adverts, check_delivery, check_proof, check_sources, check_survivors
from fecosr.secagg.cohort import Cohort, form_cohort
from fecosr.secagg.dealing import (
    open_and_check,
    receipt_hash,
    revealed_commitments,
    revealed_statement,
    seal_and_commit,
    signed_deal,
)
from fecosr.secagg.masking import Summand, Vector, masked
from fecosr.secagg.messages import (
    AdvertList,
    ClientMessage,
    ConsistencyProof,
    ConsistencySignature,
    KeyAdvert,
    MaskedInput,
    Phase,
    ServerMessage,
    ShareDelivery,
    SurvivorList,
    UnmaskShares,
    Withdrawal,
)
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.rules import Rule, out_of_phase
from fecosr.secagg.secrets import ClientSecrets, derive_secrets
from fecosr.secagg.shares import Route, SharePair
from fecosr.secagg.statements import (
    masked_input_statement,
    seed_commitment,
    signed_advert,
    survivors_statement,
    vector_digest,
)
from fecosr.transition import Transition


@dataclass(frozen=True, slots=True)
class SurvivorsSigned:
    """Record, before the signature leaves, the one survivor list this client signs in the session."""

    session: bytes
    survivors: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class SharesRevealed:
    """Record, before the shares leave, that the sum over these survivors may be opened."""

    session: bytes
    survivors: tuple[NodeId, ...]


ClientRecord = SurvivorsSigned | SharesRevealed


@dataclass(frozen=True, slots=True)
class Revealed:
    """End the session having sent the unmask shares; there is no second reply."""

    session: bytes
    survivors: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """End the session early for a named reason, revealing nothing further."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Hold what every non-terminal state knows.

    Attributes:
        me: this client.
        identity: its signing key.
        roster: the pinned Ed25519 identity of every client that may ever take part.
    """

    phase: ClassVar[Phase]
    me: NodeId
    identity: SigningKey
    roster: Mapping[NodeId, bytes] = field(repr=False)

    def withdraw(self, reason: str) -> "ClientTransition":
        """Leave the session and tell the server why."""
        return Transition(Withdrawn(reason), outbox=(Withdrawal(reason),))


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingAdverts(_Waiting):
    """Have advertised keys; wait for everybody's."""

    phase = Phase.ADVERTISE_KEYS
    parameters: SecAggParameters
    secrets: ClientSecrets
    advert: KeyAdvert
    vector: Vector | Summand = field(repr=False)

    def receive(self, message: ServerMessage) -> "ClientTransition":
        """Check all adverts, derive the session from them, and share both secrets among their holders.

        Raises:
            ProtocolViolation: the server broke a rule about adverts.
        """
        if not isinstance(message, AdvertList):
            raise out_of_phase(COORDINATOR, self.phase, message)
        check_adverts(self.parameters, self.roster, self.advert, message.adverts)
        cohort = form_cohort(self.parameters, message.adverts)
        pairs = self._deal(cohort)
        sealed = {
            holder: seal_and_commit(
                pair,
                self.secrets.channel_key,
                cohort.adverts[holder].channel_public,
                Route(cohort.session, self.me, holder),
            )
            for holder, pair in pairs.items()
        }
        own = {holder: pair for holder, pair in pairs.items() if holder == self.me}
        state = AwaitingShares(self.me, self.identity, self.roster, cohort, self.secrets, own, self.vector)
        return Transition(state, outbox=(signed_deal(cohort.session, self.me, self.identity, sealed),))

    def _deal(self, cohort: Cohort) -> Mapping[NodeId, SharePair]:
        holders = cohort.graph.holders(self.me)
        threshold, num_shares = cohort.graph.threshold, len(holders)
        secrets = self.secrets
        seed_shares = split(secrets.seed, threshold, num_shares, secrets.seed_sharing)
        key_shares = split(secrets.mask_key.secret, threshold, num_shares, secrets.mask_key_sharing)
        dealt = zip(holders, seed_shares, key_shares, strict=True)
        return {holder: SharePair(seed_share, key_share) for holder, seed_share, key_share in dealt}


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingShares(_Waiting):
    """Have dealt shares; wait for those of the others."""

    phase = Phase.SHARE_KEYS
    cohort: Cohort
    secrets: ClientSecrets
    own: Mapping[NodeId, SharePair] = field(repr=False)
    vector: Vector | Summand = field(repr=False)

    def receive(self, message: ServerMessage) -> "ClientTransition":
        """Open the shares, and hand in the vector masked with everybody whose shares came.

        A dealer whose signed shares are unusable is complained of and otherwise treated like everybody else:
        the vector is masked with it as well, only its shares will not be revealed.

        Raises:
            ProtocolViolation: the server broke a rule about shares.
        """
        if not isinstance(message, ShareDelivery):
            raise out_of_phase(COORDINATOR, self.phase, message)
        session, dealers = self.cohort.session, sorted(message.shares)
        check_sources(self.cohort, self.me, dealers)
        leaves = check_delivery(self.cohort, self.roster, self.me, message)
        opened = {dealer: pair for dealer in dealers if (pair := self._opened(dealer, message))}
        unusable = tuple(dealer for dealer in dealers if dealer not in opened)
        peers = self.cohort.mask_publics(dealers)
        ring_bits = self.cohort.parameters.ring_bits
        vector = masked(self.vector, self.secrets, peers, session, self.me, ring_bits)
        digest = vector_digest(vector)
        receipt = receipt_hash(session, self.me, leaves, unusable)
        signature = self.identity.sign(masked_input_statement(session, self.me, digest, receipt))
        sharers = frozenset((*dealers, *self.own))
        pairs = {**opened, **self.own}
        state = AwaitingSurvivors(self.me, self.identity, self.roster, self.cohort, sharers, pairs)
        return Transition(state, outbox=(MaskedInput(vector, signature, digest, unusable),))

    def _opened(self, dealer: NodeId, message: ShareDelivery) -> SharePair | None:
        public = self.cohort.adverts[dealer].channel_public
        route = Route(self.cohort.session, dealer, self.me)
        try:
            return open_and_check(message.shares[dealer].sealed, self.secrets.channel_key, public, route)
        except CryptoError:
            return None


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingSurvivors(_Waiting):
    """Have handed in the masked vector; wait to hear who else has."""

    phase = Phase.MASKED_INPUT
    cohort: Cohort
    sharers: frozenset[NodeId]
    pairs: Mapping[NodeId, SharePair] = field(repr=False)

    def receive(self, message: ServerMessage) -> "ClientTransition":
        """Sign the survivor list, and forget every share that it does not allow to reveal.

        Raises:
            ProtocolViolation: the server broke a rule about survivor lists.
        """
        if not isinstance(message, SurvivorList):
            raise out_of_phase(COORDINATOR, self.phase, message)
        survivors = message.survivors
        check_survivors(self.cohort, self.me, self.sharers, survivors)
        session = self.cohort.session
        signature = self.identity.sign(survivors_statement(session, survivors))
        return Transition(
            AwaitingProof(
                self.me, self.identity, self.roster, self.cohort, survivors, self._answer(survivors)
            ),
            records=(SurvivorsSigned(session, survivors),),
            outbox=(ConsistencySignature(self.me, signature),),
        )

    def _answer(self, survivors: tuple[NodeId, ...]) -> UnmaskShares:
        alive = frozenset(survivors)
        unsigned = UnmaskShares(
            {client: self.pairs[client].seed_share for client in survivors if client in self.pairs},
            {
                client: pair.mask_key_share
                for client, pair in sorted(self.pairs.items())
                if client not in alive
            },
            b"",
        )
        session = self.cohort.session
        commitments = revealed_commitments(session, self.me, unsigned)
        signature = self.identity.sign(revealed_statement(session, self.me, commitments))
        return replace(unsigned, signature=signature)


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingProof(_Waiting):
    """Have signed a survivor list; wait for proof that a quorum signed the same."""

    phase = Phase.CONSISTENCY
    cohort: Cohort
    survivors: tuple[NodeId, ...]
    answer: UnmaskShares

    def receive(self, message: ServerMessage) -> "ClientTransition":
        """Reveal the shares the signed list allows, once a quorum is seen to have signed it.

        Raises:
            ProtocolViolation: the proof proves nothing, or another survivor list came.
        """
        if isinstance(message, SurvivorList) and message.survivors != self.survivors:
            raise ProtocolViolation(COORDINATOR, self.phase, Rule.EQUIVOCATION)
        if not isinstance(message, ConsistencyProof):
            raise out_of_phase(COORDINATOR, self.phase, message)
        check_proof(self.cohort, self.roster, self.survivors, message)
        session = self.cohort.session
        return Transition(
            Revealed(session, self.survivors),
            records=(SharesRevealed(session, self.survivors),),
            outbox=(self.answer,),
        )


RunningClient = AwaitingAdverts | AwaitingShares | AwaitingSurvivors | AwaitingProof
ClientState = RunningClient | Revealed | Withdrawn
ClientTransition = Transition[ClientState, ClientRecord, ClientMessage]


def begin(  # noqa: PLR0917 - all that a client brings to a session, in the order it comes by it
    parameters: SecAggParameters,
    me: NodeId,
    identity: SigningKey,
    roster: Mapping[NodeId, bytes],
    vector: Vector | Summand,
    entropy: bytes,
) -> ClientTransition:
    """Advertise fresh keys for one session.

    Args:
        parameters: what everybody agreed on.
        me: this client.
        identity: its signing key.
        roster: the pinned Ed25519 identity of every client that may ever take part, this one included.
        vector: what to add to the sum, uint32 [length], or what writes it when it is masked.
        entropy: 32 fresh bytes from the operating system, used for this session only.

    Raises:
        MisuseError: an argument does not fit the others.
    """
    if roster.get(me) != identity.public:
        raise MisuseError("the roster does not pin this identity for this client")
    if not _fits(vector, parameters.length):
        raise MisuseError(f"a vector is uint32 [{parameters.length}]")
    context = parameters.context
    secrets = derive_secrets(entropy, context, me)
    keys = (secrets.channel_key.public, secrets.mask_key.public)
    advert = signed_advert(context, me, identity, keys, seed_commitment(context, me, secrets.seed))
    state = AwaitingAdverts(me, identity, roster, parameters, secrets, advert, vector)
    return Transition(state, outbox=(advert,))


def _fits(vector: Vector | Summand, length: int) -> bool:
    if isinstance(vector, np.ndarray):
        return vector.dtype == np.uint32 and vector.shape == (length,)
    return vector.length == length
