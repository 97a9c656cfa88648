from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fecosr.errors import MisuseError, ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.messages import (
    AdvertList,
    ClientMessage,
    ConsistencySignature,
    EncryptedShares,
    HashedInput,
    KeyAdvert,
    MaskedInput,
    Phase,
    ShareDelivery,
    SurvivorList,
    UnmaskShares,
)
from fecosr.secagg.parameters import MAX_CLIENTS, SecAggParameters
from fecosr.secagg.rules import Rule
from fecosr.secagg.server import (
    Aborted,
    CohortFixed,
    CollectingSignatures,
    Completed,
    DropoutReason,
    RunningState,
    SurvivorsFixed,
    UnmaskingBegun,
    open_session,
)
from fecosr.secagg.statements import masked_input_statement, signed_advert, vector_digest
from tests.reference.object_graph import reachable
from tests.reference.rehearsal import (
    CONTEXT,
    ME,
    NAMES,
    PHASE_SECONDS,
    Rehearsal,
    assert_server_refuses,
    fresh,
    identity_of,
    plain_sum,
    rehearse,
)

AT = NodeId("at")


def assert_second_is_equivocation(play: Rehearsal, phase: Phase, other: ClientMessage) -> None:
    state = fresh(play.servers[phase])
    said = play.said[phase][ME]
    once = state.receive(ME, said, 0.0).state
    assert isinstance(once, RunningState)
    again = once.receive(ME, said, 0.0)
    assert isinstance(again.state, RunningState)
    assert again.state.waiting_for == once.waiting_for
    assert not again.outbox
    assert not again.records
    with pytest.raises(ProtocolViolation) as refusal:
        once.receive(ME, other, 0.0)
    assert refusal.value.rule == Rule.EQUIVOCATION


def advert_by(client: NodeId, channel: bytes, mask: bytes, commitment: bytes = bytes(32)) -> KeyAdvert:
    return signed_advert(CONTEXT, client, identity_of(client), (channel, mask), commitment)


KEYS = (b"\x09" + bytes(31), b"\x0a" + bytes(31))


# The story, and what is recorded of it.


def test_the_sum_is_exactly_that_of_the_survivors(play: Rehearsal, play_with_dropout: Rehearsal) -> None:
    for it in (play, play_with_dropout):
        assert isinstance(it.outcome, Completed)
        assert it.outcome.total.tolist() == plain_sum(it.participants, it.outcome.survivors)


def test_the_end_tells_who_is_in_the_sum_and_who_is_not(play_with_dropout: Rehearsal) -> None:
    outcome = play_with_dropout.outcome
    assert isinstance(outcome, Completed)
    assert outcome.survivors == ("at", "be", "de", "es", "fr")
    assert outcome.dropouts == {"cz": DropoutReason.DISCONNECTED}
    assert outcome.departed == {}
    assert outcome.convictions == ()
    assert [advert.client for advert in outcome.adverts] == list(NAMES[:6])
    assert outcome.session == play_with_dropout.session
    assert [signed.client for signed in outcome.proof.signatures] == list(outcome.survivors)


def test_cohort_and_survivors_are_recorded_as_they_are_announced(play_with_dropout: Rehearsal) -> None:
    cohort, survivors, unmasking = play_with_dropout.server_records
    assert isinstance(cohort, CohortFixed)
    assert play_with_dropout.told[Phase.ADVERTISE_KEYS][ME] == AdvertList(cohort.adverts)
    assert isinstance(survivors, SurvivorsFixed)
    assert play_with_dropout.told[Phase.MASKED_INPUT][ME] == SurvivorList(survivors.survivors)
    assert survivors.dropouts == {"cz": DropoutReason.DISCONNECTED}
    assert survivors.session == cohort.session
    assert unmasking == UnmaskingBegun(cohort.session)


def test_records_leave_in_the_same_transition_as_what_they_announce(play: Rehearsal) -> None:
    announced = {
        Phase.ADVERTISE_KEYS: CohortFixed,
        Phase.MASKED_INPUT: SurvivorsFixed,
        Phase.CONSISTENCY: UnmaskingBegun,
    }
    for phase, record in announced.items():
        state: Any = fresh(play.servers[phase])
        for client, said in play.said[phase].items():
            step = state.receive(client, said, 0.0)
            state = step.state
            assert bool(step.outbox) == bool(step.records)
        assert isinstance(step.records[0], record)


def test_each_ciphertext_reaches_its_destination_and_no_other(play: Rehearsal) -> None:
    for destination, told in play.told[Phase.SHARE_KEYS].items():
        assert isinstance(told, ShareDelivery)
        assert set(told.shares) == set(NAMES[:5]) - {destination}
        for source, delivered in told.shares.items():
            said = play.said[Phase.SHARE_KEYS][source]
            assert isinstance(said, EncryptedShares)
            assert said.sealed[destination] == delivered.sealed


def test_no_state_holds_any_clients_vector(play: Rehearsal) -> None:
    vectors = [someone.vector for someone in play.participants]
    raw = {vector.tobytes() for vector in vectors}
    for phase in Phase:
        state: Any = fresh(play.servers[phase])
        for accepted, (client, said) in enumerate(play.said[phase].items(), start=1):
            state = state.receive(client, said, 0.0).state
            arrays = [item for item in reachable(state) if isinstance(item, np.ndarray)]
            # One running sum and nothing else; from the second input on it is nobody's masked vector either.
            assert len(arrays) <= 1
            for array in arrays:
                assert not any(np.array_equal(array, vector) for vector in vectors)
                if phase is Phase.MASKED_INPUT and accepted > 1:
                    handed_in = [it.vector for it in play.said[phase].values() if isinstance(it, MaskedInput)]
                    assert not any(np.array_equal(array, vector) for vector in handed_in)
            assert not any(isinstance(item, bytes) and item in raw for item in reachable(state))


# What a client may not send.


def test_whoever_is_not_expected_is_refused(play: Rehearsal) -> None:
    stranger = NodeId("it")
    said = advert_by(stranger, *KEYS)
    assert_server_refuses(play, Phase.ADVERTISE_KEYS, said, Rule.NOT_EXPECTED, sender=stranger)


def test_a_wrong_advert_is_refused(play: Rehearsal) -> None:
    phase = Phase.ADVERTISE_KEYS
    mine, theirs = play.said[phase][ME], play.said[phase][AT]
    assert isinstance(mine, KeyAdvert)
    assert isinstance(theirs, KeyAdvert)
    assert_server_refuses(play, phase, theirs, Rule.WRONG_NAME)
    assert_server_refuses(play, phase, replace(mine, signature=bytes(64)), Rule.BAD_ADVERT)
    assert_server_refuses(play, phase, replace(mine, mask_public=KEYS[0]), Rule.BAD_ADVERT)
    assert_server_refuses(play, phase, advert_by(ME, *KEYS, commitment=b""), Rule.BAD_ADVERT)
    elsewhere = signed_advert(bytes(32), ME, identity_of(ME), KEYS, bytes(32))
    assert_server_refuses(play, phase, elsewhere, Rule.BAD_ADVERT)
    assert_server_refuses(play, phase, advert_by(ME, KEYS[0], KEYS[0]), Rule.KEY_REUSED)
    assert_server_refuses(play, phase, advert_by(ME, KEYS[0], bytes(32)), Rule.UNUSABLE_KEY)
    assert_server_refuses(play, phase, advert_by(ME, KEYS[0], bytes(31)), Rule.UNUSABLE_KEY)
    state = play.servers[phase].receive(AT, theirs, 0.0).state
    assert isinstance(state, RunningState)
    with pytest.raises(ProtocolViolation) as refusal:
        state.receive(ME, advert_by(ME, KEYS[0], theirs.channel_public), 0.0)
    assert refusal.value.rule == Rule.KEY_REUSED


def test_wrong_shares_are_refused(play: Rehearsal) -> None:
    phase = Phase.SHARE_KEYS
    said = play.said[phase][ME]
    assert isinstance(said, EncryptedShares)
    fewer = dict(list(said.sealed.items())[1:])
    sealed = said.sealed[AT]
    for wrong in (fewer, {**said.sealed, NodeId("it"): sealed}, {**fewer, NodeId("it"): sealed}, {}):
        assert_server_refuses(play, phase, replace(said, sealed=wrong), Rule.WRONG_DESTINATIONS)
    for field, right in (
        ("ciphertext", 82),
        ("seed_share_commitment", 32),
        ("mask_key_share_commitment", 32),
    ):
        for size in (0, right - 1, right + 1, 10**5):
            cut = {**said.sealed, AT: replace(sealed, **{field: bytes(size)})}
            assert_server_refuses(play, phase, replace(said, sealed=cut), Rule.MALFORMED_SHARE)


def test_a_deal_that_its_dealer_did_not_sign_is_refused(play: Rehearsal) -> None:
    phase = Phase.SHARE_KEYS
    said, theirs = play.said[phase][ME], play.said[phase][AT]
    assert isinstance(said, EncryptedShares)
    assert isinstance(theirs, EncryptedShares)
    older = rehearse(4).said[phase][ME]
    assert isinstance(older, EncryptedShares)
    for signature in (b"", bytes(64), theirs.signature, older.signature):
        assert_server_refuses(play, phase, replace(said, signature=signature), Rule.BAD_DEAL)
    for field, size in (
        ("ciphertext", 82),
        ("seed_share_commitment", 32),
        ("mask_key_share_commitment", 32),
    ):
        changed = {**said.sealed, AT: replace(said.sealed[AT], **{field: bytes(size)})}
        assert_server_refuses(play, phase, replace(said, sealed=changed), Rule.BAD_DEAL)
    swapped = {**said.sealed, AT: said.sealed[ME], ME: said.sealed[AT]}
    assert_server_refuses(play, phase, replace(said, sealed=swapped), Rule.BAD_DEAL)


def test_a_wrong_vector_is_refused(play: Rehearsal) -> None:
    phase = Phase.MASKED_INPUT
    said, theirs = play.said[phase][ME], play.said[phase][AT]
    assert isinstance(said, MaskedInput)
    assert isinstance(theirs, MaskedInput)
    wrong_vectors: list[Any] = [said.vector[:-1], said.vector.astype(np.int64), said.vector[None]]
    for vector in wrong_vectors:
        assert_server_refuses(play, phase, MaskedInput(vector, said.signature), Rule.WRONG_VECTOR)
    changed = said.vector.copy()
    changed[0] += 1
    for forged in (MaskedInput(changed, said.signature), theirs, MaskedInput(said.vector, b"")):
        assert_server_refuses(play, phase, forged, Rule.BAD_INPUT_SIGNATURE)
    # What a client says its digest is counts for nothing.
    announced = MaskedInput(changed, said.signature, vector_digest(said.vector))
    assert_server_refuses(play, phase, announced, Rule.BAD_INPUT_SIGNATURE)
    hashed = HashedInput(said.vector, said.signature, vector_digest(changed))
    assert_server_refuses(play, phase, hashed, Rule.BAD_INPUT_SIGNATURE)
    replayed = identity_of(ME).sign(
        masked_input_statement(bytes(32), ME, vector_digest(said.vector), bytes(32))
    )
    assert_server_refuses(play, phase, MaskedInput(said.vector, replayed), Rule.BAD_INPUT_SIGNATURE)


@pytest.mark.parametrize("ring_bits", [24, 16])
def test_a_vector_of_another_ring_is_refused(play: Rehearsal, ring_bits: int) -> None:
    small = rehearse(4, ring_bits=ring_bits)
    phase = Phase.MASKED_INPUT
    said, wide = small.said[phase][ME], play.said[phase][ME]
    assert isinstance(said, MaskedInput)
    assert_server_refuses(play, phase, said, Rule.WRONG_VECTOR)
    assert_server_refuses(small, phase, wide, Rule.WRONG_VECTOR)
    changed = said.vector.copy()
    changed.reshape(-1)[0] += 1
    forged = MaskedInput(changed, said.signature)
    assert_server_refuses(small, phase, forged, Rule.BAD_INPUT_SIGNATURE)


def test_an_input_that_was_hashed_on_arrival_is_not_hashed_again(play: Rehearsal) -> None:
    phase = Phase.MASKED_INPUT
    said = {
        client: HashedInput(it.vector.copy(), it.signature, vector_digest(it.vector))
        for client, it in play.said[phase].items()
        if isinstance(it, MaskedInput)
    }
    after = play.collect(phase, said)
    assert isinstance(after, CollectingSignatures)
    assert after.survivors == tuple(sorted(said))


def test_the_first_vector_that_is_the_servers_becomes_the_sum_and_no_other(play: Rehearsal) -> None:
    phase = Phase.MASKED_INPUT
    (first, one), (second, other), *_ = play.said[phase].items()
    assert isinstance(one, MaskedInput)
    assert isinstance(other, MaskedInput)
    for own, kept in ((one.vector.copy(), True), (one.vector, False)):
        given = HashedInput(own, one.signature, vector_digest(own)) if kept else one
        state: Any = fresh(play.servers[phase]).receive(first, given, 0.0).state
        assert (state.total is own) is kept
        before = other.vector.copy()
        state = state.receive(second, other, 0.0).state
        assert np.array_equal(state.total, before + one.vector)
        assert np.array_equal(other.vector, before)
    read_only = one.vector.copy()
    read_only.flags.writeable = False
    given = HashedInput(read_only, one.signature, vector_digest(read_only))
    state = fresh(play.servers[phase]).receive(first, given, 0.0).state
    assert state.total is not read_only


@pytest.mark.parametrize("phase", list(Phase))
def test_messages_of_other_phases_are_refused_by_name(play: Rehearsal, phase: Phase) -> None:
    order = list(Phase)
    for other in order:
        if other is not phase:
            rule = Rule.LATE if order.index(other) < order.index(phase) else Rule.EARLY
            assert_server_refuses(play, phase, play.said[other][ME], rule)


def test_a_second_different_message_is_equivocation_and_a_repeated_one_is_ignored(
    play_with_dropout: Rehearsal,
) -> None:
    play = play_with_dropout
    session = play.session
    assert_second_is_equivocation(play, Phase.ADVERTISE_KEYS, advert_by(ME, *KEYS))
    shares, said = play.said[Phase.SHARE_KEYS][ME], play.said[Phase.MASKED_INPUT][ME]
    assert isinstance(shares, EncryptedShares)
    other_shares = replace(shares, signature=bytes(64))
    assert_second_is_equivocation(play, Phase.SHARE_KEYS, other_shares)
    assert isinstance(said, MaskedInput)
    vector = said.vector + np.uint32(1)
    signature = identity_of(ME).sign(masked_input_statement(session, ME, vector_digest(vector), bytes(32)))
    assert_second_is_equivocation(play, Phase.MASKED_INPUT, MaskedInput(vector, signature))
    assert_second_is_equivocation(play, Phase.CONSISTENCY, ConsistencySignature(ME, bytes(64)))
    revealed = play.said[Phase.UNMASK][ME]
    assert isinstance(revealed, UnmaskShares)
    other_reveal = replace(revealed, mask_key_shares={NodeId("cz"): bytes(33)})
    assert_second_is_equivocation(play, Phase.UNMASK, other_reveal)


def test_a_repeated_input_is_added_once(play: Rehearsal) -> None:
    phase = Phase.MASKED_INPUT
    said = list(play.said[phase].items())
    twice = play.collect(phase, dict(said))
    state: Any = fresh(play.servers[phase])
    for client, message in [said[0], said[0], *said[1:3], said[1], *said[3:]]:
        state = state.receive(client, message, 0.0).state
    assert np.array_equal(state.total, twice.total)  # type: ignore[union-attr]  # it is the next phase


def test_nothing_is_received_after_the_end() -> None:
    for terminal in (Completed, Aborted):
        assert not hasattr(terminal, "receive")
        assert not hasattr(terminal, "drop")
        assert not hasattr(terminal, "expire")


def test_opening_opens_with_a_deadline_and_says_nothing(play: Rehearsal) -> None:
    expected = frozenset(NAMES[:5])
    opened = open_session(play.parameters, play.roster, expected, PHASE_SECONDS, 100.0)
    assert opened.deadline == opened.state.deadline == 110.0
    assert opened.state.phase is Phase.ADVERTISE_KEYS
    assert opened.state.waiting_for == expected
    assert not opened.outbox
    assert not opened.records


def test_a_session_that_cannot_be_is_refused(play: Rehearsal) -> None:
    roster = {NodeId(f"m{i}"): bytes(32) for i in range(MAX_CLIENTS + 1)}
    parameters = SecAggParameters(CONTEXT, 1, 3, 1)
    names = list(roster)
    for expected in (names[:2], names, ["stranger", *names[:3]]):
        with pytest.raises(MisuseError):
            open_session(parameters, roster, frozenset(map(NodeId, expected)), PHASE_SECONDS, 0.0)
    limits = dict(PHASE_SECONDS)
    del limits[Phase.UNMASK]
    with pytest.raises(MisuseError):
        open_session(parameters, roster, frozenset(names[:4]), limits, 0.0)
