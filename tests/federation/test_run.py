"""Whole runs in memory, told as they would happen."""

from typing import TypeVar

import numpy as np
import pytest

from fecosr.errors import MisuseError
from fecosr.federation.aggregation import Vector, parameters_hash, sum_hash
from fecosr.federation.coordinator import open_run
from fecosr.federation.effects import AttemptClaimed, CheckpointKept, ReleaseSeen, SumOpened
from fecosr.federation.ending import EarlyStopping
from fecosr.federation.handover import Finishing, GivenUp, Stopped
from fecosr.federation.node_states import Refused
from fecosr.federation.optimisers import Adaptive, ServerOptimiser, Sgd
from fecosr.federation.run import FederationRun, run_federation
from fecosr.ids import NodeId
from fecosr.ledger.log import verify_log
from fecosr.ledger.records import (
    CohortFixed,
    RoundAborted,
    RoundOpened,
    RoundReleased,
    RunAborted,
    RunCompleted,
    RunOpened,
    SurvivorsFixed,
    kind_of,
)
from fecosr.secagg.messages import Phase
from tests.reference.small_federation import SmallFederation

Kind = TypeVar("Kind")

# One unit of the fixed-point encoding is below 1e-7 here; float32 rounds more coarsely.
TOLERANCE = 1e-5


@pytest.fixture
def four_markets() -> SmallFederation:
    return SmallFederation(["de", "fr", "jp", "uk"])


def undisturbed(federation: SmallFederation) -> FederationRun:
    """Run a whole federation in which nobody fails."""
    return run_federation(
        federation.setup, federation.nodes(), federation.initial, federation.train, federation.entropy
    )


def start(federation: SmallFederation) -> FederationRun:
    """Open a run and let every market arrive."""
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, run.now))
    for node in federation.nodes():
        run.node_arrives(node)
    return run


def deliver_until(run: FederationRun, event: str, **fields: object) -> None:
    """Deliver messages until the coordinator has logged an event."""
    while not seen(run, event, **fields):
        assert run.deliver_next(), f"nothing left to deliver before {event}"


def seen(run: FederationRun, event: str, **fields: object) -> bool:
    return any(
        name == "coordinator" and logged == event and fields.items() <= values.items()
        for name, logged, values in run.log
    )


def deliver_all(run: FederationRun) -> None:
    while run.deliver_next():
        pass


def bodies(run: FederationRun, kind: type[Kind]) -> list[Kind]:
    return [entry.body for entry in run.ledger if isinstance(entry.body, kind)]


def final_model(run: FederationRun) -> Vector:
    return run.models[bodies(run, RunCompleted)[0].final_model_hash]


def test_two_rounds_end_with_the_model_that_averaging_in_the_open_yields(
    four_markets: SmallFederation,
) -> None:
    run = undisturbed(four_markets)

    assert run.coordinator == Stopped(completed=True, reason="", missing=())
    final = final_model(run)
    expected = four_markets.initial + 2 * four_markets.mean_update(four_markets.names)
    np.testing.assert_allclose(final, expected, atol=TOLERANCE)
    assert run.fine_tuning == dict.fromkeys(four_markets.names, parameters_hash(final))


@pytest.mark.parametrize(("ring_bits", "tolerance"), [(24, 1e-3), (16, 0.2)])
def test_a_smaller_ring_changes_the_model_by_its_rounding_only(ring_bits: int, tolerance: float) -> None:
    federation = SmallFederation(["de", "fr", "jp", "uk"], ring_bits=ring_bits)
    run = undisturbed(federation)

    expected = federation.initial + 2 * federation.mean_update(federation.names)
    np.testing.assert_allclose(final_model(run), expected, atol=tolerance)
    assert not np.array_equal(final_model(run), final_model(undisturbed(SmallFederation(federation.names))))
    assert {opened.manifest.ring_bits for opened in bodies(run, RoundOpened)} == {ring_bits}


def test_the_ledger_tells_every_step_in_order_and_verifies(four_markets: SmallFederation) -> None:
    run = undisturbed(four_markets)

    one_round = ["round_opened", "cohort_fixed", "survivors_fixed", "unmasking_begun", "round_released"]
    assert [kind_of(entry.body) for entry in run.ledger] == [
        "run_opened",
        *one_round,
        *one_round,
        "run_completed",
    ]
    head = verify_log(run.ledger, four_markets.setup.key.public).head
    assert head.size == len(run.ledger)
    released = bodies(run, RoundReleased)
    assert released[0].model_in == bodies(run, RunOpened)[0].initial_model_hash
    assert released[0].model_out == released[1].model_in


def test_every_node_stores_what_it_must_before_it_acts(four_markets: SmallFederation) -> None:
    run = undisturbed(four_markets)

    for records in run.records.values():
        claims = [record for record in records if isinstance(record, AttemptClaimed)]
        assert [(claim.round, claim.attempt) for claim in claims] == [(1, 1), (2, 1)]
        assert len([record for record in records if isinstance(record, SumOpened)]) == 2
        sizes = [record.kept.checkpoint.size for record in records if isinstance(record, CheckpointKept)]
        assert sizes == sorted(sizes)
        assert sizes[-1] == len(run.ledger)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_market_that_dies_in_any_phase_does_not_stop_the_round(
    four_markets: SmallFederation, phase: Phase
) -> None:
    run = start(four_markets)
    deliver_until(run, "phase_started", round=1, phase=phase.value)
    run.node_crashes(NodeId("jp"))
    deliver_all(run)

    released = bodies(run, RoundReleased)
    assert [body.round for body in released] == [1]
    survivors = released[0].survivors
    # Once its masked vector is in the sum, a market counts although it is gone.
    in_the_sum = phase in {Phase.CONSISTENCY, Phase.UNMASK}
    assert (NodeId("jp") in survivors) == in_the_sum
    expected = four_markets.initial + four_markets.mean_update(survivors)
    np.testing.assert_allclose(run.models[released[0].model_out], expected, atol=TOLERANCE)


def test_a_market_that_comes_back_takes_part_in_the_next_round(four_markets: SmallFederation) -> None:
    run = start(four_markets)
    deliver_until(run, "phase_started", round=1, phase=Phase.MASKED_INPUT.value)
    run.node_crashes(NodeId("jp"))
    run.node_arrives(four_markets.node("jp"))
    deliver_all(run)

    assert [body.survivors for body in bodies(run, RoundReleased)] == [("de", "fr", "uk"), four_markets.names]
    assert run.fine_tuning.keys() == set(four_markets.names)


def test_a_market_gone_for_good_is_waited_for_once(four_markets: SmallFederation) -> None:
    run = start(four_markets)
    deliver_until(run, "phase_started", round=1, phase=Phase.MASKED_INPUT.value)
    run.node_crashes(NodeId("jp"))
    deliver_all(run)
    assert len(bodies(run, RoundReleased)) == 1

    run.time_passes()
    deliver_all(run)

    assert [body.round for body in bodies(run, RoundReleased)] == [1, 2]
    assert run.now == pytest.approx(four_markets.plan.join_seconds)
    run.time_passes()
    assert run.coordinator == Stopped(completed=True, reason="", missing=(NodeId("jp"),))


def test_too_few_markets_abort_the_attempt_and_it_is_tried_again_with_fresh_keys(
    four_markets: SmallFederation,
) -> None:
    run = start(four_markets)
    deliver_until(run, "phase_started", round=1, phase=Phase.MASKED_INPUT.value)
    run.node_crashes(NodeId("jp"))
    run.node_crashes(NodeId("uk"))
    deliver_all(run)

    aborted = bodies(run, RoundAborted)
    assert [(body.round, body.attempt, body.reason) for body in aborted] == [(1, 1, "too_few_inputs")]
    run.node_arrives(four_markets.node("jp"))
    run.node_arrives(four_markets.node("uk"))
    deliver_all(run)

    assert [(body.round, body.attempt) for body in bodies(run, RoundReleased)] == [(1, 2), (2, 1)]
    first, second = bodies(run, CohortFixed)[:2]
    assert first.session != second.session
    keys = [{advert.mask_public for advert in cohort.adverts} for cohort in (first, second)]
    assert keys[0].isdisjoint(keys[1])


def test_a_retry_contributes_the_same_update_without_training_again(four_markets: SmallFederation) -> None:
    run = start(four_markets)
    deliver_until(run, "phase_started", round=1, phase=Phase.MASKED_INPUT.value)
    run.node_crashes(NodeId("jp"))
    run.node_crashes(NodeId("uk"))
    deliver_all(run)
    run.node_arrives(four_markets.node("jp"))
    run.node_arrives(four_markets.node("uk"))
    deliver_until(run, "round_released", round=1)

    assert four_markets.trained.count((NodeId("de"), 1, 1)) == 1
    assert (NodeId("de"), 1, 2) not in four_markets.trained
    assert (NodeId("jp"), 1, 2) in four_markets.trained


def test_after_a_sum_may_have_been_opened_the_retry_is_over_the_same_markets(
    four_markets: SmallFederation,
) -> None:
    run = start(four_markets)
    deliver_until(run, "phase_started", round=1, phase=Phase.UNMASK.value)
    for name in ("jp", "uk"):
        run.node_crashes(NodeId(name))
    deliver_all(run)

    aborted = bodies(run, RoundAborted)
    assert [(body.reason, body.unmasked) for body in aborted] == [("too_few_unmask_shares", True)]
    run.node_arrives(four_markets.node("jp"))
    deliver_all(run)
    run.now += 10 * four_markets.plan.join_seconds
    assert not bodies(run, RoundReleased), "three of the four markets are not enough any more"

    run.node_arrives(four_markets.node("uk"))
    deliver_until(run, "round_released", round=1)
    survivors = [body.survivors for body in bodies(run, SurvivorsFixed)]
    assert survivors[0] == survivors[1] == four_markets.names


def test_a_retry_that_loses_one_of_its_markets_opens_nothing_and_accuses_nobody(
    four_markets: SmallFederation,
) -> None:
    """After a sum may have been opened, the coordinator itself must not open a smaller one."""
    run = start(four_markets)
    deliver_until(run, "phase_started", round=1, phase=Phase.UNMASK.value)
    for name in ("jp", "uk"):
        run.node_crashes(NodeId(name))
    deliver_all(run)
    for name in ("jp", "uk"):
        run.node_arrives(four_markets.node(name))
    deliver_until(run, "phase_started", attempt=2, phase=Phase.MASKED_INPUT.value)
    run.node_crashes(NodeId("uk"))
    deliver_all(run)

    assert [body.reason for body in bodies(run, RoundAborted)] == [
        "too_few_unmask_shares",
        "bound_node_missing",
    ]
    assert not bodies(run, RoundReleased)
    assert not any(event == "refused" for _, event, _ in run.log)
    run.node_arrives(four_markets.node("uk"))
    deliver_until(run, "round_released", round=1)
    assert {body.survivors for body in bodies(run, SurvivorsFixed)} == {four_markets.names}


def test_the_run_is_given_up_after_the_last_attempt() -> None:
    federation = SmallFederation(["de", "fr", "jp", "uk"], max_attempts=1)
    run = start(federation)
    deliver_until(run, "phase_started", round=1, phase=Phase.MASKED_INPUT.value)
    run.node_crashes(NodeId("jp"))
    run.node_crashes(NodeId("uk"))
    deliver_all(run)

    assert bodies(run, RunAborted) == [RunAborted(0, "too_few_inputs")]
    assert [type(state) for state in (run.coordinator,)] == [GivenUp], "those who left must still be told"
    run.node_arrives(federation.node("jp"))
    deliver_all(run)
    assert isinstance(run.nodes[NodeId("jp")], Refused)
    run.time_passes()
    assert run.coordinator == Stopped(completed=False, reason="too_few_inputs", missing=(NodeId("uk"),))
    assert not run.fine_tuning


def test_no_round_opens_below_n_min(four_markets: SmallFederation) -> None:
    run = FederationRun(four_markets.train, four_markets.entropy)
    run.coordinator_does(open_run(four_markets.setup, four_markets.initial, 0.0))
    for name in ("de", "fr"):
        run.node_arrives(four_markets.node(name))
    deliver_all(run)

    assert run.deadline is None
    assert not bodies(run, RoundOpened)
    with pytest.raises(MisuseError):
        run.time_passes()


@pytest.mark.parametrize(
    "server", [Sgd(learning_rate=0.5, momentum=0.9), Adaptive("adam", 0.1), Adaptive("yogi", 0.1)]
)
def test_a_coordinator_that_dies_after_any_release_goes_on_with_its_moments(server: ServerOptimiser) -> None:
    """Otherwise the adaptive step would start afresh, and the run end with another model."""
    federation = SmallFederation(["de", "fr", "jp", "uk"], rounds=4, server=server)
    expected = final_model(undisturbed(federation))
    for number in (1, 2, 3):
        run = start(federation)
        deliver_until(run, "round_released", round=number)
        run.coordinator_restarts(federation.setup)
        deliver_all(run)
        np.testing.assert_allclose(final_model(run), expected, atol=TOLERANCE)


def test_every_release_names_the_state_it_leaves_behind() -> None:
    federation = SmallFederation(["de", "fr", "jp", "uk"], rounds=3, server=Adaptive("yogi", 0.1))
    run = undisturbed(federation)
    released = bodies(run, RoundReleased)
    assert len({body.optimiser_state for body in released}) == 3
    for body in released:
        assert run.optimiser_states[body.optimiser_state].hash() == body.optimiser_state
        assert sum_hash(run.sums[body.total_hash]) == body.total_hash


def test_only_invited_markets_take_part_and_each_round_is_their_mean() -> None:
    federation = SmallFederation(["de", "es", "fr", "it", "jp", "uk"], participation=0.6, rounds=5)
    run = undisturbed(federation)

    expected, cohorts = federation.initial, []
    for body in bodies(run, RoundReleased):
        assert set(body.survivors) == federation.setup.invited(body.round)
        assert len(body.survivors) == 4
        cohorts.append(body.survivors)
        expected = expected + federation.mean_update(body.survivors)
    assert len(set(cohorts)) > 1
    np.testing.assert_allclose(final_model(run), expected, atol=TOLERANCE)
    assert run.fine_tuning.keys() == set(federation.names), "the final model is everybody's"
    assert not any(event == "refused" for _, event, _ in run.log)


def test_a_round_does_not_wait_for_markets_it_did_not_invite() -> None:
    federation = SmallFederation(["de", "es", "fr", "it", "jp", "uk"], participation=4, rounds=1)
    called = sorted(federation.setup.invited(1))
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for name in called[:-1]:
        run.node_arrives(federation.node(name))
    deliver_all(run)
    waiting = [fields for _, event, fields in run.log if event == "waiting_for"][-1]
    assert waiting["markets"] == [called[-1]]
    run.node_arrives(federation.node(called[-1]))
    deliver_all(run)
    assert [body.survivors for body in bodies(run, RoundReleased)] == [tuple(called)]


def test_others_do_not_stand_in_for_invited_markets_that_stay_away() -> None:
    """Else whoever says who is away would choose who takes part."""
    federation = SmallFederation(["de", "es", "fr", "it", "jp", "uk"], participation=4, rounds=1)
    called = sorted(federation.setup.invited(1))
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for name in federation.names:
        if name not in called[2:]:
            run.node_arrives(federation.node(name))
    deliver_all(run)
    assert run.deadline is None
    assert not bodies(run, RoundOpened)
    run.node_arrives(federation.node(called[2]))
    deliver_all(run)
    run.time_passes()
    deliver_all(run)
    assert [body.survivors for body in bodies(run, RoundReleased)] == [tuple(called[:3])]


class Rehearsed(SmallFederation):
    """Let every market measure the same, as told round by round."""

    def __init__(self, *validations: float, patience: int = 1, **changes: object) -> None:
        values: dict[str, object] = {
            "rounds": 12,
            "releases_validation": True,
            "early_stopping": EarlyStopping(patience, min_rounds=2),
        }
        super().__init__(["de", "fr", "jp", "uk"], **{**values, **changes})
        self.validations = validations

    def validation(self, name: NodeId, round_number: int) -> float | None:
        return self.validations[min(round_number, len(self.validations)) - 1]


def test_the_mean_metric_is_weighted_like_the_updates_and_released() -> None:
    federation = SmallFederation(["de", "fr", "jp", "uk"], releases_validation=True)
    run = undisturbed(federation)
    for body in bodies(run, RoundReleased):
        weights = {name: federation.num_users(name) / 100 for name in federation.names}
        metrics = {name: federation.validation(name, body.round) or 0.0 for name in federation.names}
        mean = sum(weights[name] * metrics[name] for name in federation.names) / sum(weights.values())
        assert body.validation == pytest.approx(mean, abs=1e-6)
        assert seen(run, "round_released", round=body.round, validation=body.validation)
    for records in run.records.values():
        told = [record.release.validation for record in records if isinstance(record, ReleaseSeen)]
        assert told == [body.validation for body in bodies(run, RoundReleased)]


def test_a_market_without_validation_users_has_no_part_in_the_mean() -> None:
    class Blind(SmallFederation):
        def validation(self, name: NodeId, round_number: int) -> float | None:
            return None if name == "uk" else 0.5

    run = undisturbed(Blind(["de", "fr", "jp", "uk"], releases_validation=True))
    assert [body.validation for body in bodies(run, RoundReleased)] == pytest.approx([0.5, 0.5], abs=1e-6)


def test_a_plan_that_hides_the_metric_never_sends_it() -> None:
    hidden = SmallFederation(["de", "fr", "jp", "uk"])
    shown = SmallFederation(["de", "fr", "jp", "uk"], releases_validation=True)
    run = undisturbed(hidden)
    assert [body.validation for body in bodies(run, RoundReleased)] == [None, None]
    lengths = {len(total) for total in run.sums.values()}
    assert {length + 2 for length in lengths} == {len(total) for total in undisturbed(shown).sums.values()}


def test_a_run_ends_early_with_its_best_model() -> None:
    federation = Rehearsed(0.1, 0.2, 0.4, 0.3, 0.35, patience=2)
    run = undisturbed(federation)
    released = bodies(run, RoundReleased)
    assert len(released) == 5
    # Round 3 measured what round 2 released.
    assert bodies(run, RunCompleted) == [RunCompleted(5, released[1].model_out)]
    assert set(run.fine_tuning.values()) == {released[1].model_out}
    assert run.coordinator == Stopped(completed=True, reason="", missing=())
    assert not any(event == "refused" for _, event, _ in run.log)
    assert seen(run, "run_completed", rounds=5, final_round=2)


def test_a_run_that_always_improves_has_all_its_rounds() -> None:
    run = undisturbed(Rehearsed(0.1, 0.2, 0.3, 0.4, rounds=4))
    released = bodies(run, RoundReleased)
    # The model of the last round was never measured.
    assert bodies(run, RunCompleted) == [RunCompleted(4, released[2].model_out)]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_coordinator_that_dies_after_any_round_still_ends_with_the_best_model(number: int) -> None:
    federation = Rehearsed(0.1, 0.2, 0.4, 0.3, 0.35, patience=2, server=Adaptive("adam", 0.1))
    run = start(federation)
    deliver_until(run, "round_released", round=number)
    run.coordinator_restarts(federation.setup)
    deliver_all(run)
    released = bodies(run, RoundReleased)
    assert bodies(run, RunCompleted) == [RunCompleted(5, released[1].model_out)]
    assert set(run.fine_tuning.values()) == {released[1].model_out}
    assert not any(event == "refused" for _, event, _ in run.log)


@pytest.mark.parametrize("dies", [False, True])
def test_the_parameters_handed_over_at_the_end_are_those_of_the_best_model(dies: bool) -> None:
    federation = Rehearsed(0.1, 0.2, 0.4, 0.3, 0.35, patience=2)
    run = start(federation)
    deliver_until(run, "run_completed")
    if dies:
        run.coordinator_restarts(federation.setup)
    assert isinstance(run.coordinator, Finishing)
    best = bodies(run, RoundReleased)[1].model_out
    assert run.coordinator.progress.model_hash == parameters_hash(run.coordinator.progress.parameters) == best
    deliver_all(run)
    assert set(run.fine_tuning.values()) == {best}


def test_a_market_that_missed_rounds_checks_the_end_by_its_history() -> None:
    federation = Rehearsed(0.1, 0.2, 0.4, 0.3, 0.35, patience=2)
    run = start(federation)
    deliver_until(run, "phase_started", round=2, phase=Phase.MASKED_INPUT.value)
    run.node_crashes(NodeId("jp"))
    deliver_until(run, "round_released", round=2)
    run.node_arrives(federation.node("jp"))
    deliver_all(run)
    assert run.fine_tuning.keys() == set(federation.names)
    assert not any(event == "refused" for _, event, _ in run.log)
