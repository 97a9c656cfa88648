from collections.abc import Mapping
from dataclasses import replace

import pytest

from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.messages import ClientMessage, EncryptedShares, Phase, UnmaskShares
from fecosr.secagg.rules import Rule
from fecosr.secagg.server import (
    Aborted,
    AbortReason,
    CollectingInputs,
    CollectingShares,
    CollectingUnmaskShares,
    Completed,
    DropoutReason,
    RunningState,
    ServerState,
)
from tests.reference.rehearsal import Rehearsal, fresh, names_of, plain_sum

SOMEBODY = NodeId("m0001")
"""Whom the tests look over the shoulder of in a crowd."""


def test_a_sparse_session_opens_the_survivors_sum_whoever_leaves_when(sparse_play: Rehearsal) -> None:
    play, outcome = sparse_play, sparse_play.outcome
    assert isinstance(outcome, Completed)
    assert len(outcome.survivors) == 68
    assert len(outcome.dropouts) == len(outcome.departed) == 2
    assert outcome.total.tolist() == plain_sum(play.participants, outcome.survivors)
    said = play.said[Phase.SHARE_KEYS][SOMEBODY]
    assert isinstance(said, EncryptedShares)
    assert len(said.sealed) < 30


def after_shares_without(state: RunningState, said: Mapping[NodeId, ClientMessage]) -> ServerState:
    """Return the server after the shares of some and the deadline for the others."""
    current: ServerState = state
    for client, message in said.items():
        assert isinstance(current, RunningState)
        current = current.receive(client, message, 0.0).state
    assert isinstance(current, RunningState)
    return current.expire(float("inf")).state


def test_who_is_left_with_too_few_neighbours_is_dropped_by_name(sparse_play: Rehearsal) -> None:
    phase = Phase.SHARE_KEYS
    state = sparse_play.servers[phase]
    assert isinstance(state, CollectingShares)
    # With shares that fewer open, one client can be isolated and the others not.
    graph = replace(state.cohort.graph, threshold=4)
    alone = state.cohort.graph.neighbours(SOMEBODY)[3:]
    staying = {it: said for it, said in sparse_play.said[phase].items() if it not in alone}
    ended = after_shares_without(replace(state, cohort=replace(state.cohort, graph=graph)), staying)
    assert isinstance(ended, CollectingInputs)
    isolated = {it for it, reason in ended.gone.items() if reason is DropoutReason.ISOLATED}
    assert SOMEBODY in isolated
    assert ended.asked == staying.keys() - isolated
    assert all(len(ended.asked.intersection(graph.neighbours(it))) >= 4 for it in ended.asked)


def test_where_all_are_isolated_the_session_is_given_up_before_anything_is_sent(
    sparse_play: Rehearsal,
) -> None:
    phase = Phase.SHARE_KEYS
    state = sparse_play.servers[phase]
    assert isinstance(state, CollectingShares)
    graph = state.cohort.graph
    leaving = graph.neighbours(SOMEBODY)[graph.threshold - 1 :]
    staying = {it: said for it, said in sparse_play.said[phase].items() if it not in leaving}
    ended = after_shares_without(state, staying)
    assert isinstance(ended, Aborted)
    assert (ended.reason, ended.unmasked) == (AbortReason.TOO_FEW_SHARES, False)
    assert ended.dropouts[SOMEBODY] is DropoutReason.ISOLATED
    assert all(ended.dropouts[it] is DropoutReason.DEADLINE for it in leaving)


def test_a_sparse_sum_whose_survivors_have_a_gap_is_given_up(sparse_play: Rehearsal) -> None:
    phase = Phase.MASKED_INPUT
    state = sparse_play.servers[phase]
    assert isinstance(state, CollectingInputs)
    graph = state.cohort.graph
    assert graph.degree is not None
    window = graph.ring[: graph.degree.num_neighbours // 2]
    current: ServerState = fresh(state)
    for client, said in sparse_play.said[phase].items():
        if client not in window:
            assert isinstance(current, RunningState)
            current = current.receive(client, said, 0.0).state
    assert isinstance(current, RunningState)
    current = current.expire(float("inf")).state
    assert isinstance(current, Aborted)
    assert (current.reason, current.unmasked) == (AbortReason.TOO_FEW_INPUTS, False)
    assert "gap" in current.detail


def test_a_sparse_sum_with_too_few_shares_of_one_secret_is_given_up_by_name(sparse_play: Rehearsal) -> None:
    phase = Phase.UNMASK
    state = sparse_play.servers[phase]
    assert isinstance(state, CollectingUnmaskShares)
    silent = state.cohort.graph.holders(SOMEBODY)[: -state.cohort.graph.threshold + 1]
    current: ServerState = fresh(state)
    for client, said in sparse_play.said[phase].items():
        assert isinstance(current, RunningState)
        if client not in silent:
            current = current.receive(client, said, 0.0).state
    assert isinstance(current, RunningState)
    current = current.expire(float("inf")).state
    assert isinstance(current, Aborted)
    assert (current.reason, current.unmasked) == (AbortReason.TOO_FEW_UNMASK_SHARES, True)
    assert SOMEBODY in current.detail


def test_in_a_sparse_session_shares_are_for_and_of_neighbours_only(sparse_play: Rehearsal) -> None:
    phase = Phase.SHARE_KEYS
    said = sparse_play.said[phase][SOMEBODY]
    assert isinstance(said, EncryptedShares)
    ciphertexts = dict(said.sealed)
    _, sealed = ciphertexts.popitem()
    stranger = next(it for it in names_of(70) if it not in said.sealed and it != SOMEBODY)
    for wrong in (ciphertexts, {**ciphertexts, stranger: sealed}, {**said.sealed, stranger: sealed}):
        refused = refused_in_crowd(sparse_play, phase, replace(said, sealed=wrong))
        assert refused == Rule.WRONG_DESTINATIONS
    revealed = sparse_play.said[Phase.UNMASK][SOMEBODY]
    assert isinstance(revealed, UnmaskShares)
    assert revealed.seed_shares.keys() | revealed.mask_key_shares.keys() <= said.sealed.keys()
    more = replace(revealed, seed_shares={**revealed.seed_shares, stranger: bytes(33)})
    assert refused_in_crowd(sparse_play, Phase.UNMASK, more) == Rule.WRONG_SHARES
    share = dict(revealed.seed_shares)
    share.popitem()
    less = replace(revealed, seed_shares=share)
    assert refused_in_crowd(sparse_play, Phase.UNMASK, less) == Rule.WRONG_SHARES


def refused_in_crowd(play: Rehearsal, phase: Phase, message: ClientMessage) -> str:
    with pytest.raises(ProtocolViolation) as refusal:
        fresh(play.servers[phase]).receive(SOMEBODY, message, 0.0)
    assert refusal.value.peer == SOMEBODY
    return refusal.value.rule
