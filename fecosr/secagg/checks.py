"""What a client checks before it believes the server. Every function here raises or says nothing."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from fecosr.crypto.key_agreement import check_public_key
from fecosr.crypto.signatures import verify
from fecosr.errors import CryptoError, ProtocolViolation
from fecosr.ids import COORDINATOR, NodeId
from fecosr.secagg.cohort import Cohort
from fecosr.secagg.dealing import verified_leaf
from fecosr.secagg.messages import ConsistencyProof, KeyAdvert, Phase, ShareDelivery
from fecosr.secagg.parameters import MAX_CLIENTS, SecAggParameters
from fecosr.secagg.rules import Rule
from fecosr.secagg.statements import survivors_statement, verify_advert


def check_adverts(
    parameters: SecAggParameters,
    roster: Mapping[NodeId, bytes],
    own: KeyAdvert,
    adverts: Sequence[KeyAdvert],
) -> None:
    """Refuse a cohort that is not made of pinned clients' own fresh keys, or is too small to hide in.

    Raises:
        ProtocolViolation: naming the rule.
    """
    _require(Phase.ADVERTISE_KEYS, Rule.COHORT_TOO_LARGE, len(adverts) <= MAX_CLIENTS)
    fewest = parameters.fewest_survivors(len(adverts))
    _require(Phase.ADVERTISE_KEYS, Rule.COHORT_TOO_SMALL, len(adverts) >= fewest)
    names = [advert.client for advert in adverts]
    _require(Phase.ADVERTISE_KEYS, Rule.ADVERTS_UNSORTED, _strictly_sorted(names))
    _require(Phase.ADVERTISE_KEYS, Rule.OWN_ADVERT_CHANGED, own in adverts)
    _require(Phase.ADVERTISE_KEYS, Rule.NOT_IN_ROSTER, all(name in roster for name in names))
    for advert in adverts:
        _check_advert(parameters.context, advert, roster[advert.client])
    publics = [public for advert in adverts for public in (advert.channel_public, advert.mask_public)]
    _require(Phase.ADVERTISE_KEYS, Rule.KEY_REUSED, len(set(publics)) == len(publics))


def _check_advert(context: bytes, advert: KeyAdvert, identity: bytes) -> None:
    try:
        verify_advert(context, advert, identity)
    except CryptoError:
        # The server may have forged it or its sender may have: only the carrier is certain.
        raise ProtocolViolation(COORDINATOR, Phase.ADVERTISE_KEYS, Rule.BAD_ADVERT) from None
    try:
        check_public_key(advert.channel_public)
        check_public_key(advert.mask_public)
    except CryptoError:
        raise ProtocolViolation(advert.client, Phase.ADVERTISE_KEYS, Rule.UNUSABLE_KEY) from None


def check_sources(cohort: Cohort, me: NodeId, sources: Collection[NodeId]) -> None:
    """Refuse shares from clients that are no neighbours, or from so few that the masks would hide nobody.

    Raises:
        ProtocolViolation: naming the rule.
    """
    known = frozenset(cohort.graph.neighbours(me)).issuperset(sources)
    _require(Phase.SHARE_KEYS, Rule.UNKNOWN_SOURCE, known)
    # In a sparse graph a client hears of its neighbours only; n_min is checked again with the survivors.
    sparse = cohort.graph.degree is not None
    fewest = cohort.graph.threshold if sparse else cohort.fewest_survivors - 1
    _require(Phase.SHARE_KEYS, Rule.COHORT_TOO_SMALL, len(sources) >= fewest)


def check_delivery(
    cohort: Cohort, roster: Mapping[NodeId, bytes], me: NodeId, delivery: ShareDelivery
) -> Mapping[NodeId, bytes]:
    """Refuse shares that their dealers did not sign; return the leaf of what each dealt to this client.

    Raises:
        ProtocolViolation: naming the rule.
    """
    leaves: dict[NodeId, bytes] = {}
    for dealer, delivered in sorted(delivery.shares.items()):
        try:
            leaves[dealer] = verified_leaf(cohort, dealer, roster[dealer], me, delivered)
        except CryptoError:
            # An honest server checked it before it passed it on.
            raise ProtocolViolation(COORDINATOR, Phase.SHARE_KEYS, Rule.BAD_DEAL) from None
    return leaves


def check_survivors(
    cohort: Cohort, me: NodeId, sharers: Collection[NodeId], survivors: Sequence[NodeId]
) -> None:
    """Refuse a survivor list that is ambiguous, leaves this client out, or is too small to hide in.

    Args:
        cohort: the session.
        me: this client.
        sharers: the clients it made masks with; itself may be among them.
        survivors: the list to check.

    Raises:
        ProtocolViolation: naming the rule.
    """
    phase = Phase.MASKED_INPUT
    _require(phase, Rule.SURVIVORS_UNSORTED, _strictly_sorted(survivors))
    _require(phase, Rule.NOT_A_SURVIVOR, me in survivors)
    _require(phase, Rule.UNKNOWN_SURVIVOR, all(client in cohort.adverts for client in survivors))
    unmasked = frozenset(cohort.graph.neighbours(me)).difference(sharers)
    _require(phase, Rule.UNKNOWN_SURVIVOR, unmasked.isdisjoint(survivors))
    _require(phase, Rule.TOO_FEW_SURVIVORS, len(survivors) >= cohort.fewest_survivors)
    _require(phase, Rule.SURVIVORS_APART, not cohort.graph.has_gap(frozenset(survivors)))


def check_proof(
    cohort: Cohort,
    roster: Mapping[NodeId, bytes],
    survivors: Sequence[NodeId],
    proof: ConsistencyProof,
) -> None:
    """Refuse a proof without a quorum of survivors' signatures on exactly this list.

    Two quorums have more than `max_colluding` clients in common, and an honest client signs one list only, so
    at most one list of a session can ever be proved.

    Raises:
        ProtocolViolation: naming the rule.
    """
    phase = Phase.CONSISTENCY
    signers = [signed.client for signed in proof.signatures]
    _require(phase, Rule.PROOF_UNSORTED, _strictly_sorted(signers))
    _require(phase, Rule.UNKNOWN_SIGNER, all(signer in survivors for signer in signers))
    _require(phase, Rule.PROOF_TOO_SMALL, len(signers) >= cohort.threshold)
    statement = survivors_statement(cohort.session, survivors)
    for signed in proof.signatures:
        try:
            verify(roster[signed.client], signed.signature, statement)
        except CryptoError:
            # An honest server checked it before it passed it on.
            raise ProtocolViolation(COORDINATOR, phase, Rule.BAD_SURVIVORS_SIGNATURE) from None


def _require(phase: Phase, rule: Rule, kept: bool) -> None:
    if not kept:
        raise ProtocolViolation(COORDINATOR, phase, rule)


def _strictly_sorted(names: Sequence[NodeId]) -> bool:
    return all(earlier < later for earlier, later in pairwise(names))
