from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fecosr.ids import NodeId
from fecosr.secagg.client import Revealed, SharesRevealed, SurvivorsSigned
from fecosr.secagg.messages import Phase
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.server import (
    Aborted,
    CohortFixed,
    CollectingInputs,
    CollectingSignatures,
    CollectingUnmaskShares,
    Completed,
    DropoutReason,
    ServerState,
    SurvivorsFixed,
    UnmaskingBegun,
)
from fecosr.simulation.faults import Faults
from fecosr.simulation.session import PHASE_SECONDS, SimulatedSession, simulate_session
from tests.reference.object_graph import reachable
from tests.reference.rehearsal import CONTEXT, NAMES, make_participants, plain_sum

PARAMETERS = SecAggParameters(CONTEXT, length=6, n_min=3, max_colluding=1)

FAULTS = st.builds(
    Faults,
    loss=st.sampled_from([0.0, 0.0, 0.02, 0.1]),
    duplication=st.sampled_from([0.0, 0.3, 1.0]),
    crash=st.sampled_from([0.0, 0.1, 0.3]),
    notice=st.sampled_from([0.0, 0.5, 1.0]),
    most_delay_seconds=st.sampled_from([0.01, 1.0, 12.0]),
    crash_within_seconds=st.sampled_from([1.0, 5.0, 30.0]),
)


def assert_honest(session: SimulatedSession, parameters: SecAggParameters) -> None:
    """Check everything that must hold however a session of honest clients went."""
    assert session.violations == []
    outcome = session.outcome
    signed = [
        record
        for records in session.client_records.values()
        for record in records
        if isinstance(record, SurvivorsSigned)
    ]
    assert len({record.survivors for record in signed}) <= 1
    for records in session.client_records.values():
        kinds = [type(record) for record in records]
        assert kinds in ([], [SurvivorsSigned], [SurvivorsSigned, SharesRevealed])
    revealed = {client for client, state in session.clients.items() if isinstance(state, Revealed)}
    if isinstance(outcome, Completed):
        fixed = [type(record) for record in session.server_records]
        assert fixed == [CohortFixed, SurvivorsFixed, UnmaskingBegun]
        assert len(outcome.survivors) >= parameters.n_min
        assert set(outcome.survivors).isdisjoint(outcome.dropouts)
        assert set(outcome.survivors) | set(outcome.dropouts) == set(session.clients)
        assert set(outcome.departed) <= set(outcome.survivors)
        assert len(revealed) >= parameters.threshold(len(outcome.adverts))
    elif revealed:
        assert outcome.unmasked


@settings(derandomize=True, deadline=None, max_examples=50)
@given(num_clients=st.integers(3, 7), faults=FAULTS, seed=st.integers(0, 2**32))
def test_whatever_the_network_does_the_sum_is_the_survivors_or_there_is_none(
    num_clients: int, faults: Faults, seed: int
) -> None:
    participants = make_participants(num_clients, seed=seed)
    session = simulate_session(PARAMETERS, participants, faults, seed)
    assert_honest(session, PARAMETERS)
    if isinstance(session.outcome, Completed):
        survivors = session.outcome.survivors
        assert session.outcome.total.tolist() == plain_sum(participants, survivors)
    else:
        assert isinstance(session.outcome, Aborted)
        assert session.outcome.detail


def test_delay_reordering_and_duplication_alone_cost_nobody() -> None:
    participants = make_participants(6)
    for seed in range(15):
        faults = Faults(duplication=1.0, most_delay_seconds=4.9)
        session = simulate_session(PARAMETERS, participants, faults, seed)
        assert isinstance(session.outcome, Completed)
        assert session.outcome.survivors == NAMES[:6]
        assert session.outcome.total.tolist() == plain_sum(participants, NAMES[:6])
        assert not session.outcome.departed


def test_the_seed_decides_everything() -> None:
    participants = make_participants(6)
    faults = Faults(loss=0.05, duplication=0.2, crash=0.2, notice=0.5, most_delay_seconds=3.0)
    once, again, other = (simulate_session(PARAMETERS, participants, faults, seed) for seed in (5, 5, 6))
    assert once.seconds == again.seconds
    assert once.server_records == again.server_records
    assert once.client_records == again.client_records
    assert once.crashed == again.crashed
    assert once.seconds != other.seconds


def test_faults_of_every_kind_are_survived_and_aborts_happen_too() -> None:
    participants = make_participants(7)
    faults = Faults(loss=0.02, duplication=0.2, crash=0.25, notice=0.5)
    sessions = [simulate_session(PARAMETERS, participants, faults, seed) for seed in range(20)]
    outcomes = [session.outcome for session in sessions]
    reasons = {
        reason
        for outcome in outcomes
        if isinstance(outcome, Completed)
        for reason in (*outcome.dropouts.values(), *outcome.departed.values())
    }
    assert reasons == {DropoutReason.DISCONNECTED, DropoutReason.DEADLINE}
    assert any(isinstance(outcome, Completed) and outcome.departed for outcome in outcomes)
    assert any(isinstance(outcome, Completed) and outcome.dropouts for outcome in outcomes)
    assert any(isinstance(outcome, Aborted) for outcome in outcomes)


def test_an_unnoticed_crash_costs_the_deadline_and_a_noticed_one_does_not() -> None:
    participants = make_participants(6)
    crashing = Faults(crash=0.2, crash_within_seconds=0.0)
    noticed = simulate_session(PARAMETERS, participants, replace(crashing, notice=1.0), seed=3)
    silent = simulate_session(PARAMETERS, participants, replace(crashing, notice=0.0), seed=3)
    assert noticed.crashed == silent.crashed
    assert noticed.crashed
    # It crashed at once, but what it had sent before, its advert, was under way.
    assert noticed.seconds < 10.0 < silent.seconds


def test_a_client_too_slow_for_the_deadline_is_a_dropout() -> None:
    participants = make_participants(5)
    patience = {**PHASE_SECONDS, Phase.ADVERTISE_KEYS: 0.5}
    session = simulate_session(PARAMETERS, participants, Faults(), seed=1, phase_seconds=patience)
    assert session.outcome.dropouts
    assert set(session.outcome.dropouts.values()) == {DropoutReason.DEADLINE}


def test_no_state_the_server_goes_through_holds_a_clients_vector() -> None:
    participants = make_participants(5, length=32)
    vectors = {someone.client: someone.vector for someone in participants}
    raw = {vector.tobytes() for vector in vectors.values()}
    looked_at = set[type[ServerState]]()

    def watch(state: ServerState) -> None:
        looked_at.add(type(state))
        arrays = [item for item in reachable(state) if isinstance(item, np.ndarray)]
        assert len(arrays) <= 1
        for array in arrays:
            assert not any(np.array_equal(array, vector) for vector in vectors.values())
        assert not any(isinstance(item, bytes) and item in raw for item in reachable(state))

    parameters = replace(PARAMETERS, length=32)
    faults = Faults(duplication=0.3, crash=0.1)
    for seed in range(5):
        simulate_session(parameters, participants, faults, seed, watch=watch)
    assert {CollectingInputs, CollectingSignatures, CollectingUnmaskShares, Completed} <= looked_at


def test_messages_slower_than_a_phase_neither_count_nor_harm() -> None:
    participants = make_participants(4)
    faults = Faults(most_delay_seconds=8.0)
    completed = cut_off = 0
    for seed in range(30):
        session = simulate_session(PARAMETERS, participants, faults, seed)
        assert_honest(session, PARAMETERS)
        if isinstance(session.outcome, Completed):
            completed += 1
            cut_off += bool(session.outcome.dropouts)
            assert session.outcome.total.tolist() == plain_sum(participants, session.outcome.survivors)
    assert completed
    assert cut_off


@pytest.mark.parametrize("num_clients", [3, 5])
def test_a_perfect_network_takes_five_round_trips_at_most(num_clients: int) -> None:
    session = simulate_session(PARAMETERS, make_participants(num_clients), Faults(), seed=0)
    assert isinstance(session.outcome, Completed)
    assert session.outcome.survivors == tuple(NodeId(name) for name in NAMES[:num_clients])
    # Nine messages one after another, each at most a second.
    assert 0 < session.seconds <= 9.0
