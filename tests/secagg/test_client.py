from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from fecosr.crypto.signatures import verify
from fecosr.errors import MisuseError, ProtocolViolation
from fecosr.ids import COORDINATOR, NodeId
from fecosr.secagg.client import (
    AwaitingProof,
    Revealed,
    RunningClient,
    SharesRevealed,
    SurvivorsSigned,
    Withdrawn,
    begin,
)
from fecosr.secagg.messages import (
    AdvertList,
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
from fecosr.secagg.rules import Rule
from fecosr.secagg.secrets import derive_secrets
from fecosr.secagg.shares import SharePair
from fecosr.secagg.statements import masked_input_statement, signed_advert, survivors_statement, vector_digest
from tests.reference.masks import masked_elements
from tests.reference.object_graph import reachable
from tests.reference.rehearsal import (
    CONTEXT,
    ME,
    NAMES,
    Rehearsal,
    identity_of,
    make_participants,
    rehearse,
    vector_of,
)

LOW_ORDER = b"\1" + bytes(31)


def adverts_told(play: Rehearsal) -> tuple[KeyAdvert, ...]:
    message = play.told[Phase.ADVERTISE_KEYS][ME]
    assert isinstance(message, AdvertList)
    return message.adverts


def shares_told(play: Rehearsal) -> dict[NodeId, bytes]:
    message = play.told[Phase.SHARE_KEYS][ME]
    assert isinstance(message, ShareDelivery)
    return dict(message.ciphertexts)


def survivors_told(play: Rehearsal) -> tuple[NodeId, ...]:
    message = play.told[Phase.MASKED_INPUT][ME]
    assert isinstance(message, SurvivorList)
    return message.survivors


def proof_told(play: Rehearsal) -> tuple[ConsistencySignature, ...]:
    message = play.told[Phase.CONSISTENCY][ME]
    assert isinstance(message, ConsistencyProof)
    return message.signatures


def assert_refused(
    play: Rehearsal, phase: Phase, message: ServerMessage, rule: Rule, peer: NodeId = COORDINATOR
) -> None:
    """Check that the client names the rule, and that the honest message still works afterwards."""
    state = play.clients[phase][ME]
    with pytest.raises(ProtocolViolation) as refusal:
        state.receive(message)
    assert (refusal.value.rule, refusal.value.peer, refusal.value.phase) == (rule, peer, phase)
    assert state.receive(play.told[phase][ME]).outbox


def replaced(adverts: Sequence[KeyAdvert], advert: KeyAdvert) -> AdvertList:
    return AdvertList(tuple(advert if it.client == advert.client else it for it in adverts))


def advert_by(client: NodeId, channel: bytes, mask: bytes, context: bytes = CONTEXT) -> KeyAdvert:
    return signed_advert(context, client, identity_of(client), (channel, mask), b"\5" * 32)


# What an honest client says.


def test_the_vector_is_masked_for_exactly_those_whose_shares_came(play: Rehearsal) -> None:
    someone = next(person for person in play.participants if person.client == ME)
    secrets = derive_secrets(someone.entropy, CONTEXT, ME)
    state = play.clients[Phase.SHARE_KEYS][ME]
    shares = shares_told(play)
    del shares[NodeId("at")]
    (said,) = state.receive(ShareDelivery(shares)).outbox
    assert isinstance(said, MaskedInput)
    publics = {advert.client: advert.mask_public for advert in adverts_told(play)}
    peers = {peer: publics[peer] for peer in shares}
    session = play.session
    expected = masked_elements(
        someone.vector.tolist(), (secrets.seed, secrets.mask_key.secret), peers, session, ME
    )
    assert said.vector.tolist() == expected
    statement = masked_input_statement(session, ME, vector_digest(said.vector))
    verify(identity_of(ME).public, said.signature, statement)


def test_shares_go_to_everybody_else_and_own_ones_stay(play: Rehearsal) -> None:
    said = play.said[Phase.SHARE_KEYS][ME]
    assert isinstance(said, EncryptedShares)
    assert set(said.ciphertexts) == set(NAMES[:5]) - {ME}


def test_seed_shares_of_survivors_and_key_shares_of_dropouts_are_revealed(
    play_with_dropout: Rehearsal,
) -> None:
    said = play_with_dropout.said[Phase.UNMASK][ME]
    assert isinstance(said, UnmaskShares)
    assert set(said.seed_shares) == {"at", "be", "de", "es", "fr"}
    assert set(said.mask_key_shares) == {"cz"}


def test_signing_and_revealing_are_recorded_before_anything_is_sent(play: Rehearsal) -> None:
    survivors = NAMES[:5]
    signing = play.clients[Phase.MASKED_INPUT][ME].receive(play.told[Phase.MASKED_INPUT][ME])
    revealing = play.clients[Phase.CONSISTENCY][ME].receive(play.told[Phase.CONSISTENCY][ME])
    assert isinstance(signing.state, AwaitingProof)
    session = signing.state.cohort.session
    assert signing.records == (SurvivorsSigned(session, survivors),)
    assert revealing.records == (SharesRevealed(session, survivors),)
    assert revealing.state == Revealed(session, survivors)


def test_nothing_is_said_after_the_end() -> None:
    for terminal in (Revealed, Withdrawn):
        assert not hasattr(terminal, "receive")
        assert not hasattr(terminal, "withdraw")


@pytest.mark.parametrize("phase", list(Phase)[:-1])
def test_a_client_can_withdraw_from_every_state(play: Rehearsal, phase: Phase) -> None:
    left = play.clients[phase][ME].withdraw("not today")
    assert left.state == Withdrawn("not today")
    assert left.outbox == (Withdrawal("not today"),)
    assert not left.records


def test_the_same_entropy_says_the_same(play: Rehearsal) -> None:
    again = rehearse(5)
    assert again.said[Phase.ADVERTISE_KEYS] == play.said[Phase.ADVERTISE_KEYS]
    assert again.said[Phase.SHARE_KEYS] == play.said[Phase.SHARE_KEYS]


def test_keys_are_fresh_in_every_context(play: Rehearsal) -> None:
    other = rehearse(5, context=b"\xc1" * 32)
    one, two = play.said[Phase.ADVERTISE_KEYS][ME], other.said[Phase.ADVERTISE_KEYS][ME]
    assert isinstance(one, KeyAdvert)
    assert isinstance(two, KeyAdvert)
    assert one.channel_public != two.channel_public
    assert one.mask_public != two.mask_public
    assert one.seed_commitment != two.seed_commitment


# What a client keeps to itself.


def states_of(play: Rehearsal, client: NodeId) -> list[RunningClient]:
    return [play.clients[phase][client] for phase in list(Phase)[:-1]]


def test_no_state_ever_shows_a_secret(play: Rehearsal) -> None:
    someone = next(person for person in play.participants if person.client == ME)
    secrets = derive_secrets(someone.entropy, CONTEXT, ME)
    hidden = [
        someone.entropy,
        someone.identity.seed,
        secrets.seed,
        secrets.channel_key.secret,
        secrets.mask_key.secret,
        secrets.seed_sharing,
        secrets.mask_key_sharing,
    ]
    for state in states_of(play, ME):
        shown = repr(state)
        pairs = [item for item in reachable(state) if isinstance(item, SharePair)]
        shares = [share for pair in pairs for share in (pair.seed_share, pair.mask_key_share)]
        for secret in hidden + shares:
            assert secret.hex() not in shown
            assert repr(secret) not in shown
        assert str(int(someone.vector[0])) not in shown


def test_once_masked_the_vector_and_once_signed_the_other_shares_are_gone(
    play_with_dropout: Rehearsal,
) -> None:
    vector = vector_of(play_with_dropout.participants, ME)
    secrets = derive_secrets(b"be".ljust(32, b"!"), CONTEXT, ME)
    dealt = play_with_dropout.clients[Phase.SHARE_KEYS][ME]
    masked, signed = (play_with_dropout.clients[p][ME] for p in (Phase.MASKED_INPUT, Phase.CONSISTENCY))
    assert any(item is vector for item in reachable(dealt))
    for state in (masked, signed):
        assert not any(isinstance(item, np.ndarray) for item in reachable(state))
        assert not any(isinstance(item, bytes) and item == secrets.seed for item in reachable(state))
    assert any(isinstance(item, SharePair) for item in reachable(masked))
    assert not any(isinstance(item, SharePair) for item in reachable(signed))


# A lying server, phase by phase.


def test_a_shrunken_cohort_is_refused(play: Rehearsal) -> None:
    fewer = AdvertList(adverts_told(play)[:2])
    assert_refused(play, Phase.ADVERTISE_KEYS, fewer, Rule.COHORT_TOO_SMALL)
    assert_refused(play, Phase.ADVERTISE_KEYS, AdvertList(()), Rule.COHORT_TOO_SMALL)


def test_unsorted_or_repeated_adverts_are_refused(play: Rehearsal) -> None:
    adverts = adverts_told(play)
    for wrong in (adverts[::-1], (adverts[0], *adverts), (*adverts, adverts[-1])):
        assert_refused(play, Phase.ADVERTISE_KEYS, AdvertList(wrong), Rule.ADVERTS_UNSORTED)


def test_a_cohort_without_the_own_unchanged_advert_is_refused(play: Rehearsal) -> None:
    adverts = adverts_told(play)
    without_me = AdvertList(tuple(advert for advert in adverts if advert.client != ME))
    assert_refused(play, Phase.ADVERTISE_KEYS, without_me, Rule.OWN_ADVERT_CHANGED)
    mine = next(advert for advert in adverts if advert.client == ME)
    for changed in (
        replace(mine, mask_public=b"\x09" + bytes(31)),
        replace(mine, signature=bytes(64)),
        # Even one that the client itself once signed, in another session.
        advert_by(ME, b"\x09" + bytes(31), b"\x0a" + bytes(31)),
    ):
        assert_refused(play, Phase.ADVERTISE_KEYS, replaced(adverts, changed), Rule.OWN_ADVERT_CHANGED)


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
        assert_refused(play, Phase.ADVERTISE_KEYS, replaced(adverts, forged), Rule.BAD_ADVERT)


def test_a_sybil_is_refused(play: Rehearsal) -> None:
    sybil = advert_by(NodeId("zz"), b"\x09" + bytes(31), b"\x0a" + bytes(31))
    told = AdvertList((*adverts_told(play), sybil))
    assert_refused(play, Phase.ADVERTISE_KEYS, told, Rule.NOT_IN_ROSTER)


def test_equal_or_unusable_keys_are_refused_and_the_client_named(play: Rehearsal) -> None:
    adverts = adverts_told(play)
    at, cz = adverts[0], adverts[2]
    copied = advert_by(at.client, at.channel_public, cz.mask_public)
    assert_refused(play, Phase.ADVERTISE_KEYS, replaced(adverts, copied), Rule.KEY_REUSED)
    twice = advert_by(at.client, at.channel_public, at.channel_public)
    assert_refused(play, Phase.ADVERTISE_KEYS, replaced(adverts, twice), Rule.KEY_REUSED)
    weak = advert_by(at.client, at.channel_public, LOW_ORDER)
    assert_refused(play, Phase.ADVERTISE_KEYS, replaced(adverts, weak), Rule.UNUSABLE_KEY, peer=at.client)


def test_shares_from_outside_the_cohort_are_refused(play: Rehearsal) -> None:
    shares = shares_told(play)
    for stranger in (NodeId("it"), ME):
        told = ShareDelivery({**shares, stranger: bytes(82)})
        assert_refused(play, Phase.SHARE_KEYS, told, Rule.UNKNOWN_SOURCE)


def test_shares_from_too_few_are_refused(play: Rehearsal) -> None:
    # Four of five is the threshold, this client included.
    shares = shares_told(play)
    assert play.clients[Phase.SHARE_KEYS][ME].receive(ShareDelivery(dict(list(shares.items())[:3]))).outbox
    fewer = ShareDelivery(dict(list(shares.items())[:2]))
    assert_refused(play, Phase.SHARE_KEYS, fewer, Rule.COHORT_TOO_SMALL)


def test_a_sealed_share_that_does_not_open_names_its_source(play: Rehearsal) -> None:
    shares = shares_told(play)
    at, cz = NodeId("at"), NodeId("cz")
    flipped = bytes([shares[cz][0] ^ 1]) + shares[cz][1:]
    assert_refused(
        play, Phase.SHARE_KEYS, ShareDelivery({**shares, cz: flipped}), Rule.UNREADABLE_SHARE, peer=cz
    )
    swapped = ShareDelivery({**shares, at: shares[cz], cz: shares[at]})
    assert_refused(play, Phase.SHARE_KEYS, swapped, Rule.UNREADABLE_SHARE, peer=at)


def test_shares_replayed_from_another_session_do_not_open(play: Rehearsal) -> None:
    # The same clients with the same entropy, so the same keys, but one client fewer: another session.
    other = rehearse(4)
    replayed = other.told[Phase.SHARE_KEYS][ME]
    assert isinstance(replayed, ShareDelivery)
    assert_refused(
        play,
        Phase.SHARE_KEYS,
        ShareDelivery({**shares_told(play), **replayed.ciphertexts}),
        Rule.UNREADABLE_SHARE,
        peer=NodeId("at"),
    )


def test_a_survivor_list_that_is_ambiguous_or_leaves_the_client_out_is_refused(play: Rehearsal) -> None:
    survivors = survivors_told(play)
    phase = Phase.MASKED_INPUT
    for wrong in (survivors[::-1], (survivors[0], *survivors), (*survivors, survivors[-1])):
        assert_refused(play, phase, SurvivorList(wrong), Rule.SURVIVORS_UNSORTED)
    others = tuple(client for client in survivors if client != ME)
    assert_refused(play, phase, SurvivorList(others), Rule.NOT_A_SURVIVOR)
    assert_refused(play, phase, SurvivorList((*survivors, NodeId("it"))), Rule.UNKNOWN_SURVIVOR)
    assert_refused(play, phase, SurvivorList(survivors[:3]), Rule.TOO_FEW_SURVIVORS)
    assert_refused(play, phase, SurvivorList((ME,)), Rule.TOO_FEW_SURVIVORS)


def test_a_client_that_shared_no_keys_cannot_survive() -> None:
    late = NodeId("fr")
    play = rehearse(6, leaves=lambda client, phase: client == late and phase is Phase.SHARE_KEYS)
    assert_refused(play, Phase.MASKED_INPUT, SurvivorList(NAMES[:6]), Rule.UNKNOWN_SURVIVOR)


def test_the_own_minimum_is_enforced_whatever_the_server_says(play: Rehearsal) -> None:
    stricter = rehearse(5, n_min=5)
    four = SurvivorList(survivors_told(stricter)[:4])
    assert_refused(stricter, Phase.MASKED_INPUT, four, Rule.TOO_FEW_SURVIVORS)
    assert play.clients[Phase.MASKED_INPUT][ME].receive(four).outbox


def test_a_second_survivor_list_is_never_signed(play: Rehearsal) -> None:
    other = SurvivorList(survivors_told(play)[:4])
    assert_refused(play, Phase.CONSISTENCY, other, Rule.EQUIVOCATION)
    assert_refused(play, Phase.CONSISTENCY, SurvivorList(survivors_told(play)), Rule.LATE)


def test_a_proof_without_a_quorum_is_refused(play: Rehearsal) -> None:
    signatures = proof_told(play)
    phase = Phase.CONSISTENCY
    assert play.clients[phase][ME].receive(ConsistencyProof(signatures[:4])).outbox
    for too_few in ((), signatures[:3]):
        assert_refused(play, phase, ConsistencyProof(too_few), Rule.PROOF_TOO_SMALL)
    padded = ConsistencyProof((*signatures[:3], signatures[2]))
    assert_refused(play, phase, padded, Rule.PROOF_UNSORTED)


def test_a_proof_with_a_wrong_signature_is_refused(play: Rehearsal) -> None:
    signatures = proof_told(play)
    phase = Phase.CONSISTENCY
    session = play.session
    other_list = identity_of(NodeId("es")).sign(survivors_statement(session, NAMES[:4]))
    for wrong in (bytes(64), signatures[0].signature, other_list):
        forged = ConsistencyProof((*signatures[:4], ConsistencySignature(NodeId("es"), wrong)))
        assert_refused(play, phase, forged, Rule.BAD_SURVIVORS_SIGNATURE)
    outsider = NodeId("it")
    statement = survivors_statement(session, NAMES[:5])
    signed = ConsistencySignature(outsider, identity_of(outsider).sign(statement))
    assert_refused(play, phase, ConsistencyProof((*signatures[:4], signed)), Rule.UNKNOWN_SIGNER)


def test_a_proof_of_another_session_is_refused(play: Rehearsal) -> None:
    other = rehearse(5, participants=make_participants(5, entropy=b"fresh"))
    assert_refused(play, Phase.CONSISTENCY, other.told[Phase.CONSISTENCY][ME], Rule.BAD_SURVIVORS_SIGNATURE)


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


@pytest.mark.parametrize("phase", list(Phase)[:-1])
def test_messages_of_other_phases_are_refused_by_name(play: Rehearsal, phase: Phase) -> None:
    order = list(Phase)
    for other in order[:-1]:
        if other is not phase:
            late = order.index(other) < order.index(phase)
            assert_refused(play, phase, play.told[other][ME], Rule.LATE if late else Rule.EARLY)


# Misuse by our own caller.


def test_misuse_is_refused(play: Rehearsal) -> None:
    someone = play.participants[1]
    wrong_vectors: list[Any] = [
        someone.vector[:-1],
        someone.vector.astype(np.int64),
        someone.vector.reshape(2, 3),
    ]
    for vector in wrong_vectors:
        with pytest.raises(MisuseError):
            begin(play.parameters, ME, someone.identity, play.roster, vector, bytes(32))
    with pytest.raises(MisuseError):
        begin(play.parameters, ME, someone.identity, play.roster, someone.vector, bytes(16))
    with pytest.raises(MisuseError):
        begin(play.parameters, ME, identity_of(NodeId("at")), play.roster, someone.vector, bytes(32))
    with pytest.raises(MisuseError):
        begin(play.parameters, NodeId("zz"), someone.identity, play.roster, someone.vector, bytes(32))
