"""Judge a simulated session by what an onlooker saw, without asking the server how it counts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np

from fecosr.ids import NodeId
from fecosr.secagg.graph import MaskGraph, mask_graph
from fecosr.secagg.messages import Phase
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.server import AbortReason, CohortFixed, Completed, DropoutReason
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
    graph = _graph_of(session)
    expected_abort = shortfall(session.parameters, session.trace, graph)
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
        faults=tuple(_faults(session, graph, expected_abort, correct)),
    )


def shortfall(parameters: SecAggParameters, trace: Trace, graph: MaskGraph | None) -> AbortReason | None:
    """Return in which phase so many had left that there could be no sum, counted one phase after another.

    Args:
        parameters: what everybody agreed on.
        trace: what was seen.
        graph: who makes masks with whom; None: there never was a cohort.
    """
    asked = set(trace.expected)
    needed = dict.fromkeys(Phase, parameters.n_min)
    for phase in Phase:
        left = {departure.client for departure in trace.departures if departure.phase is phase}
        # Keys and shares of who left are of no use; vectors, signatures and revealed shares count for good.
        lost = left if phase in (Phase.ADVERTISE_KEYS, Phase.SHARE_KEYS) else left - trace.answered[phase]
        stayed = asked - lost
        if len(stayed) < needed[phase] or (graph and _is_torn(graph, phase, stayed, trace)):
            return _TOO_FEW[phase]
        asked -= left
        if phase is Phase.ADVERTISE_KEYS and graph:
            needed |= _needed_of(parameters, graph, len(asked))
    return None


def _is_torn(graph: MaskGraph, phase: Phase, stayed: AbstractSet[NodeId], trace: Trace) -> bool:
    """Return whether those who stayed are enough in number and still cannot open a sum in a sparse graph."""
    if phase is Phase.MASKED_INPUT:
        return graph.has_gap(stayed)
    if phase is Phase.UNMASK:
        sharers = _sharers(graph, trace)
        return any(len(stayed & set(graph.holders(owner))) < graph.threshold for owner in sharers)
    return False


def _sharers(graph: MaskGraph, trace: Trace) -> AbstractSet[NodeId]:
    early = (Phase.ADVERTISE_KEYS, Phase.SHARE_KEYS)
    left = {departure.client for departure in trace.departures if departure.phase in early}
    return graph.places.keys() - left


def _graph_of(session: SimulatedSession) -> MaskGraph | None:
    for record in session.server_records:
        if isinstance(record, CohortFixed):
            clients = [advert.client for advert in record.adverts]
            return mask_graph(session.parameters, record.session, clients)
    return None


def _needed_of(parameters: SecAggParameters, graph: MaskGraph, cohort_size: int) -> Mapping[Phase, int]:
    fewest, quorum = parameters.fewest_survivors(cohort_size), parameters.threshold(cohort_size)
    return {
        Phase.SHARE_KEYS: fewest,
        Phase.MASKED_INPUT: fewest,
        Phase.CONSISTENCY: quorum,
        Phase.UNMASK: graph.threshold,
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
    graph: MaskGraph | None,
    expected_abort: AbortReason | None,
    sum_correct: bool | None,
) -> Iterator[str]:
    outcome = session.outcome
    for violation in session.violations:
        yield f"an honest party was accused: {violation}"
    for client in sorted(_falsely_isolated(graph, session.trace) if graph else ()):
        yield f"{client} was left out although enough of its neighbours had shared"
    abort = None if isinstance(outcome, Completed) else outcome.reason
    if abort != expected_abort:
        yield f"ended with {abort or 'a sum'} where {expected_abort or 'a sum'} was due"
    if sum_correct is False:
        yield "the sum is not the survivors' vectors added up"
    if (
        isinstance(outcome, Completed)
        and set(outcome.survivors) != session.trace.answered[Phase.MASKED_INPUT]
    ):
        yield "the survivors are not exactly those who handed in a vector"


def _falsely_isolated(graph: MaskGraph, trace: Trace) -> AbstractSet[NodeId]:
    """Return who was left out for want of neighbours and, with all others like it gone, had enough."""
    claimed = {gone.client for gone in trace.departures if gone.reason is DropoutReason.ISOLATED}
    left = set(_sharers(graph, trace)) | claimed
    for _ in range(len(claimed)):
        left -= {it for it in claimed & left if len(left & set(graph.neighbours(it))) < graph.threshold}
    return claimed & left
