"""Who dealt, held back or changed shares: what comes of it, and what can be proved to whom."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fecosr.errors import CryptoError, ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.client import ClientState
from fecosr.secagg.cohort import Cohort
from fecosr.secagg.dealing import Receipt, delivered_leaves, receipt_hash
from fecosr.secagg.evidence import (
    ChangedShare,
    Conviction,
    Fault,
    MisdealtShares,
    UnusableShares,
    verify_conviction,
)
from fecosr.secagg.messages import ClientMessage, EncryptedShares, MaskedInput, Phase, UnmaskShares
from fecosr.secagg.rules import Rule
from fecosr.secagg.server import (
    Aborted,
    AbortReason,
    CollectingInputs,
    CollectingUnmaskShares,
    Completed,
)
from fecosr.secagg.statements import masked_input_statement, vector_digest
from tests.reference.misdealing import (
    Spoil,
    another_commitment,
    another_polynomial,
    beyond_the_field,
    garbage,
    misdealing,
    resigned,
    to_each,
)
from tests.reference.rehearsal import (
    NAMES,
    Forge,
    Rehearsal,
    assert_server_refuses,
    identity_of,
    names_of,
    plain_sum,
    rehearse,
)

AT, BE, CZ, DE, ES, FR = NAMES[:6]
UNUSABLE = [garbage, another_commitment, beyond_the_field]
WRONG = b"\0" + b"\x77" * 32


def cohort_of(play: Rehearsal) -> Cohort:
    state = play.servers[Phase.MASKED_INPUT]
    assert isinstance(state, CollectingInputs)
    return state.cohort


def verified_faults(play: Rehearsal) -> set[tuple[NodeId, Fault]]:
    """Return who was convicted of what, once everybody could check the evidence."""
    assert isinstance(play.outcome, Completed | Aborted)
    for conviction in play.outcome.convictions:
        verify_conviction(cohort_of(play), play.roster, conviction)
    return {(conviction.culprit, conviction.fault) for conviction in play.outcome.convictions}


def assert_opened(play: Rehearsal) -> None:
    assert isinstance(play.outcome, Completed)
    assert play.outcome.total.tolist() == plain_sum(play.participants, play.outcome.survivors)


def complaints(play: Rehearsal) -> dict[NodeId, tuple[NodeId, ...]]:
    said = play.said[Phase.MASKED_INPUT]
    return {it: one.unusable for it, one in said.items() if isinstance(one, MaskedInput) and one.unusable}


# Dealers.


@pytest.mark.parametrize("spoil", UNUSABLE)
def test_an_unusable_share_is_named_before_anything_is_revealed_and_done_without(spoil: Spoil) -> None:
    play = rehearse(6, forge=misdealing({CZ: to_each([AT], spoil)}))
    assert complaints(play) == {AT: (CZ,)}
    for holder, said in play.said[Phase.UNMASK].items():
        assert isinstance(said, UnmaskShares)
        assert (CZ in said.seed_shares) is (holder != AT)
    assert_opened(play)
    assert verified_faults(play) == set()


def test_a_dropouts_unusable_share_is_done_without_as_well() -> None:
    play = rehearse(
        7,
        leaves=lambda client, phase: (client, phase) == (CZ, Phase.MASKED_INPUT),
        forge=misdealing({CZ: to_each([AT], garbage)}),
    )
    assert complaints(play) == {AT: (CZ,)}
    assert_opened(play)


@pytest.mark.parametrize("spoil", UNUSABLE)
def test_unusable_shares_to_too_many_end_the_attempt_by_name_and_nothing_is_revealed(spoil: Spoil) -> None:
    play = rehearse(6, forge=misdealing({CZ: to_each([AT, BE, DE], spoil)}))  # threshold 4 of 6
    assert complaints(play) == {AT: (CZ,), BE: (CZ,), DE: (CZ,)}
    assert isinstance(play.outcome, Aborted)
    assert (play.outcome.reason, play.outcome.unmasked) == (AbortReason.UNUSABLE_SHARES, False)
    assert "secrets of cz" in play.outcome.detail
    assert Phase.CONSISTENCY not in play.said
    assert verified_faults(play) == {(CZ, Fault.UNUSABLE_SHARES)}


def test_the_bound_of_unusable_shares_is_the_threshold() -> None:
    play = rehearse(6, forge=misdealing({CZ: to_each([AT, BE], garbage)}))
    assert_opened(play)
    assert verified_faults(play) == {(CZ, Fault.UNUSABLE_SHARES)}


@pytest.mark.parametrize("phase", [Phase.MASKED_INPUT, Phase.CONSISTENCY, Phase.UNMASK])
def test_complaints_convict_in_whatever_phase_the_session_ends(phase: Phase) -> None:
    play = rehearse(
        6,
        leaves=lambda client, at: at is phase and client not in {AT, BE},
        forge=misdealing({CZ: to_each([AT, BE], garbage)}),
    )
    assert isinstance(play.outcome, Aborted)
    assert verified_faults(play) == {(CZ, Fault.UNUSABLE_SHARES)}


@pytest.mark.parametrize("holders", [[AT], [AT, ES], [FR]])
def test_a_dealer_of_shares_that_do_not_fit_to_a_few_is_convicted(holders: list[NodeId]) -> None:
    # Seven share a threshold of five: two to spare, and one more try where one holder was dealt wrong.
    play = rehearse(7, max_colluding=2, n_min=4, forge=misdealing({CZ: to_each(holders, another_polynomial)}))
    assert complaints(play) == {}
    assert_opened(play)
    assert verified_faults(play) == {(CZ, Fault.MISDEALT_SHARES)}


@pytest.mark.parametrize("num_wrong", [4, 5])
def test_a_dealer_of_shares_that_do_not_fit_to_many_is_convicted(num_wrong: int) -> None:
    others = [name for name in NAMES[:6] if name != CZ]
    play = rehearse(6, forge=misdealing({CZ: to_each(others[:num_wrong], another_polynomial)}))
    assert isinstance(play.outcome, Aborted)
    assert (play.outcome.reason, play.outcome.unmasked) == (AbortReason.BAD_SHARES, True)
    assert verified_faults(play) == {(CZ, Fault.MISDEALT_SHARES)}


def test_a_dropout_that_misdealt_its_mask_key_is_convicted() -> None:
    play = rehearse(
        7,
        leaves=lambda client, phase: (client, phase) == (CZ, Phase.MASKED_INPUT),
        forge=misdealing({CZ: to_each([AT], another_polynomial)}),
    )
    assert_opened(play)
    assert verified_faults(play) == {(CZ, Fault.MISDEALT_SHARES)}


# Holders.


def changing(holder: NodeId, owners: list[NodeId], wrong: bytes = WRONG) -> Forge:
    def forge(state: ClientState, message: ClientMessage) -> ClientMessage:
        if not isinstance(message, UnmaskShares) or message.signature != signed_by(holder, message, state):
            return message
        changed = replace(message, seed_shares={**message.seed_shares, **dict.fromkeys(owners, wrong)})
        return resigned(session_of(state), holder, changed)

    return forge


def session_of(state: ClientState) -> bytes:
    session = getattr(state, "session", b"")
    assert isinstance(session, bytes)
    return session


def signed_by(holder: NodeId, message: UnmaskShares, state: ClientState) -> bytes:
    return resigned(session_of(state), holder, message).signature


@pytest.mark.parametrize("wrong", [WRONG, bytes(33), b"\xff" * 33])
@pytest.mark.parametrize("owners", [[CZ], [AT], [AT, BE, CZ, DE, ES, FR]])
def test_a_holder_that_reveals_what_it_did_not_accept_is_convicted(
    owners: list[NodeId], wrong: bytes
) -> None:
    play = rehearse(6, forge=changing(AT, owners, wrong))
    assert_opened(play)
    assert verified_faults(play) == {(AT, Fault.CHANGED_SHARE)}
    assert isinstance(play.outcome, Completed)
    assert len(play.outcome.convictions) == len(owners)


def test_a_liar_among_the_holders_cannot_frame_the_dealer() -> None:
    play = rehearse(5, forge=changing(AT, [CZ]))
    assert verified_faults(play) == {(AT, Fault.CHANGED_SHARE)}


def test_evidence_against_a_holder_shows_no_share() -> None:
    play = rehearse(6, forge=changing(AT, [CZ]))
    assert isinstance(play.outcome, Completed)
    (conviction,) = play.outcome.convictions
    shown = repr(conviction)
    for said in play.said[Phase.UNMASK].values():
        assert isinstance(said, UnmaskShares)
        assert all(repr(share) not in shown for share in said.seed_shares.values())


# Accusers.


def accusing(play: Rehearsal, accuser: NodeId, unusable: tuple[NodeId, ...]) -> MaskedInput:
    """Return the masked input of a client that calls good shares unusable, and signs it."""
    said, state = play.said[Phase.MASKED_INPUT][accuser], play.servers[Phase.MASKED_INPUT]
    assert isinstance(said, MaskedInput)
    assert isinstance(state, CollectingInputs)
    receipt = receipt_hash(play.session, accuser, delivered_leaves(state.deals, accuser), unusable)
    statement = masked_input_statement(play.session, accuser, vector_digest(said.vector), receipt)
    return replace(said, signature=identity_of(accuser).sign(statement), unusable=unusable)


def test_a_lying_accuser_convicts_nobody_and_only_holds_back_its_own_share(play: Rehearsal) -> None:
    said = {**play.said[Phase.MASKED_INPUT], AT: accusing(play, AT, (CZ,))}
    state = play.collect(Phase.MASKED_INPUT, said)
    for phase in (Phase.CONSISTENCY, Phase.UNMASK):
        for client, message in play.said[phase].items():
            if isinstance(message, UnmaskShares) and client == AT:
                seeds = {owner: share for owner, share in message.seed_shares.items() if owner != CZ}
                message = resigned(play.session, AT, replace(message, seed_shares=seeds))  # noqa: PLW2901
            assert not isinstance(state, Completed | Aborted)
            state = state.receive(client, message, 0.0).state
    assert isinstance(state, Completed)
    assert state.convictions == ()
    assert state.total.tolist() == plain_sum(play.participants, NAMES[:5])


def test_whoever_complained_reveals_no_share_all_the_same(play: Rehearsal) -> None:
    said = {**play.said[Phase.MASKED_INPUT], AT: accusing(play, AT, (CZ,))}
    state = play.collect(Phase.MASKED_INPUT, said)
    for client, message in play.said[Phase.CONSISTENCY].items():
        assert not isinstance(state, Completed | Aborted)
        state = state.receive(client, message, 0.0).state
    assert isinstance(state, CollectingUnmaskShares)
    with pytest.raises(ProtocolViolation) as refusal:
        state.receive(AT, play.said[Phase.UNMASK][AT], 0.0)
    assert (refusal.value.peer, refusal.value.rule) == (AT, Rule.WRONG_SHARES)


def test_complaints_about_nobody_or_about_too_many_are_refused(play: Rehearsal) -> None:
    phase = Phase.MASKED_INPUT
    for unusable in ((AT, CZ), (CZ, AT), (CZ, CZ), (BE,), (NodeId("it"),)):
        assert_server_refuses(play, phase, accusing(play, BE, unusable), Rule.BAD_COMPLAINT)
    honest = play.said[phase][BE]
    assert isinstance(honest, MaskedInput)
    unsigned = replace(honest, unusable=(CZ,))
    assert_server_refuses(play, phase, unsigned, Rule.BAD_INPUT_SIGNATURE)
    hidden = replace(accusing(play, BE, (CZ,)), unusable=())
    assert_server_refuses(play, phase, hidden, Rule.BAD_INPUT_SIGNATURE)


def test_as_many_complaints_as_may_collude_are_taken() -> None:
    play = rehearse(9, n_min=5, max_colluding=3)
    said = {**play.said[Phase.MASKED_INPUT], BE: accusing(play, BE, (AT, CZ, DE))}
    assert not isinstance(play.collect(Phase.MASKED_INPUT, said), Aborted)


# Evidence that does not hold.


def convictions_of(play: Rehearsal) -> tuple[Conviction, ...]:
    assert isinstance(play.outcome, Completed | Aborted)
    return play.outcome.convictions


def test_nobody_is_convicted_by_forged_evidence_against_a_holder() -> None:
    play = rehearse(6, forge=changing(AT, [CZ]))
    (claim,) = convictions_of(play)
    assert isinstance(claim, ChangedShare)
    assert claim.receipt is not None
    honest = play.said[Phase.UNMASK][BE]
    assert isinstance(honest, UnmaskShares)
    forgeries: list[Conviction] = [
        replace(claim, culprit=BE),
        replace(claim, culprit=NodeId("nobody")),
        replace(claim, owner=DE),
        replace(claim, owner=NodeId("nobody")),
        replace(claim, receipt=None),
        replace(claim, receipt=replace(claim.receipt, unusable=(CZ,))),
        replace(claim, receipt=replace(claim.receipt, digest=bytes(32))),
        replace(claim, receipt=replace(claim.receipt, signature=bytes(64))),
        replace(claim, leaves={owner: leaf for owner, leaf in claim.leaves.items() if owner != CZ}),
        replace(claim, leaves={**claim.leaves, CZ: bytes(32)}),
        replace(claim, signature=honest.signature),
        replace(claim, revealed={**claim.revealed, CZ: (claim.secret, bytes(32))}),
        replace(claim, revealed={}),
        replace(claim, dealt=replace(claim.dealt, signature=bytes(64))),
    ]
    for forged in forgeries:
        with pytest.raises(CryptoError):
            verify_conviction(cohort_of(play), play.roster, forged)
    other = cohort_of(rehearse(5))
    with pytest.raises(CryptoError):
        verify_conviction(other, play.roster, claim)


def test_nobody_is_convicted_by_forged_evidence_against_a_dealer() -> None:
    play = rehearse(7, max_colluding=2, n_min=4, forge=misdealing({CZ: to_each([AT], another_polynomial)}))
    (claim,) = convictions_of(play)
    assert isinstance(claim, MisdealtShares)
    good = {holder: it for holder, it in claim.disclosed.items() if holder != AT}
    few = dict(list(claim.disclosed.items())[:4])
    changed = {**claim.disclosed, BE: replace(claim.disclosed[BE], share=WRONG)}
    moved = {**good, AT: claim.disclosed[BE]}
    for disclosed in (good, few, changed, moved):
        with pytest.raises(CryptoError):
            verify_conviction(cohort_of(play), play.roster, replace(claim, disclosed=disclosed))
    with pytest.raises(CryptoError):
        verify_conviction(cohort_of(play), play.roster, replace(claim, culprit=DE))


def test_nobody_is_convicted_by_forged_complaints() -> None:
    play = rehearse(6, forge=misdealing({CZ: to_each([AT, BE], garbage)}))
    (claim,) = convictions_of(play)
    assert isinstance(claim, UnusableShares)
    first, second = claim.complaints[AT], claim.complaints[BE]
    content = play.said[Phase.MASKED_INPUT][DE]
    assert isinstance(content, MaskedInput)
    signed_by_de = Receipt(vector_digest(content.vector), (), content.signature)
    unsigned = replace(second, receipt=replace(signed_by_de, unusable=(CZ,)))
    forgeries: list[Conviction] = [
        replace(claim, culprit=DE),
        replace(claim, culprit=NodeId("nobody")),
        replace(claim, complaints={AT: first}),
        replace(claim, complaints={AT: first, DE: second}),
        replace(claim, complaints={AT: first, CZ: second}),
        replace(claim, complaints={AT: first, NodeId("nobody"): second}),
        replace(claim, complaints={AT: first, DE: replace(second, receipt=signed_by_de)}),
        replace(claim, complaints={AT: first, DE: unsigned}),
        replace(claim, complaints={AT: first, BE: replace(second, leaves={})}),
        replace(claim, complaints={AT: first, BE: replace(second, leaves={CZ: bytes(32)})}),
    ]
    for forged in forgeries:
        with pytest.raises(CryptoError):
            verify_conviction(cohort_of(play), play.roster, forged)
    with pytest.raises(CryptoError):
        verify_conviction(cohort_of(rehearse(6, context=b"\x01" * 32)), play.roster, claim)


def test_as_many_complaints_as_may_collude_convict_nobody() -> None:
    play = rehearse(7, n_min=4, max_colluding=2, forge=misdealing({CZ: to_each([AT, BE], garbage)}))
    assert_opened(play)
    assert verified_faults(play) == set()
    many = rehearse(7, n_min=4, max_colluding=2, forge=misdealing({CZ: to_each([AT, BE, DE], garbage)}))
    assert verified_faults(many) == {(CZ, Fault.UNUSABLE_SHARES)}


def test_a_complaint_says_nothing_of_any_share() -> None:
    play = rehearse(6, forge=misdealing({CZ: to_each([AT, BE], garbage)}))
    shown = repr(convictions_of(play))
    for said in play.said[Phase.UNMASK].values():
        assert isinstance(said, UnmaskShares)
        assert all(repr(share) not in shown for share in said.seed_shares.values())


def test_shares_that_fit_convict_nobody(play: Rehearsal) -> None:
    state = play.servers[Phase.UNMASK]
    assert isinstance(state, CollectingUnmaskShares)
    bad = rehearse(7, max_colluding=2, n_min=4, forge=misdealing({CZ: to_each([AT], another_polynomial)}))
    (claim,) = convictions_of(bad)
    with pytest.raises(CryptoError):
        verify_conviction(state.cohort, play.roster, claim)


# Whatever dealers and holders do.

_WRONGS: list[Spoil] = [garbage, another_commitment, beyond_the_field, another_polynomial]


@settings(max_examples=30, deadline=None)
@given(
    dealt=st.dictionaries(st.sampled_from(NAMES[:7]), st.sampled_from(range(len(_WRONGS))), max_size=7),
    dealer=st.sampled_from(NAMES[:7]),
    leaver=st.sampled_from([None, *NAMES[:7]]),
    phase=st.sampled_from(list(Phase)),
)
def test_only_the_dealer_is_ever_convicted_of_its_deals_and_an_opened_sum_is_right(
    dealt: dict[NodeId, int], dealer: NodeId, leaver: NodeId | None, phase: Phase
) -> None:
    spoils = {holder: _WRONGS[number] for holder, number in dealt.items() if holder != dealer}
    play = rehearse(7, leaves=lambda it, at: (it, at) == (leaver, phase), forge=misdealing({dealer: spoils}))
    assert all(accused == (dealer,) for accused in complaints(play).values())
    if isinstance(play.outcome, Completed):
        assert_opened(play)
    if Phase.MASKED_INPUT in play.servers:
        faults = verified_faults(play)
        assert faults <= {(dealer, Fault.MISDEALT_SHARES), (dealer, Fault.UNUSABLE_SHARES)}
        assert len(complaints(play)) <= 1 or (dealer, Fault.UNUSABLE_SHARES) in faults
    assert isinstance(play.outcome, Completed | Aborted)
    left = set(play.outcome.dropouts)
    assert left <= {leaver}


def test_in_a_sparse_graph_a_bad_dealer_is_named_as_well() -> None:
    somebody = names_of(70)[3]
    spoiled: list[NodeId] = []

    def forge(state: ClientState, message: ClientMessage) -> ClientMessage:
        if isinstance(message, EncryptedShares) and getattr(state, "me", None) == somebody:
            first, second = list(message.sealed)[:2]
            spoiled.extend((first, second))
            return misdealing({somebody: {first: garbage, second: another_polynomial}})(state, message)
        return message

    play = rehearse(70, n_min=5, max_colluding=2, forge=forge)
    assert complaints(play) == {spoiled[0]: (somebody,)}
    assert_opened(play)
    assert verified_faults(play) == {(somebody, Fault.MISDEALT_SHARES)}
