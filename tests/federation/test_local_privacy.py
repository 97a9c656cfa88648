"""Runs in privacy mode "local": noisy updates, what they are charged, and what no crash may forget."""

from dataclasses import replace

import numpy as np
import pytest

from fecosr.errors import CryptoError, MisuseError, ProtocolViolation
from fecosr.federation.contents import open_sum, update_encoding
from fecosr.federation.contribution import LocalUpdate, begin_session
from fecosr.federation.coordinator import open_run
from fecosr.federation.memory import remembered
from fecosr.federation.messages import RoundTask
from fecosr.federation.private_rounds import NoisyUpdate
from fecosr.federation.recorded import event_from
from fecosr.federation.run import FederationRun, run_federation
from fecosr.federation.spending import BUDGET_SPENT
from fecosr.ids import NodeId
from fecosr.ledger.records import RoundOpened, RoundReleased, RunAborted, RunOpened
from fecosr.privacy.accounting import pld_epsilon
from fecosr.privacy.budget import Charged, TakenBack
from fecosr.secagg.messages import Phase
from tests.reference.private_federation import LOCAL, PRIVACY, USERS, PrivateFederation

FR = NodeId("fr")
STEPS = LOCAL.steps


@pytest.fixture
def federation() -> PrivateFederation:
    return PrivateFederation(privacy=LOCAL)


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


def deliver_until(run: FederationRun, event: str, **fields: object) -> None:
    while not any(
        name == "coordinator" and logged == event and fields.items() <= values.items()
        for name, logged, values in run.log
    ):
        assert run.deliver_next(), f"nothing left to deliver before {event}"


def deliver_all(run: FederationRun) -> None:
    while run.deliver_next():
        pass


def charges(run: FederationRun, name: NodeId = FR) -> set[str]:
    """Return the names of the charges that are in force after a node started again from its records."""
    return set(remembered(run.records[name]).spending.charges)


def released(run: FederationRun) -> list[RoundReleased]:
    return [entry.body for entry in run.ledger if isinstance(entry.body, RoundReleased)]


def task_of(run: FederationRun) -> RoundTask:
    deliver_until(run, "round_opened")
    task = run.to_nodes[-1][1]
    assert isinstance(task, RoundTask)
    return task


def test_a_round_is_the_plain_mean_of_noisy_updates(federation: PrivateFederation) -> None:
    run = undisturbed(federation)

    small = federation.small
    assert len(released(run)) == 2
    step = run.models[released(run)[0].model_out] - small.initial
    updates = [each.update for each in federation.contributions[:4] if isinstance(each, NoisyUpdate)]
    assert len(updates) == 4
    np.testing.assert_allclose(step, np.mean(updates, axis=0), atol=1e-5)
    # Each market's users pull along an axis of their own, and are clipped to length one.
    pull = STEPS * USERS / LOCAL.expected_users / len(updates)
    noise = 2.0 * LOCAL.noise_multiplier * (STEPS / 4) ** 0.5 / LOCAL.expected_users
    np.testing.assert_allclose(step[:4], -pull, atol=6 * noise)
    assert step[4:].std() == pytest.approx(noise / 2, rel=0.5)


def test_the_ledger_states_all_steps_of_a_round_as_its_cost(federation: PrivateFederation) -> None:
    run = undisturbed(federation)

    (opened,) = [entry.body for entry in run.ledger if isinstance(entry.body, RunOpened)]
    terms = opened.privacy
    assert (terms.mode, terms.clip_norm, terms.epsilon, terms.delta) == ("local", 1.0, 8.0, 1e-5)
    mechanism = federation.small.plan.mechanism(len(federation.small.initial), 4)
    assert mechanism is not None
    assert mechanism.num_shares == 1
    assert mechanism.noise_multiplier >= LOCAL.noise_multiplier
    for body in released(run):
        event = event_from(body.privacy_event)
        assert event == LOCAL.event(mechanism) == replace(mechanism.event(0.5), steps=STEPS)
        assert body.validation is None
    for entry in run.ledger:
        if isinstance(entry.body, RoundOpened):
            assert entry.body.manifest.clip_norm == 10.0
            assert entry.body.manifest.noise is not None
            assert entry.body.manifest.noise.num_shares == 1
    assert not any("loss" in fields for _, event, fields in run.log if event == "round_released")


@pytest.mark.parametrize("phase", list(Phase))
def test_a_node_killed_at_any_point_never_forgets_a_charge(
    federation: PrivateFederation, phase: Phase
) -> None:
    run = start(federation)
    deliver_until(run, "phase_started", round=1, phase=phase.value)
    before = charges(run)
    run.node_crashes(FR)
    assert charges(run) == before == (set() if phase is Phase.ADVERTISE_KEYS else {"round 1 attempt 1"})
    run.node_arrives(federation.node("fr"))
    deliver_all(run)

    sums = {f"round {body.round} attempt {body.attempt}" for body in released(run) if FR in body.survivors}
    assert sums <= charges(run)


def test_every_prefix_of_what_is_stored_covers_every_vector_that_left(federation: PrivateFederation) -> None:
    run = start(federation)
    sent: set[str] = set()
    while run.deliver_next():
        for sender, message in run.to_coordinator:
            if sender == FR and type(getattr(message, "body", None)).__name__ == "MaskedInput":
                sent.add(f"round {message.round} attempt {message.attempt}")  # type: ignore[union-attr]
        assert sent <= charges(run)
    assert sent == {"round 1 attempt 1", "round 2 attempt 1"}


def test_a_retry_brings_the_same_update_and_is_charged_again(federation: PrivateFederation) -> None:
    """It costs no more than once; what is charged twice is over-counted, never the other way round."""
    run = start(federation)
    deliver_until(run, "phase_started", round=1, phase=Phase.CONSISTENCY.value)
    for name in ("jp", "uk"):
        run.node_crashes(NodeId(name))
    deliver_all(run)
    for name in ("jp", "uk"):
        run.node_arrives(federation.node(name))
    deliver_all(run)

    assert charges(run) == {"round 1 attempt 1", "round 1 attempt 2", "round 2 attempt 1"}
    first = {each.model_hash for each in federation.contributions[:4]}
    trained = [each for each in federation.contributions if each.model_hash in first]
    assert len(trained) == 4 + 2, "only those that crashed trained again"


def test_a_charge_is_taken_back_when_no_vector_has_left(federation: PrivateFederation) -> None:
    run = start(federation)
    deliver_until(run, "phase_started", round=1, phase=Phase.SHARE_KEYS.value)
    for name in ("jp", "uk"):
        run.node_crashes(NodeId(name))
    deliver_all(run)
    assert charges(run) == set()
    assert TakenBack("round 1 attempt 1") in run.records[FR]

    for name in ("jp", "uk"):
        run.node_arrives(federation.node(name))
    deliver_all(run)
    # The update of the first attempt is what the second one charges and sends.
    assert charges(run) == {"round 1 attempt 2", "round 2 attempt 1"}


def test_no_round_opens_whose_steps_would_pass_the_budget() -> None:
    privacy = replace(LOCAL, epsilon=4.0)
    federation = PrivateFederation(accountants={"pld": pld_epsilon}, privacy=privacy, rounds=50)
    run = undisturbed(federation)

    rounds = len(released(run))
    assert 0 < rounds < 50
    assert [entry.body for entry in run.ledger if isinstance(entry.body, RunAborted)] == [
        RunAborted(rounds, BUDGET_SPENT)
    ]
    for records in run.records.values():
        events = [record.charge.event for record in records if isinstance(record, Charged)]
        assert pld_epsilon({events[0]: len(events)}, privacy.delta) <= 4.0
        assert pld_epsilon({events[0]: len(events) + 1}, privacy.delta) > 4.0


def test_a_market_may_insist_on_a_mode(federation: PrivateFederation) -> None:
    policy = replace(federation.node("fr").policy, privacy_mode="local")
    policy.check_privacy(LOCAL)
    with pytest.raises(ProtocolViolation, match="privacy mode 'distributed' is not this market's 'local'"):
        policy.check_privacy(PRIVACY)
    with pytest.raises(ProtocolViolation, match="privacy mode 'none' is not this market's 'local'"):
        replace(policy, max_epsilon=None).check_privacy(None)
    with pytest.raises(ProtocolViolation, match="privacy mode 'local' is not this market's 'distributed'"):
        replace(policy, privacy_mode="distributed").check_privacy(LOCAL)


def test_an_exact_update_never_leaves_in_its_place(federation: PrivateFederation) -> None:
    manifest = task_of(start(federation)).manifest
    exact = LocalUpdate(manifest.model_hash, np.ones(40, np.float32), 10, 1.0)
    with pytest.raises(MisuseError, match="in another way"):
        begin_session(federation.node("fr"), manifest, exact, bytes(32))
    noisy = NoisyUpdate(manifest.model_hash, np.ones(40, np.float32))
    begin_session(federation.node("fr"), manifest, noisy, bytes(32))
    public = PrivateFederation(privacy=PRIVACY)
    with pytest.raises(MisuseError, match="in another way"):
        begin_session(public.node("fr"), task_of(start(public)).manifest, noisy, bytes(32))


def test_an_update_that_is_not_finite_stays_at_home(federation: PrivateFederation) -> None:
    honest = federation.train
    federation.train = lambda name, manifest, parameters: (  # type: ignore[method-assign]
        NoisyUpdate(manifest.model_hash, np.full(40, np.nan, np.float32))
        if name == FR
        else honest(name, manifest, parameters)
    )
    run = undisturbed(federation)
    assert [FR in body.survivors for body in released(run)] == [False, False]
    assert charges(run) == set(), "nothing that depends on its users has left"


@pytest.mark.parametrize("lie", [{"weight": 0.5, "loss": 0.0}, {"weight": 1.0, "loss": 2.0}])
def test_a_sum_with_weights_or_losses_is_refused(
    federation: PrivateFederation, lie: dict[str, float]
) -> None:
    """Whoever put the number of their users in would have spent what is not accounted for."""
    manifest, plan = task_of(start(federation)).manifest, federation.small.plan
    encoding, update = update_encoding(manifest, plan), np.ones(40, np.float32)
    honest = encoding.encode(update, weight=1.0, loss=0.0, rounding_seed=bytes(32))
    opened = open_sum(honest + honest, 2, manifest, plan)
    assert (opened.weight, opened.loss, opened.validation) == (2.0, None, None)
    np.testing.assert_allclose(opened.step, update, atol=1e-4)
    lying = encoding.encode(update, rounding_seed=bytes(32), **lie)
    with pytest.raises(CryptoError, match="weight one and no loss"):
        open_sum(honest + lying, 2, manifest, plan)
