import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fecosr.ids import NodeId
from fecosr.secagg.encoding import UpdateEncoding
from fecosr.secagg.messages import Phase
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.run import run_secagg
from fecosr.secagg.server import Aborted, AbortReason, Completed
from tests.reference.rehearsal import CONTEXT, NAMES, make_participants, plain_sum

STAYS = None
PHASES = list(Phase)


def survivors_of(leaving: dict[NodeId, Phase | None]) -> set[NodeId]:
    """Return whose vectors arrive: those who get through the first three phases."""
    early = PHASES[:3]
    return {client for client, phase in leaving.items() if phase not in early}


def expected_abort(leaving: dict[NodeId, Phase | None], n_min: int, max_colluding: int) -> AbortReason | None:
    """Return in which phase too few are left, counted by hand."""
    reasons = dict(zip(PHASES, list(AbortReason)[:5], strict=True))
    left = len(leaving)
    needed = n_min
    for phase in PHASES:
        left -= sum(when is phase for when in leaving.values())
        if left < needed:
            return reasons[phase]
        if phase is Phase.ADVERTISE_KEYS:
            threshold = (left + max_colluding) // 2 + 1
            needed = max(n_min, threshold)
        if phase is Phase.MASKED_INPUT:
            needed = threshold
    return None


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    leaving=st.lists(st.sampled_from([STAYS, STAYS, STAYS, *PHASES]), min_size=3, max_size=7),
    max_colluding=st.integers(0, 2),
    extra=st.integers(0, 2),
    seed=st.integers(0, 10**6),
)
def test_whoever_leaves_whenever_the_sum_is_the_survivors_or_there_is_none(
    leaving: list[Phase | None], max_colluding: int, extra: int, seed: int
) -> None:
    n_min = min(max_colluding + 2 + extra, len(leaving))
    max_colluding = min(max_colluding, n_min - 2)
    participants = make_participants(len(leaving), length=5, seed=seed)
    plan = dict(zip(NAMES, leaving, strict=False))
    parameters = SecAggParameters(CONTEXT, 5, n_min, max_colluding)
    outcome = run_secagg(parameters, participants, lambda client, phase: plan[client] is phase)
    abort = expected_abort(plan, n_min, max_colluding)
    if abort is not None:
        assert isinstance(outcome, Aborted)
        assert outcome.reason is abort
        return
    assert isinstance(outcome, Completed)
    assert set(outcome.survivors) == survivors_of(plan)
    assert set(outcome.dropouts) == set(plan) - survivors_of(plan)
    assert outcome.total.tolist() == plain_sum(participants, outcome.survivors)


def test_nobody_leaves_by_default() -> None:
    participants = make_participants(3)
    outcome = run_secagg(SecAggParameters(CONTEXT, 6, 3, 1), participants)
    assert isinstance(outcome, Completed)
    assert outcome.survivors == NAMES[:3]
    assert not outcome.dropouts
    assert outcome.total.tolist() == plain_sum(participants, NAMES[:3])


def test_participants_vectors_are_left_as_they_are() -> None:
    participants = make_participants(3)
    before = [someone.vector.tolist() for someone in participants]
    run_secagg(SecAggParameters(CONTEXT, 6, 3, 1), participants)
    assert [someone.vector.tolist() for someone in participants] == before


def test_a_participant_never_shows_vector_or_entropy() -> None:
    someone = make_participants(1)[0]
    shown = repr(someone)
    assert str(int(someone.vector[0])) not in shown
    assert repr(someone.entropy) not in shown
    assert someone.entropy.hex() not in shown


@pytest.mark.parametrize("ring_bits", [24, 16])
def test_a_sum_in_a_small_ring_survives_dropouts(ring_bits: int) -> None:
    participants = make_participants(6, length=9)
    parameters = SecAggParameters(CONTEXT, 9, 3, 1, ring_bits)
    gone = NAMES[2]
    outcome = run_secagg(
        parameters, participants, lambda client, phase: client == gone and phase is Phase.MASKED_INPUT
    )
    assert isinstance(outcome, Completed)
    assert gone not in outcome.survivors
    assert outcome.total.tolist() == plain_sum(participants, outcome.survivors, ring_bits)


def test_a_ring_decodes_what_its_clients_encoded() -> None:
    encoding = UpdateEncoding(300, 1.0, 5, 8.0, ring_bits=16, rotation_seed=CONTEXT)
    updates = np.random.default_rng(1).standard_normal((5, 300)).astype(np.float32) / np.float32(20)
    participants = [
        replace(someone, vector=encoding.encode(update, 0.5, 2.0, bytes(32)))
        for someone, update in zip(make_participants(5), updates, strict=True)
    ]
    outcome = run_secagg(SecAggParameters(CONTEXT, encoding.length, 3, 1, 16), participants)
    assert isinstance(outcome, Completed)
    decoded = encoding.decode(outcome.total, 5)
    error = np.linalg.norm(decoded.update_sum - 0.5 * updates.sum(axis=0))
    assert error <= math.sqrt(300) * 5 / encoding.update_scale
    assert (decoded.weight, decoded.loss) == (2.5, 5.0)
