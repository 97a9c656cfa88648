"""Runs in privacy mode "distributed": what is charged, what is opened, and what no crash may forget."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from fecosr.errors import CryptoError, ProtocolViolation
from fecosr.federation.coordinator import open_run
from fecosr.federation.effects import CheckpointKept, NodeRecord
from fecosr.federation.memory import remembered
from fecosr.federation.messages import NoiseTerms, RoundTask
from fecosr.federation.private_rounds import PrivateContribution, PrivateEncoding
from fecosr.federation.recorded import event_from
from fecosr.federation.run import FederationRun, run_federation
from fecosr.federation.spending import BUDGET_SPENT
from fecosr.ids import NodeId
from fecosr.ledger.records import RoundOpened, RoundReleased, RunAborted, RunOpened
from fecosr.privacy.accounting import EventCounts, pld_epsilon
from fecosr.privacy.budget import Charged, TakenBack
from fecosr.secagg.messages import Phase
from tests.reference.private_federation import PRIVACY, PrivateFederation

Kind = TypeVar("Kind")

FR = NodeId("fr")


def deliver_until(run: FederationRun, event: str, **fields: object) -> None:
    while not any(
        name == "coordinator" and logged == event and fields.items() <= values.items()
        for name, logged, values in run.log
    ):
        assert run.deliver_next(), f"nothing left to deliver before {event}"


def deliver_all(run: FederationRun) -> None:
    while run.deliver_next():
        pass


def bodies(run: FederationRun, kind: type[Kind]) -> list[Kind]:
    return [entry.body for entry in run.ledger if isinstance(entry.body, kind)]


@pytest.fixture
def federation() -> PrivateFederation:
    return PrivateFederation()


def undisturbed(federation: PrivateFederation) -> FederationRun:
    small = federation.small
    return run_federation(small.setup, federation.nodes(), small.initial, federation.train, small.entropy)


def start(federation: PrivateFederation) -> FederationRun:
    small = federation.small
    run = FederationRun(federation.train, small.entropy)
    run.coordinator_does(open_run(small.setup, small.initial, run.now))
    for node in federation.nodes():
        run.node_arrives(node)
    return run


def charges(records: list[NodeRecord]) -> set[str]:
    """Return the names of the charges that are in force after a node started again from its records."""
    return set(remembered(records).spending.charges)


def test_a_round_steps_against_the_clipped_sum_over_a_public_constant(federation: PrivateFederation) -> None:
    run = undisturbed(federation)

    small = federation.small
    released = bodies(run, RoundReleased)
    assert len(released) == 2
    step = run.models[released[0].model_out] - small.initial
    expected = federation.expected_step(small.names)
    mechanism = small.plan.mechanism(len(small.initial), len(small.names))
    assert mechanism is not None
    # Four nodes add noise although two shares would do.
    stddev = (4 * mechanism.share_variance) ** 0.5 * mechanism.unit / PRIVACY.expected_users
    assert np.abs(step - expected).max() < 6 * stddev
    assert np.abs(step - expected).std() > stddev / 3


def test_the_manifest_states_the_noise_and_the_ledger_what_it_costs(federation: PrivateFederation) -> None:
    run = undisturbed(federation)

    small = federation.small
    mechanism = small.plan.mechanism(len(small.initial), len(small.names))
    assert mechanism is not None
    assert mechanism.num_shares == 2
    for opened in bodies(run, RoundOpened):
        assert opened.manifest.noise is not None
        assert opened.manifest.noise.share_variance == mechanism.share_variance
    terms = bodies(run, RunOpened)[0].privacy
    assert (terms.mode, terms.epsilon, terms.delta) == ("distributed", 8.0, 1e-5)
    for released in bodies(run, RoundReleased):
        assert event_from(released.privacy_event) == PRIVACY.event(mechanism)
        assert released.validation is None
    assert not any("loss" in fields for _, event, fields in run.log if event == "round_released")


def test_every_charge_is_stored_before_its_attempt_is_claimed(federation: PrivateFederation) -> None:
    run = undisturbed(federation)

    for records in run.records.values():
        kinds = [type(record).__name__ for record in records if not isinstance(record, CheckpointKept)]
        assert kinds[:2] == ["Charged", "AttemptClaimed"]
        assert charges(records) == {"round 1 attempt 1", "round 2 attempt 1"}
        assert not any(isinstance(record, TakenBack) for record in records)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_node_killed_at_any_point_never_forgets_a_charge(
    federation: PrivateFederation, phase: Phase
) -> None:
    run = start(federation)
    deliver_until(run, "phase_started", round=1, phase=phase.value)
    before = charges(run.records[FR])
    run.node_crashes(FR)
    assert charges(run.records[FR]) == before
    # The coordinator has opened the first phase before anybody has heard of the round.
    assert before == (set() if phase is Phase.ADVERTISE_KEYS else {"round 1 attempt 1"})
    run.node_arrives(federation.node("fr"))
    deliver_all(run)

    sums = {
        f"round {body.round} attempt {body.attempt}"
        for body in bodies(run, RoundReleased)
        if FR in body.survivors
    }
    assert sums <= charges(run.records[FR])


def test_every_prefix_of_what_is_stored_covers_every_vector_that_left(federation: PrivateFederation) -> None:
    """Kill a node after each single record and count what its disk says against what it had sent."""
    run = start(federation)
    sent: set[str] = set()
    while run.deliver_next():
        for sender, message in run.to_coordinator:
            body = getattr(message, "body", None)
            if sender == FR and type(body).__name__ == "MaskedInput":
                sent.add(f"round {message.round} attempt {message.attempt}")  # type: ignore[union-attr]
        assert sent <= charges(run.records[FR])
    assert sent == {"round 1 attempt 1", "round 2 attempt 1"}


def test_a_charge_is_taken_back_when_no_vector_has_left(federation: PrivateFederation) -> None:
    run = start(federation)
    deliver_until(run, "phase_started", round=1, phase=Phase.SHARE_KEYS.value)
    for name in ("jp", "uk"):
        run.node_crashes(NodeId(name))
    deliver_all(run)

    assert charges(run.records[FR]) == set()
    assert TakenBack("round 1 attempt 1") in run.records[FR]
    for name in ("jp", "uk"):
        run.node_arrives(federation.node(name))
    deliver_all(run)
    assert charges(run.records[FR]) == {"round 1 attempt 2", "round 2 attempt 1"}


def test_a_retry_has_a_contribution_of_its_own(federation: PrivateFederation) -> None:
    run = start(federation)
    deliver_until(run, "phase_started", round=1, phase=Phase.CONSISTENCY.value)
    for name in ("jp", "uk"):
        run.node_crashes(NodeId(name))
    deliver_all(run)
    assert charges(run.records[FR]) == {"round 1 attempt 1"}
    for name in ("jp", "uk"):
        run.node_arrives(federation.node(name))
    deliver_all(run)

    assert charges(run.records[FR]) == {"round 1 attempt 1", "round 1 attempt 2", "round 2 attempt 1"}
    made = federation.contributions
    vectors = {each.vector.tobytes() for each in made if isinstance(each, PrivateContribution)}
    assert len(vectors) == len(federation.contributions) == 12


def test_nodes_refuse_by_themselves_what_their_budget_does_not_allow() -> None:
    """The coordinator's own accountant is content; the node's second one is not."""
    doubtful = {"renyi": lambda events, _: 100.0 if sum(events.values()) > 1 else 1.0}
    federation = PrivateFederation(accountants=doubtful)
    run = undisturbed(federation)

    assert len(bodies(run, RoundReleased)) == 1
    refusals = {fields["rule"] for _, event, fields in run.log if event == "refused"}
    assert refusals == {"the round would pass this market's privacy budget"}
    for records in run.records.values():
        assert charges(records) == {"round 1 attempt 1"}
    assert bodies(run, RunAborted) == [RunAborted(1, BUDGET_SPENT)]
    assert len(bodies(run, RoundOpened)) == 2, "nobody is asked again who said that the budget is spent"


def doubtful(events: EventCounts, delta: float) -> float:
    """Be an accountant that finds more than one round too expensive."""
    del delta
    return 100.0 if sum(events.values()) > 1 else 1.0


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_a_market_that_cannot_afford_a_round_does_not_hold_up_the_others(max_attempts: int) -> None:
    federation = PrivateFederation(max_attempts=max_attempts, rounds=4)
    setups = federation.nodes()
    setups[0] = federation.node("de", accountants={"doubtful": doubtful})
    small = federation.small
    run = run_federation(small.setup, setups, small.initial, federation.train, small.entropy)

    assert len(bodies(run, RoundReleased)) == 4
    assert [NodeId("de") in body.survivors for body in bodies(run, RoundReleased)] == [True, *[False] * 3]
    asked = [NodeId("de") in body.expected for body in bodies(run, RoundOpened)]
    assert asked == [True, True, False, False], "it is asked until it says so, and not after"


def test_the_last_attempt_ends_for_the_budget_too() -> None:
    """Else a run whose budget is spent would seem to have failed for want of markets."""
    federation = PrivateFederation(max_attempts=1, accountants={"doubtful": doubtful})
    run = undisturbed(federation)
    assert bodies(run, RunAborted) == [RunAborted(1, BUDGET_SPENT)]


def test_no_round_opens_that_would_pass_the_budget() -> None:
    privacy = replace(PRIVACY, epsilon=3.0)
    federation = PrivateFederation(accountants={"pld": pld_epsilon}, privacy=privacy, rounds=50)
    run = undisturbed(federation)

    rounds = len(bodies(run, RoundReleased))
    assert 0 < rounds < 50
    assert bodies(run, RunAborted) == [RunAborted(rounds, BUDGET_SPENT)]
    for records in run.records.values():
        charged = [record.charge.event for record in records if isinstance(record, Charged)]
        assert pld_epsilon({charged[0]: len(charged)}, privacy.delta) <= 3.0
        assert pld_epsilon({charged[0]: len(charged) + 1}, privacy.delta) > 3.0


def test_a_coordinator_that_asks_for_less_noise_is_refused(federation: PrivateFederation) -> None:
    small = federation.small
    run = start(federation)
    deliver_until(run, "round_opened")
    task = next(message for node, message in run.to_nodes if node == FR)
    assert isinstance(task, RoundTask)
    assert task.manifest.noise is not None
    quieter = replace(task.manifest.noise, share_variance=1 << 24)
    manifest = replace(task.manifest, noise=quieter)
    signature = small.coordinator_key.sign(manifest.signed_bytes())
    forged = replace(task, manifest=manifest, signature=signature)
    run.to_nodes.clear()
    run.to_nodes.append((FR, forged))
    deliver_all(run)

    refusals = {fields["rule"] for _, event, fields in run.log if event == "refused"}
    assert "the noise differs from the plan" in refusals
    assert charges(run.records[FR]) == set()


def test_a_market_that_wants_privacy_takes_part_in_nothing_without(federation: PrivateFederation) -> None:
    policy = federation.node("fr").policy
    with pytest.raises(ProtocolViolation, match="wants differential privacy"):
        policy.check_privacy(None)
    with pytest.raises(ProtocolViolation, match="epsilon 9 is above this market's 8"):
        policy.check_privacy(replace(PRIVACY, epsilon=9.0))
    policy.check_privacy(PRIVACY)


def test_a_sum_that_no_honest_nodes_can_make_is_refused(federation: PrivateFederation) -> None:
    mechanism = federation.small.plan.mechanism(40, 4)
    assert mechanism is not None
    encoding = PrivateEncoding(mechanism, PRIVACY.expected_users, 4)
    total = np.zeros(41, np.uint32)
    with pytest.raises(CryptoError, match="count"):
        encoding.decode(total, 3)
    total[-1] = 3
    assert not encoding.decode(total, 3).any()
    total[0] = (1 << 31) - 1
    with pytest.raises(CryptoError, match="longer than"):
        encoding.decode(total, 3)
    whole = encoding.encode(PrivateContribution(b"", np.arange(40, dtype=np.uint32)))
    assert whole.tolist() == [*range(40), 1]


def test_the_noise_is_part_of_what_is_signed(federation: PrivateFederation) -> None:
    run = start(federation)
    deliver_until(run, "round_opened")
    task = run.to_nodes[-1][1]
    assert isinstance(task, RoundTask)
    manifest = task.manifest
    other = replace(manifest, noise=NoiseTerms(1, 2, 3))
    assert len({manifest.context(), other.context(), replace(manifest, noise=None).context()}) == 3
