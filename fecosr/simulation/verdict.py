"""Judge a simulated session by what an onlooker saw, without asking the server how it counts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fecosr.ids import NodeId
from fecosr.secagg.messages import Phase
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.server import AbortReason, Completed, DropoutReason
from fecosr.simulation.participants import Participating, oracle_sum
from fecosr.simulation.session import SimulatedSession
from fecosr.simulation.trace import Trace

_TOO_FEW: Final[Mapping[Phase, AbortReason]] = {
    Phase.ADVERTISE_KEYS: AbortReason.TOO_FEW_ADVERTS,
    Phase.SHARE_KEYS: AbortReason.TOO_FEW_SHARES,
    Phase.MASKED_INPUT: AbortReason.TOO_FEW_INPUTS,
    Phase.CONSISTENCY: AbortReason.TOO_FEW_SIGNATURES,
    Phase.UNMASK: AbortReason.TOO_FEW_UNMASK_SHARES,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say how a session ended and whether it had to end like that.

    Attributes:
        completed: whether there is a sum.
        survivors: whose vectors are in it, sorted.
        dropouts: who left, counted by phase and reason.
        abort: why there is no sum; None when there is one.
        expected_abort: why there could be none, counted by the onlooker; None when there had to be one.
        sum_correct: whether the sum equals the survivors' vectors added up in the clear; None without a sum.
        faults: what went wrong that no fault of the network excuses, one sentence each.
    """

    completed: bool
    survivors: tuple[NodeId, ...]
    dropouts: Mapping[Phase, Mapping[DropoutReason, int]]
    abort: AbortReason | None
    expected_abort: AbortReason | None
    sum_correct: bool | None
    faults: tuple[str, ...]


def judge(session: SimulatedSession, participants: Sequence[Participating]) -> Verdict:
    """Return the verdict on a session of honest clients."""
    outcome = session.outcome
    expected_abort = shortfall(session.parameters, session.trace)
    correct: bool | None = None
    if isinstance(outcome, Completed):
        oracle = oracle_sum(participants, outcome.survivors, session.parameters)
        correct = bool(np.array_equal(outcome.total, oracle))
    survivors = outcome.survivors if isinstance(outcome, Completed) else ()
    abort = None if isinstance(outcome, Completed) else outcome.reason
    return Verdict(
        completed=isinstance(outcome, Completed),
        survivors=survivors,
        dropouts=_count(session.trace),
        abort=abort,
        expected_abort=expected_abort,
        sum_correct=correct,
        faults=tuple(_faults(session, abort, expected_abort, correct)),
    )


def shortfall(parameters: SecAggParameters, trace: Trace) -> AbortReason | None:
    """Return in which phase so many had left that there could be no sum, counted one phase after another."""
    asked = set(trace.expected)
    needed = dict.fromkeys(Phase, parameters.n_min)
    for phase in Phase:
        left = {departure.client for departure in trace.departures if departure.phase is phase}
        # Keys and shares of who left are of no use; vectors, signatures and revealed shares count for good.
        lost = left if phase in (Phase.ADVERTISE_KEYS, Phase.SHARE_KEYS) else left - trace.answered[phase]
        if len(asked - lost) < needed[phase]:
            return _TOO_FEW[phase]
        asked -= left
        if phase is Phase.ADVERTISE_KEYS:
            needed |= _needed_of(parameters, len(asked))
    return None


def _needed_of(parameters: SecAggParameters, cohort_size: int) -> Mapping[Phase, int]:
    fewest, quorum = parameters.fewest_survivors(cohort_size), parameters.threshold(cohort_size)
    return {
        Phase.SHARE_KEYS: fewest,
        Phase.MASKED_INPUT: fewest,
        Phase.CONSISTENCY: quorum,
        Phase.UNMASK: quorum,
    }


def _count(trace: Trace) -> Mapping[Phase, Mapping[DropoutReason, int]]:
    counted = Counter((departure.phase, departure.reason) for departure in trace.departures)
    phases = sorted({phase for phase, _ in counted}, key=list(Phase).index)
    return {
        phase: {reason: counted[phase, reason] for reason in DropoutReason if counted[phase, reason]}
        for phase in phases
    }


def _faults(
    session: SimulatedSession,
    abort: AbortReason | None,
    expected_abort: AbortReason | None,
    sum_correct: bool | None,
) -> list[str]:
    faults = [f"an honest party was accused: {violation}" for violation in session.violations]
    if abort != expected_abort:
        faults.append(f"ended with {abort or 'a sum'} where {expected_abort or 'a sum'} was due")
    if sum_correct is False:
        faults.append("the sum is not the survivors' vectors added up")
    if isinstance(session.outcome, Completed):
        handed_in = session.trace.answered[Phase.MASKED_INPUT]
        if set(session.outcome.survivors) != handed_in:
            faults.append("the survivors are not exactly those who handed in a vector")
    return faults
