from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from fecosr.crypto.shamir import PRIME
from fecosr.ids import NodeId
from fecosr.secagg.evidence import ChangedShare, Fault
from fecosr.secagg.messages import Phase, UnmaskShares
from fecosr.secagg.server import Aborted, AbortReason, CollectingUnmaskShares, Completed
from fecosr.secagg.unmasking import MAX_QUORUMS, Answers, open_secrets
from tests.reference.misdealing import another_polynomial, misdealing, resigned, to_each
from tests.reference.primitives import interpolate_at_zero
from tests.reference.rehearsal import NAMES, Rehearsal, plain_sum, rehearse

AT, BE, CZ, DE, ES, FR = NAMES[:6]
WRONG = b"\0" + b"\x77" * 32


def reveals_of(play: Rehearsal) -> dict[NodeId, UnmaskShares]:
    said = play.said[Phase.UNMASK]
    return {client: it for client, it in said.items() if isinstance(it, UnmaskShares)}


def with_bad_shares(
    play: Rehearsal, is_bad: Callable[[NodeId, NodeId], bool], wrong: bytes = WRONG
) -> Mapping[NodeId, UnmaskShares]:
    """Return what the clients reveal, with every share replaced for which is_bad(holder, owner)."""

    def spoil(holder: NodeId, shares: Mapping[NodeId, bytes]) -> dict[NodeId, bytes]:
        return {owner: wrong if is_bad(holder, owner) else share for owner, share in shares.items()}

    return {
        holder: resigned(
            play.session,
            holder,
            replace(
                revealed,
                seed_shares=spoil(holder, revealed.seed_shares),
                mask_key_shares=spoil(holder, revealed.mask_key_shares),
            ),
        )
        for holder, revealed in reveals_of(play).items()
    }


def answers(play: Rehearsal, reveals: Mapping[NodeId, UnmaskShares] | None = None) -> Answers:
    state = play.servers[Phase.UNMASK]
    assert isinstance(state, CollectingUnmaskShares)
    return Answers(state.cohort, state.deals, state.receipts, reveals or reveals_of(play))


def faults(outcome: Completed | Aborted) -> set[tuple[NodeId, Fault]]:
    return {(conviction.culprit, conviction.fault) for conviction in outcome.convictions}


def test_every_secret_is_what_the_slow_reference_reconstructs(play_with_dropout: Rehearsal) -> None:
    state = play_with_dropout.servers[Phase.UNMASK]
    assert isinstance(state, CollectingUnmaskShares)
    reveals = reveals_of(play_with_dropout)
    opened = open_secrets(answers(play_with_dropout))
    assert set(opened.seeds) == {AT, BE, DE, ES, FR}
    assert set(opened.mask_keys) == {CZ}
    for owner, seed in opened.seeds.items():
        positions = state.cohort.graph.positions(owner)
        shares = {positions[it]: reveals[it].seed_shares[owner] for it in reveals}
        assert interpolate_at_zero(shares).to_bytes(32, "big") == seed
    positions = state.cohort.graph.positions(CZ)
    shares = {positions[it]: reveals[it].mask_key_shares[CZ] for it in reveals}
    assert interpolate_at_zero(shares).to_bytes(32, "big") == opened.mask_keys[CZ].secret
    assert opened.convictions == ()
    assert opened.closed == ()


@pytest.mark.parametrize("holder", [AT, BE, FR])
@pytest.mark.parametrize("wrong", [WRONG, bytes(33), PRIME.to_bytes(33, "big"), b"\xff" * 33])
def test_a_holder_of_bad_shares_is_named_and_done_without(
    play_with_dropout: Rehearsal, holder: NodeId, wrong: bytes
) -> None:
    reveals = with_bad_shares(play_with_dropout, lambda it, _owner: it == holder, wrong)
    outcome = play_with_dropout.collect(Phase.UNMASK, reveals)
    assert isinstance(outcome, Completed)
    assert faults(outcome) == {(holder, Fault.CHANGED_SHARE)}
    assert {it.owner for it in outcome.convictions if isinstance(it, ChangedShare)} == set(NAMES[:6])
    assert outcome.total.tolist() == plain_sum(play_with_dropout.participants, outcome.survivors)


@pytest.mark.parametrize("owner", [AT, CZ])
def test_one_single_bad_share_convicts_its_holder(play_with_dropout: Rehearsal, owner: NodeId) -> None:
    reveals = with_bad_shares(play_with_dropout, lambda it, of: (it, of) == (DE, owner))
    outcome = play_with_dropout.collect(Phase.UNMASK, reveals)
    assert isinstance(outcome, Completed)
    (conviction,) = outcome.convictions
    assert isinstance(conviction, ChangedShare)
    assert (conviction.culprit, conviction.owner) == (DE, owner)


def test_more_bad_holders_than_assumed_is_a_named_abort(play_with_dropout: Rehearsal) -> None:
    reveals = with_bad_shares(play_with_dropout, lambda it, _owner: it in (AT, BE))
    outcome = play_with_dropout.collect(Phase.UNMASK, reveals)
    assert isinstance(outcome, Aborted)
    assert outcome.reason is AbortReason.BAD_SHARES
    assert outcome.unmasked
    assert "secret of at" in outcome.detail
    assert faults(outcome) == {(AT, Fault.CHANGED_SHARE), (BE, Fault.CHANGED_SHARE)}


def test_a_bad_share_with_no_holder_to_spare_is_a_named_abort() -> None:
    play = rehearse(4)  # threshold 3
    for spare in (True, False):
        reveals = dict(with_bad_shares(play, lambda it, _owner: it == AT))
        if spare:
            outcome = play.collect(Phase.UNMASK, reveals)
            assert isinstance(outcome, Completed)
            assert faults(outcome) == {(AT, Fault.CHANGED_SHARE)}
        else:
            del reveals[DE]
            opened = open_secrets(answers(play, reveals))
            assert opened.closed == tuple(NAMES[:4])
            assert {conviction.culprit for conviction in opened.convictions} == {AT}


def test_one_bad_holder_is_survived_even_if_nobody_was_assumed_to_collude() -> None:
    play = rehearse(5, max_colluding=0)
    outcome = play.collect(Phase.UNMASK, with_bad_shares(play, lambda it, _owner: it == BE))
    assert isinstance(outcome, Completed)
    assert faults(outcome) == {(BE, Fault.CHANGED_SHARE)}
    assert outcome.total.tolist() == plain_sum(play.participants, NAMES[:5])


def test_several_bad_holders_are_survived_as_agreed() -> None:
    play = rehearse(9, n_min=4, max_colluding=2)  # threshold 6, three to spare
    outcome = play.collect(Phase.UNMASK, with_bad_shares(play, lambda it, _owner: it in (AT, FR)))
    assert isinstance(outcome, Completed)
    assert faults(outcome) == {(AT, Fault.CHANGED_SHARE), (FR, Fault.CHANGED_SHARE)}
    assert outcome.total.tolist() == plain_sum(play.participants, NAMES)


def test_trying_quorums_is_bounded() -> None:
    wrong = to_each(NAMES[1:6], another_polynomial)
    play = rehearse(9, n_min=5, max_colluding=3, forge=misdealing({AT: wrong}))  # threshold 7, two to spare
    assert isinstance(play.outcome, Aborted)
    assert "secret of at" in play.outcome.detail
    assert faults(play.outcome) == {(AT, Fault.MISDEALT_SHARES)}
    assert MAX_QUORUMS <= 1000


def test_a_wrong_commitment_in_the_cohort_opens_nothing(play: Rehearsal) -> None:
    told = answers(play)
    adverts = dict(told.cohort.adverts)
    adverts[CZ] = replace(adverts[CZ], seed_commitment=bytes(32))
    opened = open_secrets(replace(told, cohort=replace(told.cohort, adverts=adverts)))
    assert opened.closed == (CZ,)
    assert [(it.culprit, it.fault) for it in opened.convictions] == [(CZ, Fault.MISDEALT_SHARES)]


def test_opened_secrets_never_show(play: Rehearsal) -> None:
    state = play.servers[Phase.UNMASK]
    assert isinstance(state, CollectingUnmaskShares)
    opened = open_secrets(answers(play))
    shown = repr(opened) + repr(play.outcome) + repr(list(reveals_of(play).values()))
    for seed in opened.seeds.values():
        assert seed.hex() not in shown
        assert repr(seed) not in shown
