"""The fuzz targets in small, driven by hypothesis."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.messages import ClientMessage, Phase, ServerMessage
from tests.fuzz import honest, targets
from tests.fuzz.choices import Choices
from tests.fuzz.fingerprint import fingerprint
from tests.fuzz.mutation import changed
from tests.reference.message_strategies import client_messages, server_messages
from tests.reference.rehearsal import NAMES, fresh

programs = st.binary(max_size=200)


@settings(max_examples=300)
@given(programs)
def test_any_bytes_are_a_message_or_a_violation_of_their_sender(data: bytes) -> None:
    targets.wire(data)


@settings(max_examples=150)
@given(programs)
def test_any_ledger_is_the_honest_one_or_named_wrong(data: bytes) -> None:
    targets.ledger(data)


@settings(max_examples=100)
@given(programs)
def test_any_checkpoint_is_the_honest_one_or_named_wrong(data: bytes) -> None:
    targets.checkpoint(data)


@settings(max_examples=150)
@given(programs)
def test_whatever_a_server_is_told_its_sum_is_the_survivors(data: bytes) -> None:
    targets.server(data)


@settings(max_examples=150)
@given(programs)
def test_whatever_a_client_is_told_it_signs_one_list_and_reveals_one_kind(data: bytes) -> None:
    targets.client(data)


@settings(max_examples=60)
@given(st.sampled_from(list(Phase)), st.sampled_from(NAMES[:6]), client_messages)
def test_a_server_takes_any_decoded_message_or_names_its_sender(
    phase: Phase, sender: NodeId, message: ClientMessage
) -> None:
    state = fresh(honest.session().servers[phase])
    before = fingerprint(state)
    step = targets.attempt(ProtocolViolation, state.receive, sender, message, 0.0)
    assert not isinstance(step, ProtocolViolation) or step.peer == sender
    assert fingerprint(state) == before


@settings(max_examples=60)
@given(st.sampled_from(list(Phase)[:4]), server_messages)
def test_a_client_takes_any_decoded_message_or_names_a_rule(phase: Phase, message: ServerMessage) -> None:
    state = honest.session().clients[phase][NAMES[0]]
    before = fingerprint(state)
    step = targets.attempt(ProtocolViolation, state.receive, message)
    assert not isinstance(step, ProtocolViolation) or step.phase == phase
    assert fingerprint(state) == before


@pytest.mark.parametrize("target", [targets.wire, targets.ledger, targets.checkpoint, targets.server])
def test_no_bytes_at_all_are_an_input_too(target: Callable[[bytes], None]) -> None:
    target(b"")


def test_a_fingerprint_sees_every_part() -> None:
    play = honest.session()
    states: list[object] = list(play.servers.values())
    for phase in list(Phase)[:4]:
        states.extend(play.clients[phase].values())
    assert len({fingerprint(state) for state in states}) == len(states)
    state = fresh(play.servers[Phase.CONSISTENCY])
    before = fingerprint(state)
    assert before == fingerprint(play.servers[Phase.CONSISTENCY])
    state.total[0] += 1  # type: ignore[attr-defined]  # the state of this phase has one
    assert fingerprint(state) != before


def test_changes_are_many_and_of_every_kind() -> None:
    message = honest.session().told[Phase.SHARE_KEYS][NAMES[0]]
    programs = (bytes(program) for program in product([0], range(2), range(6), range(5), range(3)))
    made = {fingerprint(changed(message, Choices(program), NAMES[:6])) for program in programs}
    assert len(made) > 20


@dataclass(frozen=True)
class _Pair:
    left: bytes
    right: tuple[bytes, ...]


def test_choices_run_out_without_harm() -> None:
    choices = Choices(b"\x07")
    assert (choices.below(5), choices.below(5), choices.take(3), choices.rest()) == (2, 0, b"", b"")
    assert not choices.left
    assert changed(_Pair(b"ab", (b"c",)), choices, NAMES) == _Pair(b"`b", (b"c",))
