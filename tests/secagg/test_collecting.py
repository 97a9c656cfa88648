from typing import Any

import pytest

from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.messages import Phase
from fecosr.secagg.rules import Rule
from fecosr.secagg.server import Aborted, AbortReason, Completed, DropoutReason, RunningState, SurvivorsFixed
from tests.reference.rehearsal import (
    ME,
    NAMES,
    PHASE_SECONDS,
    Rehearsal,
    fresh,
    plain_sum,
)

AT = NodeId("at")


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("answered", [False, True])
def test_one_may_leave_in_every_phase_before_or_after_answering(
    play: Rehearsal, phase: Phase, answered: bool
) -> None:
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
    assert step.records == (SurvivorsFixed(play.session, NAMES[:5], {}),)
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


def test_a_phase_too_few_are_left_to_begin_sends_nothing(play: Rehearsal) -> None:
    state: Any = fresh(play.servers[Phase.CONSISTENCY])
    said = play.said[Phase.CONSISTENCY]
    for client in NAMES[:4]:
        state = state.receive(client, said[client], 0.0).state
    # Two signers leave: four signatures prove the list, but no four clients are left to reveal shares.
    for client in NAMES[:2]:
        state = state.drop(client, DropoutReason.DISCONNECTED, 0.0).state
    step = state.receive(NAMES[4], said[NAMES[4]], 0.0)
    assert isinstance(step.state, Aborted)
    assert step.state.reason is AbortReason.TOO_FEW_UNMASK_SHARES
    assert not step.state.unmasked
    assert not step.outbox
    assert step.deadline is None


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
