from dataclasses import replace

import numpy as np
import pytest

from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.graph import mask_graph
from fecosr.secagg.messages import Phase
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.server import Aborted, AbortReason, Completed, DropoutReason
from fecosr.simulation.faults import Faults
from fecosr.simulation.participants import seeded_participants
from fecosr.simulation.session import SimulatedSession, simulate_session
from fecosr.simulation.trace import Departure, Trace
from fecosr.simulation.verdict import judge, shortfall

PARAMETERS = SecAggParameters(bytes(32), length=8, n_min=4, max_colluding=1)
PEOPLE = seeded_participants(7, 8, seed=1)
NAMES = [someone.client for someone in PEOPLE]


def play(faults: Faults = Faults(), seed: int = 1) -> SimulatedSession:  # noqa: B008 - frozen
    return simulate_session(PARAMETERS, PEOPLE, faults, seed)


def trace_of(*leaving: tuple[NodeId, Phase], answering: bool = False) -> Trace:
    """Return what is seen when some leave in a phase, after or instead of answering."""
    trace = Trace(frozenset(NAMES))
    trace.departures = [Departure(client, phase, DropoutReason.DISCONNECTED) for client, phase in leaving]
    when = dict(leaving)
    order = list(Phase)
    for client in NAMES:
        last = order.index(when[client]) + answering if client in when else len(order)
        for phase in order[:last]:
            trace.answered[phase].add(client)
    return trace


def shortfall_of(trace: Trace) -> AbortReason | None:
    early = {gone.client for gone in trace.departures if gone.phase is Phase.ADVERTISE_KEYS}
    cohort = [name for name in NAMES if name not in early]
    return shortfall(PARAMETERS, trace, mask_graph(PARAMETERS, bytes(32), cohort))


def test_a_session_that_went_well_has_no_faults() -> None:
    verdict = judge(play(), PEOPLE)
    assert verdict.completed
    assert verdict.sum_correct
    assert verdict.survivors == tuple(NAMES)
    assert (verdict.abort, verdict.expected_abort, verdict.faults, verdict.dropouts) == (None, None, (), {})


def test_dropouts_are_counted_by_phase_and_reason() -> None:
    silent = judge(play(Faults(dropout=0.4, notice=0.0), seed=6), PEOPLE)
    assert silent.faults == ()
    counted = {reason for reasons in silent.dropouts.values() for reason in reasons}
    assert counted == {DropoutReason.DEADLINE}
    assert list(silent.dropouts) == sorted(silent.dropouts, key=list(Phase).index)


def test_everybody_leaving_is_an_abort_that_had_to_be() -> None:
    verdict = judge(play(Faults(dropout=1.0)), PEOPLE)
    assert not verdict.completed
    assert verdict.abort is verdict.expected_abort
    assert verdict.abort is not None
    assert verdict.sum_correct is None
    assert verdict.faults == ()


def test_a_wrong_sum_is_a_fault() -> None:
    session = play()
    assert isinstance(session.outcome, Completed)
    np.add(session.outcome.total, 1, out=session.outcome.total)
    verdict = judge(session, PEOPLE)
    assert verdict.sum_correct is False
    assert verdict.faults == ("the sum is not the survivors' vectors added up",)


def test_an_abort_that_nothing_explains_is_a_fault() -> None:
    session = replace(play(), outcome=Aborted(AbortReason.TOO_FEW_INPUTS, "none left", {}, unmasked=False))
    assert judge(session, PEOPLE).faults == ("ended with too_few_inputs where a sum was due",)


def test_a_sum_of_too_few_is_a_fault() -> None:
    session = play()
    session.trace.departures.extend(trace_of(*((name, Phase.UNMASK) for name in NAMES)).departures)
    session.trace.answered[Phase.UNMASK].clear()
    assert judge(session, PEOPLE).faults == ("ended with a sum where too_few_unmask_shares was due",)


def test_an_accused_honest_party_and_a_missing_vector_are_faults() -> None:
    session = replace(play(), violations=[ProtocolViolation("node-0001", "unmask", "late")])
    session.trace.answered[Phase.MASKED_INPUT].remove(NAMES[0])
    faults = judge(session, PEOPLE).faults
    assert faults[0].startswith("an honest party was accused: node-0001")
    assert faults[1] == "the survivors are not exactly those who handed in a vector"


@pytest.mark.parametrize(("phase", "reason"), list(zip(Phase, AbortReason, strict=False)))
def test_too_many_leaving_in_a_phase_are_a_shortfall_of_that_phase(phase: Phase, reason: AbortReason) -> None:
    # Seven clients, threshold five; keys are needed of n_min only.
    enough = 3 if phase is Phase.ADVERTISE_KEYS else 2
    leaving = [(name, phase) for name in NAMES[: enough + 1]]
    assert shortfall_of(trace_of(*leaving)) is reason
    assert shortfall_of(trace_of(*leaving[:enough])) is None


def test_who_leaves_after_its_vector_arrived_is_missed_only_as_a_signer() -> None:
    leaving = [(name, Phase.MASKED_INPUT) for name in NAMES[:3]]
    assert shortfall_of(trace_of(*leaving, answering=True)) is AbortReason.TOO_FEW_SIGNATURES
    assert shortfall_of(trace_of(*leaving[:2], answering=True)) is None
