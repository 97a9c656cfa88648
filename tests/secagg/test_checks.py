from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from fecosr.crypto.key_agreement import PrivateKey
from fecosr.errors import ProtocolViolation
from fecosr.ids import COORDINATOR, NodeId
from fecosr.secagg.checks import check_adverts, check_sources, check_survivors
from fecosr.secagg.client import AwaitingProof, AwaitingSurvivors, RunningClient
from fecosr.secagg.cohort import Cohort, form_cohort
from fecosr.secagg.messages import (
    AdvertList,
    ConsistencyProof,
    ConsistencySignature,
    KeyAdvert,
    Phase,
    ServerMessage,
    ShareDelivery,
    SurvivorList,
)
from fecosr.secagg.parameters import MAX_CLIENTS, SecAggParameters
from fecosr.secagg.rules import Rule
from fecosr.secagg.statements import signed_advert, survivors_statement
from tests.reference.rehearsal import (
    CONTEXT,
    ME,
    NAMES,
    Rehearsal,
    assert_client_refuses,
    identity_of,
    make_participants,
    rehearse,
    told_in,
)

SOMEBODY = NodeId("m0001")
"""Whom the tests look over the shoulder of in a crowd."""
LOW_ORDER = b"\1" + bytes(31)


def adverts_told(play: Rehearsal) -> tuple[KeyAdvert, ...]:
    return told_in(play, Phase.ADVERTISE_KEYS, AdvertList).adverts


def survivors_told(play: Rehearsal) -> tuple[NodeId, ...]:
    return told_in(play, Phase.MASKED_INPUT, SurvivorList).survivors


def proof_told(play: Rehearsal) -> tuple[ConsistencySignature, ...]:
    return told_in(play, Phase.CONSISTENCY, ConsistencyProof).signatures


def replaced(adverts: Sequence[KeyAdvert], advert: KeyAdvert) -> AdvertList:
    return AdvertList(tuple(advert if it.client == advert.client else it for it in adverts))


def advert_by(client: NodeId, channel: bytes, mask: bytes, context: bytes = CONTEXT) -> KeyAdvert:
    return signed_advert(context, client, identity_of(client), (channel, mask), b"\5" * 32)


def crowd(size: int) -> tuple[dict[NodeId, bytes], tuple[KeyAdvert, ...]]:
    names = [NodeId(f"m{i:02}") for i in range(size)]
    keys = [PrivateKey(bytes([i, 1]) * 16).public for i in range(2 * size)]
    adverts = tuple(
        signed_advert(CONTEXT, name, identity_of(name), (keys[2 * i], keys[2 * i + 1]), bytes(32))
        for i, name in enumerate(names)
    )
    return {name: identity_of(name).public for name in names}, adverts


def test_a_cohort_above_the_maximum_is_refused_before_anything_is_verified() -> None:
    parameters = SecAggParameters(CONTEXT, 1, 3, 1)
    roster, adverts = crowd(3)
    adverts = (*adverts, *([adverts[-1]] * (MAX_CLIENTS - 3)))
    with pytest.raises(ProtocolViolation) as refusal:
        check_adverts(parameters, roster, adverts[0], adverts)
    assert refusal.value.rule != Rule.COHORT_TOO_LARGE
    adverts = (*adverts, adverts[-1])
    with pytest.raises(ProtocolViolation) as refusal:
        check_adverts(parameters, roster, adverts[0], adverts)
    assert refusal.value.rule == Rule.COHORT_TOO_LARGE


@pytest.mark.parametrize(("n_min", "max_colluding", "fewest"), [(3, 1, 5), (7, 1, 7), (5, 3, 6)])
def test_the_larger_of_minimum_and_threshold_counts_in_every_phase(
    n_min: int, max_colluding: int, fewest: int
) -> None:
    _, adverts = crowd(8)
    cohort = form_cohort(SecAggParameters(CONTEXT, 1, n_min, max_colluding), adverts)
    names = list(cohort.adverts)
    check_sources(cohort, names[0], names[1:fewest])
    check_survivors(cohort, names[0], names, names[:fewest])
    with pytest.raises(ProtocolViolation) as refusal:
        check_sources(cohort, names[0], names[1 : fewest - 1])
    assert refusal.value.rule == Rule.COHORT_TOO_SMALL
    with pytest.raises(ProtocolViolation) as refusal:
        check_survivors(cohort, names[0], names, names[: fewest - 1])
    assert refusal.value.rule == Rule.TOO_FEW_SURVIVORS


def test_a_shrunken_cohort_is_refused(play: Rehearsal) -> None:
    fewer = AdvertList(adverts_told(play)[:2])
    assert_client_refuses(play, Phase.ADVERTISE_KEYS, fewer, Rule.COHORT_TOO_SMALL)
    assert_client_refuses(play, Phase.ADVERTISE_KEYS, AdvertList(()), Rule.COHORT_TOO_SMALL)


def test_unsorted_or_repeated_adverts_are_refused(play: Rehearsal) -> None:
    adverts = adverts_told(play)
    for wrong in (adverts[::-1], (adverts[0], *adverts), (*adverts, adverts[-1])):
        assert_client_refuses(play, Phase.ADVERTISE_KEYS, AdvertList(wrong), Rule.ADVERTS_UNSORTED)


def test_a_cohort_without_the_own_unchanged_advert_is_refused(play: Rehearsal) -> None:
    adverts = adverts_told(play)
    without_me = AdvertList(tuple(advert for advert in adverts if advert.client != ME))
    assert_client_refuses(play, Phase.ADVERTISE_KEYS, without_me, Rule.OWN_ADVERT_CHANGED)
    mine = next(advert for advert in adverts if advert.client == ME)
    for changed in (
        replace(mine, mask_public=b"\x09" + bytes(31)),
        replace(mine, signature=bytes(64)),
        # Even one that the client itself once signed, in another session.
        advert_by(ME, b"\x09" + bytes(31), b"\x0a" + bytes(31)),
    ):
        assert_client_refuses(play, Phase.ADVERTISE_KEYS, replaced(adverts, changed), Rule.OWN_ADVERT_CHANGED)


def test_a_forged_replaced_or_replayed_advert_is_refused(play: Rehearsal) -> None:
    adverts = adverts_told(play)
    theirs = adverts[0]
    fresh_key = b"\x09" + bytes(31)
    elsewhere = rehearse(5, context=b"\xc1" * 32).said[Phase.ADVERTISE_KEYS][theirs.client]
    assert isinstance(elsewhere, KeyAdvert)
    signed_by_another = signed_advert(
        CONTEXT, theirs.client, identity_of(NodeId("cz")), (fresh_key, theirs.mask_public), b"\5" * 32
    )
    for forged in (
        replace(theirs, channel_public=fresh_key),
        replace(theirs, mask_public=fresh_key),
        replace(theirs, seed_commitment=bytes(32)),
        replace(theirs, signature=bytes(64)),
        signed_by_another,
        elsewhere,
    ):
        assert_client_refuses(play, Phase.ADVERTISE_KEYS, replaced(adverts, forged), Rule.BAD_ADVERT)


def test_a_sybil_is_refused(play: Rehearsal) -> None:
    sybil = advert_by(NodeId("zz"), b"\x09" + bytes(31), b"\x0a" + bytes(31))
    told = AdvertList((*adverts_told(play), sybil))
    assert_client_refuses(play, Phase.ADVERTISE_KEYS, told, Rule.NOT_IN_ROSTER)


def test_equal_or_unusable_keys_are_refused_and_the_client_named(play: Rehearsal) -> None:
    adverts = adverts_told(play)
    at, cz = adverts[0], adverts[2]
    copied = advert_by(at.client, at.channel_public, cz.mask_public)
    assert_client_refuses(play, Phase.ADVERTISE_KEYS, replaced(adverts, copied), Rule.KEY_REUSED)
    twice = advert_by(at.client, at.channel_public, at.channel_public)
    assert_client_refuses(play, Phase.ADVERTISE_KEYS, replaced(adverts, twice), Rule.KEY_REUSED)
    for channel, mask in ((at.channel_public, LOW_ORDER), (LOW_ORDER, at.mask_public)):
        weak = replaced(adverts, advert_by(at.client, channel, mask))
        assert_client_refuses(play, Phase.ADVERTISE_KEYS, weak, Rule.UNUSABLE_KEY, peer=at.client)


def test_shares_from_outside_the_cohort_are_refused(play: Rehearsal) -> None:
    shares = dict(told_in(play, Phase.SHARE_KEYS, ShareDelivery).shares)
    for stranger in (NodeId("it"), ME):
        told = ShareDelivery({**shares, stranger: next(iter(shares.values()))})
        assert_client_refuses(play, Phase.SHARE_KEYS, told, Rule.UNKNOWN_SOURCE)


def test_shares_from_too_few_are_refused(play: Rehearsal) -> None:
    # Four of five is the threshold, this client included.
    shares = dict(told_in(play, Phase.SHARE_KEYS, ShareDelivery).shares)
    assert play.clients[Phase.SHARE_KEYS][ME].receive(ShareDelivery(dict(list(shares.items())[:3]))).outbox
    fewer = ShareDelivery(dict(list(shares.items())[:2]))
    assert_client_refuses(play, Phase.SHARE_KEYS, fewer, Rule.COHORT_TOO_SMALL)


def test_a_survivor_list_that_is_ambiguous_or_leaves_the_client_out_is_refused(play: Rehearsal) -> None:
    survivors = survivors_told(play)
    phase = Phase.MASKED_INPUT
    for wrong in (survivors[::-1], (survivors[0], *survivors), (*survivors, survivors[-1])):
        assert_client_refuses(play, phase, SurvivorList(wrong), Rule.SURVIVORS_UNSORTED)
    others = tuple(client for client in survivors if client != ME)
    assert_client_refuses(play, phase, SurvivorList(others), Rule.NOT_A_SURVIVOR)
    assert_client_refuses(play, phase, SurvivorList((*survivors, NodeId("it"))), Rule.UNKNOWN_SURVIVOR)
    assert_client_refuses(play, phase, SurvivorList(survivors[:3]), Rule.TOO_FEW_SURVIVORS)
    assert_client_refuses(play, phase, SurvivorList((ME,)), Rule.TOO_FEW_SURVIVORS)


def test_a_client_that_shared_no_keys_cannot_survive() -> None:
    late = NodeId("fr")
    play = rehearse(6, leaves=lambda client, phase: client == late and phase is Phase.SHARE_KEYS)
    assert_client_refuses(play, Phase.MASKED_INPUT, SurvivorList(NAMES[:6]), Rule.UNKNOWN_SURVIVOR)


def test_the_own_minimum_is_enforced_whatever_the_server_says(play: Rehearsal) -> None:
    stricter = rehearse(5, n_min=5)
    four = SurvivorList(survivors_told(stricter)[:4])
    assert_client_refuses(stricter, Phase.MASKED_INPUT, four, Rule.TOO_FEW_SURVIVORS)
    assert play.clients[Phase.MASKED_INPUT][ME].receive(four).outbox


def test_a_proof_without_a_quorum_is_refused(play: Rehearsal) -> None:
    signatures = proof_told(play)
    phase = Phase.CONSISTENCY
    assert play.clients[phase][ME].receive(ConsistencyProof(signatures[:4])).outbox
    for too_few in ((), signatures[:3]):
        assert_client_refuses(play, phase, ConsistencyProof(too_few), Rule.PROOF_TOO_SMALL)
    padded = ConsistencyProof((*signatures[:3], signatures[2]))
    assert_client_refuses(play, phase, padded, Rule.PROOF_UNSORTED)


def test_a_proof_with_a_wrong_signature_is_refused(play: Rehearsal) -> None:
    signatures = proof_told(play)
    phase = Phase.CONSISTENCY
    session = play.session
    other_list = identity_of(NodeId("es")).sign(survivors_statement(session, NAMES[:4]))
    for wrong in (bytes(64), signatures[0].signature, other_list):
        forged = ConsistencyProof((*signatures[:4], ConsistencySignature(NodeId("es"), wrong)))
        assert_client_refuses(play, phase, forged, Rule.BAD_SURVIVORS_SIGNATURE)
    outsider = NodeId("it")
    statement = survivors_statement(session, NAMES[:5])
    signed = ConsistencySignature(outsider, identity_of(outsider).sign(statement))
    assert_client_refuses(play, phase, ConsistencyProof((*signatures[:4], signed)), Rule.UNKNOWN_SIGNER)


def test_a_proof_of_another_session_is_refused(play: Rehearsal) -> None:
    other = rehearse(5, participants=make_participants(5, entropy=b"fresh"))
    assert_client_refuses(
        play, Phase.CONSISTENCY, other.told[Phase.CONSISTENCY][ME], Rule.BAD_SURVIVORS_SIGNATURE
    )


def is_proved(
    play: Rehearsal, survivors: tuple[NodeId, ...], group: tuple[NodeId, ...], liar: NodeId
) -> bool:
    """Return whether the server can make `group` reveal over `survivors`; `liar` signs anything."""
    clients = play.clients[Phase.MASKED_INPUT]
    session = play.session
    by_liar = identity_of(liar).sign(survivors_statement(session, survivors))
    signed: dict[NodeId, Any] = {liar: ConsistencySignature(liar, by_liar)}
    waiting: list[RunningClient] = []
    for client in group:
        signing = clients[client].receive(SurvivorList(survivors))
        signed[client] = signing.outbox[0]
        assert isinstance(signing.state, AwaitingProof)
        waiting.append(signing.state)
    proof = ConsistencyProof(tuple(signed[client] for client in sorted(signed)))
    try:
        return all(state.receive(proof).outbox for state in waiting)
    except ProtocolViolation as violation:
        if violation.rule != Rule.PROOF_TOO_SMALL:
            raise
        return False


@pytest.mark.parametrize("num_clients", [5, 6, 7])
def test_no_split_view_of_the_survivors_can_be_proved(num_clients: int) -> None:
    play = rehearse(num_clients)
    everybody = NAMES[:num_clients]
    liar, last = everybody[0], everybody[-1]
    honest = everybody[1:-1]
    outcomes = set()
    for size in range(1, len(honest)):
        for without_last in combinations(honest, size):
            with_last = (*(client for client in honest if client not in without_last), last)
            outcomes.add(
                (
                    is_proved(play, everybody, with_last, liar),
                    is_proved(play, everybody[:-1], without_last, liar),
                )
            )
    assert (True, True) not in outcomes
    # The experiment would notice: a large enough group is convinced of its own list.
    assert (True, False) in outcomes


def sparse_cohort(play: Rehearsal) -> Cohort:
    state = play.clients[Phase.MASKED_INPUT][SOMEBODY]
    assert isinstance(state, AwaitingSurvivors)
    return state.cohort


def refused_by_somebody(play: Rehearsal, phase: Phase, message: ServerMessage) -> str:
    state = play.clients[phase][SOMEBODY]
    assert state.receive(play.told[phase][SOMEBODY]).outbox
    with pytest.raises(ProtocolViolation) as refusal:
        state.receive(message)
    assert refusal.value.peer == COORDINATOR
    return refusal.value.rule


def test_in_a_sparse_graph_shares_come_from_enough_neighbours_and_nobody_else(sparse_play: Rehearsal) -> None:
    phase = Phase.SHARE_KEYS
    graph = sparse_cohort(sparse_play).graph
    told = sparse_play.told[phase][SOMEBODY]
    assert isinstance(told, ShareDelivery)
    stranger = next(it for it in graph.ring if it not in (SOMEBODY, *graph.neighbours(SOMEBODY)))
    strange = ShareDelivery({**told.shares, stranger: next(iter(told.shares.values()))})
    assert refused_by_somebody(sparse_play, phase, strange) == Rule.UNKNOWN_SOURCE
    few = ShareDelivery(dict(list(told.shares.items())[: graph.threshold - 1]))
    assert refused_by_somebody(sparse_play, phase, few) == Rule.COHORT_TOO_SMALL


def test_in_a_sparse_graph_survivors_must_not_come_apart(sparse_play: Rehearsal) -> None:
    phase = Phase.MASKED_INPUT
    cohort = sparse_cohort(sparse_play)
    graph, told = cohort.graph, sparse_play.told[phase][SOMEBODY]
    assert isinstance(told, SurvivorList)
    assert graph.degree is not None
    # The server calls everybody dropped in two windows, and could so open the sum of those between.
    far = graph.places[SOMEBODY] + 20
    window = graph.degree.num_neighbours // 2
    cut = {graph.ring[(far + step) % len(graph.ring)] for step in range(window)}
    parted = tuple(client for client in told.survivors if client not in cut)
    assert len(parted) >= cohort.fewest_survivors
    assert refused_by_somebody(sparse_play, phase, SurvivorList(parted)) == Rule.SURVIVORS_APART
    few = told.survivors[:5]
    assert SOMEBODY in few
    assert refused_by_somebody(sparse_play, phase, SurvivorList(few)) == Rule.TOO_FEW_SURVIVORS
    invented = SurvivorList((*told.survivors, NodeId("zz")))
    assert refused_by_somebody(sparse_play, phase, invented) == Rule.UNKNOWN_SURVIVOR


def test_in_a_sparse_graph_a_survivor_that_made_no_mask_with_me_is_refused(sparse_play: Rehearsal) -> None:
    phase = Phase.SHARE_KEYS
    told, later = sparse_play.told[phase][SOMEBODY], sparse_play.told[Phase.MASKED_INPUT][SOMEBODY]
    assert isinstance(told, ShareDelivery)
    withheld, *rest = told.shares
    state = sparse_play.clients[phase][SOMEBODY]
    masked = state.receive(ShareDelivery({peer: told.shares[peer] for peer in rest})).state
    assert isinstance(masked, AwaitingSurvivors)
    assert isinstance(later, SurvivorList)
    assert withheld in later.survivors
    with pytest.raises(ProtocolViolation) as refusal:
        masked.receive(later)
    assert refusal.value.rule == Rule.UNKNOWN_SURVIVOR


def test_in_a_sparse_graph_the_proof_still_takes_a_quorum_of_the_whole_cohort(sparse_play: Rehearsal) -> None:
    phase = Phase.CONSISTENCY
    proof = sparse_play.told[phase][SOMEBODY]
    assert isinstance(proof, ConsistencyProof)
    quorum = sparse_cohort(sparse_play).threshold
    assert quorum == (70 + 2) // 2 + 1
    few = ConsistencyProof(proof.signatures[: quorum - 1])
    assert refused_by_somebody(sparse_play, phase, few) == Rule.PROOF_TOO_SMALL
