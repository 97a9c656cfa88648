"""The client: one frozen state for each message it waits for.

    begin -> AwaitingAdverts -> AwaitingShares -> AwaitingSurvivors -> AwaitingProof -> Revealed

and from each of them `withdraw` leads to Withdrawn. A state holds only what its phase still needs: the
vector is gone once it is masked, and from the moment a survivor list is signed only the one share of each
client that this list allows to reveal is left. Nothing the server sends is believed unless a pinned
identity signed it. A breach raises ProtocolViolation and leaves the state as it was; the driver then
answers with `state.withdraw(reason)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fecosr.crypto.shamir import split
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import CryptoError, MisuseError, ProtocolViolation
from fecosr.ids import COORDINATOR, NodeId
from fecosr.secagg.checks import check_adverts, check_proof, check_sources, check_survivors
from fecosr.secagg.cohort import Cohort, form_cohort
from fecosr.secagg.masking import Summand, Vector, masked
from fecosr.secagg.messages import (
    AdvertList,
    ClientMessage,
    ConsistencyProof,
    ConsistencySignature,
    EncryptedShares,
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
from fecosr.secagg.shares import Route, SharePair, open_pair, seal_pair
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
        ciphertexts = {
            peer: seal_pair(
                pairs[peer],
                self.secrets.channel_key,
                cohort.adverts[peer].channel_public,
                Route(cohort.session, self.me, peer),
            )
            for peer in cohort.graph.neighbours(self.me)
        }
        own = {holder: pair for holder, pair in pairs.items() if holder == self.me}
        state = AwaitingShares(self.me, self.identity, self.roster, cohort, self.secrets, own, self.vector)
        return Transition(state, outbox=(EncryptedShares(ciphertexts),))

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

        Raises:
            ProtocolViolation: the server broke a rule about shares, or a peer's sealed share does not open.
        """
        if not isinstance(message, ShareDelivery):
            raise out_of_phase(COORDINATOR, self.phase, message)
        check_sources(self.cohort, self.me, message.ciphertexts)
        opened = {peer: self._open(peer, sealed) for peer, sealed in message.ciphertexts.items()}
        session = self.cohort.session
        peers = self.cohort.mask_publics(sorted(opened))
        ring_bits = self.cohort.parameters.ring_bits
        vector = masked(self.vector, self.secrets, peers, session, self.me, ring_bits)
        digest = vector_digest(vector)
        signature = self.identity.sign(masked_input_statement(session, self.me, digest))
        pairs = {**opened, **self.own}
        state = AwaitingSurvivors(self.me, self.identity, self.roster, self.cohort, pairs)
        return Transition(state, outbox=(MaskedInput(vector, signature, digest),))

    def _open(self, source: NodeId, sealed: bytes) -> SharePair:
        public = self.cohort.adverts[source].channel_public
        route = Route(self.cohort.session, source, self.me)
        try:
            return open_pair(sealed, self.secrets.channel_key, public, route)
        except CryptoError:
            raise ProtocolViolation(source, self.phase, Rule.UNREADABLE_SHARE) from None


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingSurvivors(_Waiting):
    """Have handed in the masked vector; wait to hear who else has."""

    phase = Phase.MASKED_INPUT
    cohort: Cohort
    pairs: Mapping[NodeId, SharePair] = field(repr=False)

    def receive(self, message: ServerMessage) -> "ClientTransition":
        """Sign the survivor list, and forget every share that it does not allow to reveal.

        Raises:
            ProtocolViolation: the server broke a rule about survivor lists.
        """
        if not isinstance(message, SurvivorList):
            raise out_of_phase(COORDINATOR, self.phase, message)
        survivors = message.survivors
        check_survivors(self.cohort, self.me, self.pairs.keys(), survivors)
        answer = UnmaskShares(
            seed_shares={
                client: self.pairs[client].seed_share for client in survivors if client in self.pairs
            },
            mask_key_shares={
                client: pair.mask_key_share
                for client, pair in sorted(self.pairs.items())
                if client not in survivors
            },
        )
        session = self.cohort.session
        signature = self.identity.sign(survivors_statement(session, survivors))
        return Transition(
            AwaitingProof(self.me, self.identity, self.roster, self.cohort, survivors, answer),
            records=(SurvivorsSigned(session, survivors),),
            outbox=(ConsistencySignature(self.me, signature),),
        )


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
