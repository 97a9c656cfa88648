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
    KeyAdvert,
    MaskedInput,
    Phase,
    ShareDelivery,
    SurvivorList,
    UnmaskShares,
)
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.rules import Rule
from fecosr.secagg.server import (
    Aborted,
    AbortReason,
    CohortFixed,
    Completed,
    DropoutReason,
    RunningState,
    SurvivorsFixed,
    open_session,
)
from fecosr.secagg.statements import masked_input_statement, signed_advert, survivors_statement, vector_digest
from tests.reference.object_graph import reachable
from tests.reference.rehearsal import (
    CONTEXT,
    NAMES,
    PHASE_SECONDS,
    Rehearsal,
    fresh,
    identity_of,
    plain_sum,
    rehearse,
)

ME, AT = NodeId("be"), NodeId("at")


def session_of(play: Rehearsal) -> bytes:
    return next(record.session for record in play.server_records if isinstance(record, CohortFixed))


def assert_refused(
    play: Rehearsal, phase: Phase, message: ClientMessage, rule: Rule, sender: NodeId = ME
) -> None:
    """Check that the server names the rule and who broke it, and that the honest session still works."""
    state = fresh(play.servers[phase])
    with pytest.raises(ProtocolViolation) as refusal:
        state.receive(sender, message, 0.0)
    assert (refusal.value.rule, refusal.value.peer, refusal.value.phase) == (rule, sender, phase)
    last: Any = state
    for client, said in play.said[phase].items():
        last = last.receive(client, said, 0.0).state
    assert isinstance(last, Completed) or last.phase is not phase


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
    assert outcome.bad_shares == ()
    assert outcome.culprits == ()
    assert [advert.client for advert in outcome.adverts] == list(NAMES[:6])
    assert outcome.session == session_of(play_with_dropout)
    assert [signed.client for signed in outcome.proof.signatures] == list(outcome.survivors)


def test_cohort_and_survivors_are_recorded_as_they_are_announced(play_with_dropout: Rehearsal) -> None:
    cohort, survivors = play_with_dropout.server_records
    assert isinstance(cohort, CohortFixed)
    assert play_with_dropout.told[Phase.ADVERTISE_KEYS][ME] == AdvertList(cohort.adverts)
    assert isinstance(survivors, SurvivorsFixed)
    assert play_with_dropout.told[Phase.MASKED_INPUT][ME] == SurvivorList(survivors.survivors)
    assert survivors.dropouts == {"cz": DropoutReason.DISCONNECTED}
    assert survivors.session == cohort.session


def test_records_leave_in_the_same_transition_as_what_they_announce(play: Rehearsal) -> None:
    for phase, record in ((Phase.ADVERTISE_KEYS, CohortFixed), (Phase.MASKED_INPUT, SurvivorsFixed)):
        state: Any = fresh(play.servers[phase])
        for client, said in play.said[phase].items():
            step = state.receive(client, said, 0.0)
            state = step.state
            assert bool(step.outbox) == bool(step.records)
        assert isinstance(step.records[0], record)


def test_each_ciphertext_reaches_its_destination_and_no_other(play: Rehearsal) -> None:
    for destination, told in play.told[Phase.SHARE_KEYS].items():
        assert isinstance(told, ShareDelivery)
        assert set(told.ciphertexts) == set(NAMES[:5]) - {destination}
        for source, sealed in told.ciphertexts.items():
            said = play.said[Phase.SHARE_KEYS][source]
            assert isinstance(said, EncryptedShares)
            assert said.ciphertexts[destination] == sealed


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
    assert_refused(play, Phase.ADVERTISE_KEYS, said, Rule.NOT_EXPECTED, sender=stranger)


def test_a_wrong_advert_is_refused(play: Rehearsal) -> None:
    phase = Phase.ADVERTISE_KEYS
    mine, theirs = play.said[phase][ME], play.said[phase][AT]
    assert isinstance(mine, KeyAdvert)
    assert isinstance(theirs, KeyAdvert)
    assert_refused(play, phase, theirs, Rule.WRONG_NAME)
    assert_refused(play, phase, replace(mine, signature=bytes(64)), Rule.BAD_ADVERT)
    assert_refused(play, phase, replace(mine, mask_public=KEYS[0]), Rule.BAD_ADVERT)
    assert_refused(play, phase, advert_by(ME, *KEYS, commitment=b""), Rule.BAD_ADVERT)
    elsewhere = signed_advert(bytes(32), ME, identity_of(ME), KEYS, bytes(32))
    assert_refused(play, phase, elsewhere, Rule.BAD_ADVERT)
    assert_refused(play, phase, advert_by(ME, KEYS[0], KEYS[0]), Rule.KEY_REUSED)
    assert_refused(play, phase, advert_by(ME, KEYS[0], bytes(32)), Rule.UNUSABLE_KEY)
    assert_refused(play, phase, advert_by(ME, KEYS[0], bytes(31)), Rule.UNUSABLE_KEY)
    state = play.servers[phase].receive(AT, theirs, 0.0).state
    assert isinstance(state, RunningState)
    with pytest.raises(ProtocolViolation) as refusal:
        state.receive(ME, advert_by(ME, KEYS[0], theirs.channel_public), 0.0)
    assert refusal.value.rule == Rule.KEY_REUSED


def test_wrong_shares_are_refused(play: Rehearsal) -> None:
    phase = Phase.SHARE_KEYS
    said = play.said[phase][ME]
    assert isinstance(said, EncryptedShares)
    fewer = dict(list(said.ciphertexts.items())[1:])
    for wrong in (fewer, {**said.ciphertexts, ME: bytes(82)}, {**fewer, NodeId("it"): bytes(82)}, {}):
        assert_refused(play, phase, EncryptedShares(wrong), Rule.WRONG_DESTINATIONS)
    for size in (0, 81, 83, 10**5):
        short = EncryptedShares({**said.ciphertexts, AT: bytes(size)})
        assert_refused(play, phase, short, Rule.MALFORMED_SHARE)


def test_a_wrong_vector_is_refused(play: Rehearsal) -> None:
    phase = Phase.MASKED_INPUT
    said, theirs = play.said[phase][ME], play.said[phase][AT]
    assert isinstance(said, MaskedInput)
    assert isinstance(theirs, MaskedInput)
    wrong_vectors: list[Any] = [said.vector[:-1], said.vector.astype(np.int64), said.vector[None]]
    for vector in wrong_vectors:
        assert_refused(play, phase, MaskedInput(vector, said.signature), Rule.WRONG_VECTOR)
    changed = said.vector.copy()
    changed[0] += 1
    for forged in (MaskedInput(changed, said.signature), theirs, MaskedInput(said.vector, b"")):
        assert_refused(play, phase, forged, Rule.BAD_INPUT_SIGNATURE)
    replayed = identity_of(ME).sign(masked_input_statement(bytes(32), ME, vector_digest(said.vector)))
    assert_refused(play, phase, MaskedInput(said.vector, replayed), Rule.BAD_INPUT_SIGNATURE)


@pytest.mark.parametrize("phase", list(Phase))
def test_messages_of_other_phases_are_refused_by_name(play: Rehearsal, phase: Phase) -> None:
    order = list(Phase)
    for other in order:
        if other is not phase:
            rule = Rule.LATE if order.index(other) < order.index(phase) else Rule.EARLY
            assert_refused(play, phase, play.said[other][ME], rule)


def test_a_second_different_message_is_equivocation_and_a_repeated_one_is_ignored(
    play_with_dropout: Rehearsal,
) -> None:
    play = play_with_dropout
    session = session_of(play)
    assert_second_is_equivocation(play, Phase.ADVERTISE_KEYS, advert_by(ME, *KEYS))
    shares, said = play.said[Phase.SHARE_KEYS][ME], play.said[Phase.MASKED_INPUT][ME]
    assert isinstance(shares, EncryptedShares)
    other_shares = EncryptedShares({client: bytes(82) for client in shares.ciphertexts})
    assert_second_is_equivocation(play, Phase.SHARE_KEYS, other_shares)
    assert isinstance(said, MaskedInput)
    vector = said.vector + np.uint32(1)
    signature = identity_of(ME).sign(masked_input_statement(session, ME, vector_digest(vector)))
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


# Consistency and unmasking.


def test_a_wrong_consistency_signature_is_refused(play: Rehearsal) -> None:
    phase = Phase.CONSISTENCY
    theirs = play.said[phase][AT]
    session = session_of(play)
    assert_refused(play, phase, theirs, Rule.WRONG_NAME)
    for statement in (
        survivors_statement(session, NAMES[:4]),
        survivors_statement(bytes(32), NAMES[:5]),
    ):
        wrong = ConsistencySignature(ME, identity_of(ME).sign(statement))
        assert_refused(play, phase, wrong, Rule.BAD_SURVIVORS_SIGNATURE)
    assert_refused(play, phase, ConsistencySignature(ME, b""), Rule.BAD_SURVIVORS_SIGNATURE)


def test_shares_of_the_wrong_clients_are_refused(play_with_dropout: Rehearsal) -> None:
    phase, cz = Phase.UNMASK, NodeId("cz")
    said = play_with_dropout.said[phase][ME]
    assert isinstance(said, UnmaskShares)
    share = bytes(33)
    both = replace(said, mask_key_shares={**said.mask_key_shares, AT: share})
    neither = replace(said, mask_key_shares={})
    dead_and_alive = replace(said, seed_shares={**said.seed_shares, cz: share})
    for wrong in (both, neither, dead_and_alive, UnmaskShares({}, {})):
        assert_refused(play_with_dropout, phase, wrong, Rule.WRONG_SHARES)
    for size in (0, 32, 34):
        malformed = replace(said, mask_key_shares={cz: bytes(size)})
        assert_refused(play_with_dropout, phase, malformed, Rule.MALFORMED_SHARE)


# Leaving, and time running out.


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("answered", [False, True])
def test_one_may_leave_in_every_phase_before_or_after_answering(phase: Phase, answered: bool) -> None:
    play = rehearse(5)
    state: Any = fresh(play.servers[phase])
    if answered:
        state = state.receive(ME, play.said[phase][ME], 0.0).state
    state = state.drop(ME, DropoutReason.DISCONNECTED, 0.0).state
    assert ME not in state.waiting_for
    with pytest.raises(ProtocolViolation) as refusal:
        state.receive(ME, play.said[phase][ME], 0.0)
    assert refusal.value.rule == Rule.LATE
    for client, said in play.said[phase].items():
        if client != ME:
            state = state.receive(client, said, 0.0).state
    if isinstance(state, Completed):
        assert state.departed == {ME: DropoutReason.DISCONNECTED}
    else:
        assert list(Phase).index(state.phase) == list(Phase).index(phase) + 1
        assert ME not in state.asked


def test_whoever_leaves_after_handing_in_stays_in_the_sum(play: Rehearsal) -> None:
    state: Any = fresh(play.servers[Phase.MASKED_INPUT])
    state = state.receive(ME, play.said[Phase.MASKED_INPUT][ME], 0.0).state
    state = state.drop(ME, DropoutReason.WITHDREW, 0.0).state
    others = {client: said for client, said in play.said[Phase.MASKED_INPUT].items() if client != ME}
    for client, said in others.items():
        step = state.receive(client, said, 0.0)
        state = step.state
    assert step.records == (SurvivorsFixed(session_of(play), NAMES[:5], {}),)
    assert {envelope.to for envelope in step.outbox} == set(NAMES[:5]) - {ME}
    for phase in (Phase.CONSISTENCY, Phase.UNMASK):
        for client in others:
            state = state.receive(client, play.said[phase][client], 0.0).state
    assert isinstance(state, Completed)
    assert state.survivors == NAMES[:5]
    assert state.departed == {ME: DropoutReason.WITHDREW}
    assert state.total.tolist() == plain_sum(play.participants, NAMES[:5])


@pytest.mark.parametrize(("phase", "reason"), list(zip(Phase, list(AbortReason)[:5], strict=True)), ids=str)
def test_too_few_in_any_phase_is_a_named_abort_at_once(
    play: Rehearsal, phase: Phase, reason: AbortReason
) -> None:
    state: Any = fresh(play.servers[phase])
    gone = []
    for client in NAMES[:5]:
        gone.append(client)
        step = state.drop(client, DropoutReason.DISCONNECTED, 0.0)
        state = step.state
        if isinstance(state, Aborted):
            break
    assert isinstance(state, Aborted)
    assert state.reason is reason
    assert state.dropouts == dict.fromkeys(gone, DropoutReason.DISCONNECTED)
    assert state.unmasked == (phase is Phase.UNMASK)
    assert phase.value in state.detail
    assert step.deadline is None
    assert not step.outbox
    # Three of five must advertise, four must get through every later phase.
    assert len(gone) == (3 if phase is Phase.ADVERTISE_KEYS else 2)


@pytest.mark.parametrize("phase", list(Phase))
def test_the_deadline_stands_through_the_phase_and_then_ends_it(play: Rehearsal, phase: Phase) -> None:
    state: Any = fresh(play.servers[phase])
    deadline = state.deadline
    silent = NodeId("es")
    for client, said in play.said[phase].items():
        if client != silent:
            step = state.receive(client, said, 1.0)
            assert step.deadline == deadline
            state = step.state
    assert state.waiting_for == {silent}
    early = state.expire(deadline - 0.001)
    assert early.state is state
    assert early.deadline == deadline
    step = state.expire(deadline + 2)
    if phase is Phase.UNMASK:
        assert isinstance(step.state, Completed)
        assert step.deadline is None
        assert step.state.departed == {silent: DropoutReason.DEADLINE}
        return
    assert step.state.gone == {silent: DropoutReason.DEADLINE}
    assert step.deadline == step.state.deadline == deadline + 2 + PHASE_SECONDS[step.state.phase]


def test_dropping_someone_who_left_or_is_no_part_changes_nothing(play: Rehearsal) -> None:
    state = play.servers[Phase.SHARE_KEYS]
    once = state.drop(ME, DropoutReason.WITHDREW, 0.0).state
    assert isinstance(once, RunningState)
    for client in (ME, NodeId("it")):
        again = once.drop(client, DropoutReason.VIOLATION, 0.0)
        assert again.state is once
        assert again.deadline == once.deadline
        assert not again.outbox
    assert once.gone == {ME: DropoutReason.WITHDREW}


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
    roster = {NodeId(f"m{i}"): bytes(32) for i in range(70)}
    parameters = SecAggParameters(CONTEXT, 1, 3, 1)
    names = list(roster)
    for expected in (names[:2], names[:65], ["stranger", *names[:3]]):
        with pytest.raises(MisuseError):
            open_session(parameters, roster, frozenset(map(NodeId, expected)), PHASE_SECONDS, 0.0)
    limits = dict(PHASE_SECONDS)
    del limits[Phase.UNMASK]
    with pytest.raises(MisuseError):
        open_session(parameters, roster, frozenset(names[:4]), limits, 0.0)
