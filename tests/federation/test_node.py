"""A market node in front of a coordinator that lies: it stops, says why, and nothing leaves."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.federation import node as market
from fecosr.federation.contribution import LocalUpdate
from fecosr.federation.coordinator import open_run
from fecosr.federation.effects import (
    AttemptClaimed,
    CheckpointKept,
    FineTune,
    KeepFinalModel,
    Observed,
    ReleaseSeen,
    StartSession,
    SumOpened,
    ToCoordinator,
    TrainLocally,
)
from fecosr.federation.ending import EarlyStopping
from fecosr.federation.memory import Memory
from fecosr.federation.messages import (
    Finished,
    FromClient,
    FromServer,
    HeadSigned,
    Hello,
    Outcome,
    Rejected,
    Release,
    RoundClosed,
    RoundManifest,
    RoundTask,
    RunClosed,
)
from fecosr.federation.node_states import (
    Aggregating,
    Closing,
    Idle,
    Listening,
    NodeState,
    NodeTransition,
    Ready,
    Refused,
    Training,
)
from fecosr.federation.policy import NodePolicy
from fecosr.federation.run import FederationRun
from fecosr.federation.testimony import head_signed
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import growth
from fecosr.ledger.log import append
from fecosr.ledger.records import RunCompleted
from fecosr.secagg.client import AwaitingAdverts
from fecosr.secagg.messages import (
    AdvertList,
    DeliveredShares,
    KeyAdvert,
    SealedShares,
    ServerMessage,
    ShareDelivery,
    SurvivorList,
    Withdrawal,
)
from fecosr.secagg.rules import Rule
from tests.reference.shown_ledger import SIZE, known, shown, signed_task, some_log
from tests.reference.small_federation import NUM_PARAMETERS, SmallFederation

MODEL = sha256(b"the model")


@pytest.fixture
def federation() -> SmallFederation:
    return SmallFederation(["de", "fr", "jp", "uk"])


@pytest.fixture
def idle(federation: SmallFederation) -> Idle:
    return Idle(federation.node("fr"), Memory(head=known(federation, "fr")))


def manifest_of(federation: SmallFederation, **changes: object) -> RoundManifest:
    plan = federation.plan
    manifest = RoundManifest(
        run=plan.run,
        round=1,
        attempt=1,
        plan_hash=plan.hash(),
        model_hash=MODEL,
        num_parameters=NUM_PARAMETERS,
        clip_norm=plan.clip_norm,
        num_summands=4,
        n_min=plan.n_min,
        max_colluding=plan.max_colluding,
        ring_bits=plan.ring_bits,
        ledger_size=SIZE,
        ledger_root=some_log(plan.run).head.root,
    )
    return replace(manifest, **changes)  # type: ignore[arg-type]


def task_of(federation: SmallFederation, **changes: object) -> RoundTask:
    manifest = manifest_of(federation, **changes)
    return signed_task(federation, manifest)


def local_update(model_hash: bytes = MODEL) -> LocalUpdate:
    return LocalUpdate(model_hash, np.ones(NUM_PARAMETERS, dtype=np.float32), 10, 1.0)


def messages(transition: NodeTransition) -> list[object]:
    return [item.message for item in transition.outbox if isinstance(item, ToCoordinator)]


def refused_rule(transition: NodeTransition) -> object:
    events = [item for item in transition.outbox if isinstance(item, Observed) and item.event == "refused"]
    assert len(events) == 1
    return events[0].fields["rule"]


def aggregating(federation: SmallFederation, idle: Idle) -> Aggregating:
    training = market.receive(idle, task_of(federation)).state
    assert isinstance(training, Training)
    ready = training.trained(local_update()).state
    assert isinstance(ready, Ready)
    state = ready.start_session(sha256(b"entropy")).state
    assert isinstance(state, Aggregating)
    return state


def test_a_node_introduces_itself_with_its_plan(federation: SmallFederation, idle: Idle) -> None:
    assert messages(market.connected(idle)) == [
        Hello(federation.plan.run, federation.plan.hash(), "test", head_signed(known(federation, "fr")))
    ]


def test_a_task_is_claimed_before_training_starts(federation: SmallFederation, idle: Idle) -> None:
    task = task_of(federation)
    transition = market.receive(idle, task)
    assert transition.records == (AttemptClaimed(1, 1, MODEL),)
    assert transition.outbox == (TrainLocally(task.manifest),)


def test_training_ends_in_an_advert_and_nothing_else(federation: SmallFederation, idle: Idle) -> None:
    training = market.receive(idle, task_of(federation)).state
    assert isinstance(training, Training)
    trained = training.trained(local_update())
    assert [type(item) for item in trained.outbox] == [StartSession]
    assert isinstance(trained.state, Ready)
    (message,) = messages(trained.state.start_session(sha256(b"entropy")))
    assert isinstance(message, FromClient)
    assert isinstance(message.body, KeyAdvert)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"run": RunId("other")}, "the manifest is of another run"),
        ({"plan_hash": sha256(b"other")}, "the manifest is of another plan"),
        ({"num_parameters": 7}, "the manifest is of another model"),
        ({"clip_norm": 11.0}, "clip_norm differs from the plan"),
        ({"n_min": 4}, "n_min differs from the plan"),
        ({"max_colluding": 0}, "max_colluding differs from the plan"),
        ({"ring_bits": 16}, "ring_bits differs from the plan"),
        ({"num_summands": 3}, "num_summands differs from the roster"),
        ({"round": 3}, "the round is outside the plan"),
        ({"round": 0}, "the round is outside the plan"),
        ({"attempt": 0}, "the attempt is outside the plan"),
    ],
)
def test_a_signed_task_outside_the_plan_is_refused(
    federation: SmallFederation, idle: Idle, changes: dict[str, object], rule: str
) -> None:
    transition = market.receive(idle, task_of(federation, **changes))
    assert refused_rule(transition) == rule
    (leave,) = messages(transition)
    assert isinstance(leave, FromClient)
    assert leave.body == Withdrawal(rule)
    assert transition.state == idle
    assert transition.records == ()


def test_a_task_signed_by_somebody_else_is_refused(federation: SmallFederation, idle: Idle) -> None:
    manifest = manifest_of(federation)
    signature = SigningKey(sha256(b"somebody")).sign(manifest.signed_bytes())
    forged = RoundTask(manifest, signature, shown(federation))
    assert "not the pinned coordinator's" in str(refused_rule(market.receive(idle, forged)))


def test_a_task_with_a_borrowed_signature_is_refused(federation: SmallFederation, idle: Idle) -> None:
    honest = task_of(federation)
    tampered = replace(honest, manifest=replace(honest.manifest, model_hash=sha256(b"another model")))
    assert "not the pinned coordinator's" in str(refused_rule(market.receive(idle, tampered)))


def test_the_same_attempt_is_never_joined_twice(federation: SmallFederation, idle: Idle) -> None:
    remembering = replace(idle, memory=Memory(head=idle.memory.head, claimed=(1, 2), models={1: MODEL}))
    transition = market.receive(remembering, task_of(federation))
    assert refused_rule(transition) == "the attempt is not newer than the last"


def test_a_repeated_task_changes_nothing(federation: SmallFederation, idle: Idle) -> None:
    training = market.receive(idle, task_of(federation)).state
    assert isinstance(training, Training)
    again = market.receive(training, task_of(federation))
    assert again.state == training
    assert again.records == ()
    assert messages(again) == []


def test_a_round_has_one_model_and_a_model_one_round(federation: SmallFederation, idle: Idle) -> None:
    """Otherwise a coordinator could open a second sum of practically the same updates over fewer nodes."""
    remembering = replace(idle, memory=Memory(head=idle.memory.head, claimed=(1, 1), models={1: MODEL}))
    flipped = task_of(federation, attempt=2, model_hash=sha256(b"the model, but for one bit"))
    assert refused_rule(market.receive(remembering, flipped)) == "the round has another model already"
    again = task_of(federation, round=2, model_hash=MODEL)
    assert refused_rule(market.receive(remembering, again)) == "the model was that of an earlier round"


def test_attempts_are_as_many_as_the_plan_has(federation: SmallFederation, idle: Idle) -> None:
    too_many = task_of(federation, attempt=federation.plan.max_attempts + 1)
    assert refused_rule(market.receive(idle, too_many)) == "the attempt is outside the plan"


def test_the_markets_own_policy_has_the_last_word(federation: SmallFederation) -> None:
    strict = NodePolicy(n_min=4, max_colluding=1, max_rounds=100, max_clip_norm=100.0)
    idle = Idle(federation.node("fr", policy=strict), Memory(head=known(federation, "fr")))
    assert "below this market's 4" in str(refused_rule(market.receive(idle, task_of(federation))))


def test_a_stricter_n_min_than_the_cohort_ends_the_session_at_the_adverts(
    federation: SmallFederation, idle: Idle
) -> None:
    state = aggregating(federation, idle)
    (advert,) = (state.client.advert,) if hasattr(state.client, "advert") else (None,)
    assert isinstance(advert, KeyAdvert)
    transition = market.receive(state, FromServer(1, 1, AdvertList((advert,))))
    refused_rule(transition)
    (leave,) = messages(transition)
    assert isinstance(leave, FromClient)
    assert isinstance(leave.body, Withdrawal)
    assert isinstance(transition.state, Idle)


def test_messages_of_another_attempt_change_nothing(federation: SmallFederation, idle: Idle) -> None:
    state = aggregating(federation, idle)
    transition = market.receive(state, FromServer(1, 2, AdvertList(())))
    assert transition.state is state
    assert messages(transition) == []


def named_in(kind: type[ServerMessage], state: Aggregating, names: Sequence[NodeId]) -> ServerMessage:
    """Return a message of the server that names these nodes, this one included."""
    if kind is AdvertList:
        assert isinstance(state.client, AwaitingAdverts)
        return AdvertList(tuple(replace(state.client.advert, client=name) for name in names))
    if kind is ShareDelivery:
        nothing = DeliveredShares(SealedShares(b"", b"", b""), (), b"")
        return ShareDelivery({name: nothing for name in names if name != state.setup.me})
    return SurvivorList(tuple(names))


@pytest.mark.parametrize("kind", [AdvertList, ShareDelivery, SurvivorList])
def test_a_second_sum_over_the_same_model_must_be_over_the_same_nodes(
    federation: SmallFederation, idle: Idle, kind: type[ServerMessage]
) -> None:
    """Else one of them is dropped on the way, and the difference of the sums shows its update."""
    remembering = replace(
        idle, memory=Memory(head=idle.memory.head, opened=SumOpened(MODEL, federation.names))
    )
    state = aggregating(federation, remembering)
    fewer = [name for name in federation.names if name != NodeId("jp")]
    transition = market.receive(state, FromServer(1, 1, named_in(kind, state, fewer)))
    assert refused_rule(transition) == "a second sum over this model must be over the same nodes"
    assert [type(message) for message in messages(transition)] == [FromClient]


@pytest.mark.parametrize("kind", [AdvertList, ShareDelivery, SurvivorList])
def test_the_same_nodes_may_be_summed_again(
    federation: SmallFederation, idle: Idle, kind: type[ServerMessage]
) -> None:
    remembering = replace(
        idle, memory=Memory(head=idle.memory.head, opened=SumOpened(MODEL, federation.names))
    )
    state = aggregating(federation, remembering)
    transition = market.receive(state, FromServer(1, 1, named_in(kind, state, federation.names)))
    # These made-up messages are refused by the secure aggregation itself, for other reasons.
    assert all("same nodes" not in str(item) for item in transition.outbox)


def test_a_diverged_update_is_not_contributed(federation: SmallFederation, idle: Idle) -> None:
    for update, loss in (([np.nan], 1.0), ([np.inf], 1.0), ([1.0], float("nan"))):
        training = market.receive(idle, task_of(federation)).state
        assert isinstance(training, Training)
        vector = np.resize(np.array(update, dtype=np.float32), NUM_PARAMETERS)
        transition = training.trained(LocalUpdate(MODEL, vector, 10, loss))
        (leave,) = messages(transition)
        assert isinstance(leave, FromClient)
        assert leave.body == Withdrawal("the update is not finite")
        assert isinstance(transition.state, Idle)
        assert transition.state.memory.trained is None


def test_shares_that_no_dealer_signed_are_not_taken(federation: SmallFederation) -> None:
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for node in federation.nodes():
        run.node_arrives(node)
    while not any(
        isinstance(message, FromServer) and isinstance(message.body, ShareDelivery)
        for _, message in run.to_nodes
    ):
        assert run.deliver_next()
    name, delivery = next(item for item in run.to_nodes if isinstance(item[1], FromServer))
    assert isinstance(delivery, FromServer)
    assert isinstance(delivery.body, ShareDelivery)
    shares = delivery.body.shares
    dealer = min(shares)
    garbage = replace(shares[dealer], sealed=replace(shares[dealer].sealed, ciphertext=bytes(82)))
    state = run.nodes[name]
    body = ShareDelivery({**shares, dealer: garbage})
    transition = market.receive(_listening(state), replace(delivery, body=body))
    (leave,) = messages(transition)
    assert isinstance(leave, FromClient)
    # The coordinator should have refused it itself: nobody else is accused.
    assert leave.body == Withdrawal(Rule.BAD_DEAL, None)


def test_losing_the_coordinator_ends_the_session_but_not_the_training(
    federation: SmallFederation, idle: Idle
) -> None:
    training = market.receive(idle, task_of(federation)).state
    assert isinstance(training, Training)
    alone = market.disconnected(training).state
    assert isinstance(alone, Training)
    again = market.receive(alone, task_of(federation, attempt=2))
    assert again.outbox == (), "the training under way serves the new attempt"
    assert isinstance(again.state, Training)
    assert isinstance(again.state.trained(local_update()).state, Ready)


def test_a_training_nobody_waits_for_is_kept_for_the_next_attempt(
    federation: SmallFederation, idle: Idle
) -> None:
    training = market.receive(idle, task_of(federation)).state
    assert isinstance(training, Training)
    alone = market.disconnected(training).state
    assert isinstance(alone, Training)
    kept = alone.trained(local_update()).state
    assert isinstance(kept, Idle)
    again = market.receive(kept, task_of(federation, attempt=2))
    assert [type(item) for item in again.outbox] == [StartSession]


def test_a_model_that_cannot_be_fetched_leaves_the_node_ready_for_the_next_task(
    federation: SmallFederation, idle: Idle
) -> None:
    training = market.receive(idle, task_of(federation)).state
    assert isinstance(training, Training)
    again = market.receive(
        _listening(training.failed("the model could not be fetched").state), task_of(federation, attempt=2)
    )
    assert [type(item) for item in again.outbox] == [TrainLocally]


def _listening(state: NodeState) -> Listening:
    assert isinstance(state, Listening)
    return state


def closed_run(federation: SmallFederation, key: SigningKey) -> RunClosed:
    closed = ended(federation, 2, MODEL, ())
    return replace(closed, signature=key.sign(closed.signed_bytes()))


def ended(
    federation: SmallFederation, rounds: int, model_hash: bytes, history: tuple[Release, ...]
) -> RunClosed:
    """Return the signed end of a run whose ledger says the same."""
    run, key = federation.plan.run, federation.coordinator_key
    entry, log = append(some_log(run), RunCompleted(rounds, model_hash), key)
    proof, told = log.inclusion_proof(SIZE), growth(log, SIZE, key)
    closed = RunClosed(run, rounds, model_hash, history, entry.signature, proof, told, b"")
    return replace(closed, signature=key.sign(closed.signed_bytes()))


def test_the_final_model_is_fetched_only_when_the_coordinator_signed_for_it(
    federation: SmallFederation, idle: Idle
) -> None:
    honest = market.receive(idle, closed_run(federation, federation.coordinator_key))
    assert [type(record) for record in honest.records] == [CheckpointKept]
    assert isinstance(messages(honest)[0], HeadSigned)
    assert honest.outbox[1:] == (KeepFinalModel(MODEL),)
    assert isinstance(honest.state, Closing)
    done = honest.state.final_model_kept()
    assert done.outbox == (ToCoordinator(Finished(MODEL)), FineTune(MODEL))

    forged = market.receive(idle, closed_run(federation, SigningKey(sha256(b"somebody"))))
    assert isinstance(forged.state, Idle)
    refused_rule(forged)


def test_a_rejected_node_stops(idle: Idle) -> None:
    state = market.receive(idle, Rejected("is not in the roster")).state
    assert state == Refused("is not in the roster")


def test_nothing_private_shows_in_a_repr(federation: SmallFederation, idle: Idle) -> None:
    state = aggregating(federation, idle)
    text = repr(state) + repr(local_update())
    assert federation.keys[NodeId("fr")].seed.hex() not in text
    assert sha256(b"entropy").hex() not in text
    assert " num_users=" not in text


def small_draw() -> SmallFederation:
    return SmallFederation(["de", "es", "fr", "it", "jp", "uk"], participation=4)


def test_a_market_that_is_not_invited_refuses_the_task() -> None:
    federation = small_draw()
    uninvited = min(set(federation.names) - federation.setup.invited(1))
    idle = Idle(federation.node(uninvited), Memory(head=known(federation, uninvited)))
    task = task_of(federation, num_summands=6)
    assert refused_rule(market.receive(idle, task)) == "this market is not invited to the round"


def test_a_cohort_with_a_market_that_is_not_invited_is_refused() -> None:
    federation = small_draw()
    drawn = federation.setup.invited(1)
    me, stranger = min(drawn), min(set(federation.names) - drawn)
    idle = Idle(federation.node(me), Memory(head=known(federation, me)))
    training = market.receive(idle, task_of(federation, num_summands=6)).state
    assert isinstance(training, Training)
    ready = training.trained(local_update()).state
    assert isinstance(ready, Ready)
    state = ready.start_session(sha256(b"entropy")).state
    assert isinstance(state, Aggregating)
    cohort = named_in(AdvertList, state, sorted({*drawn, stranger}))
    rule = f"{stranger} takes part without being invited to the round"
    assert refused_rule(market.receive(state, FromServer(1, 1, cohort))) == rule


def round_closed(federation: SmallFederation, number: int, model_hash: bytes, value: float) -> RoundClosed:
    release = Release(model_hash, value)
    return RoundClosed(number, 1, Outcome.RELEASED, "", release, shown(federation))


@pytest.fixture
def stopping() -> SmallFederation:
    """Return a federation whose runs end once a released model is no better than the one before."""
    return SmallFederation(
        ["de", "fr", "jp", "uk"],
        rounds=9,
        releases_validation=True,
        early_stopping=EarlyStopping(patience=1, min_rounds=2),
    )


def after_rounds(federation: SmallFederation, *values: float) -> Listening:
    """Return a node that was told of these rounds."""
    state: Listening = Idle(federation.node("fr"), Memory(head=known(federation, "fr")))
    for number, value in enumerate(values, start=1):
        closed = round_closed(federation, number, sha256(f"model {number}".encode()), value)
        state = _listening(market.receive(state, closed).state)
    return state


def test_what_a_round_released_is_remembered_once(stopping: SmallFederation) -> None:
    state = after_rounds(stopping)
    closed = round_closed(stopping, 1, MODEL, 0.25)
    transition = market.receive(state, closed)
    assert transition.records == (ReleaseSeen(1, Release(MODEL, 0.25)),)
    again = market.receive(_listening(transition.state), closed)
    assert again.records == ()


def test_a_round_releases_one_thing_only(stopping: SmallFederation) -> None:
    state = after_rounds(stopping, 0.1)
    for other in (round_closed(stopping, 1, MODEL, 0.1), round_closed(stopping, 1, sha256(b"model 1"), 0.2)):
        assert refused_rule(market.receive(state, other)) == "the round has released something else already"


def test_a_release_that_the_next_round_did_not_start_from_is_refused(stopping: SmallFederation) -> None:
    idle = Idle(stopping.node("fr"), Memory(models={2: MODEL}, head=known(stopping, "fr")))
    late = round_closed(stopping, 1, sha256(b"another"), 0.1)
    assert refused_rule(market.receive(idle, late)) == "the next round started from another model"


def test_a_task_from_another_model_than_was_released_is_refused(stopping: SmallFederation) -> None:
    task = task_of(stopping, round=2, model_hash=sha256(b"another"))
    assert refused_rule(market.receive(after_rounds(stopping, 0.1), task)) == (
        "the model is not the one released last"
    )


def test_a_coordinator_that_skips_the_early_end_is_refused(stopping: SmallFederation) -> None:
    """Model 1 has .3, model 2 has .2: the plan ends the run after round 3."""
    task = task_of(stopping, round=4, model_hash=sha256(b"model 3"))
    state = after_rounds(stopping, 0.1, 0.3, 0.2)
    assert refused_rule(market.receive(state, task)) == "the plan ends the run before this round"
    improving = after_rounds(stopping, 0.1, 0.2, 0.3)
    assert [type(item) for item in market.receive(improving, task).outbox] == [TrainLocally]


@pytest.mark.parametrize(
    ("final", "values", "rule"),
    [
        (3, (0.1, 0.3, 0.2), "the final model is not the one with the best validation metric"),
        (2, (0.1, 0.2, 0.1), "the history is not what was said after each round"),
        (2, (0.1, 0.3), "the history is not what was said after each round"),
    ],
)
def test_a_coordinator_that_chooses_the_final_model_itself_is_refused(
    stopping: SmallFederation, final: int, values: tuple[float, ...], rule: str
) -> None:
    state = after_rounds(stopping, 0.1, 0.3, 0.2)
    transition = market.receive(state, signed_end(stopping, final, values))
    assert refused_rule(transition) == rule
    assert isinstance(transition.state, Idle)
    # What it says of its ledger stands all the same, for whoever audits it.
    assert [type(record) for record in transition.records] == [CheckpointKept]


def test_the_end_the_rule_demands_is_accepted(stopping: SmallFederation) -> None:
    transition = market.receive(
        after_rounds(stopping, 0.1, 0.3, 0.2), signed_end(stopping, 1, (0.1, 0.3, 0.2))
    )
    assert transition.outbox[1:] == (KeepFinalModel(sha256(b"model 1")),)


def test_a_history_under_another_signature_is_refused(stopping: SmallFederation) -> None:
    honest = signed_end(stopping, 1, (0.1, 0.3, 0.2))
    swapped = replace(honest, history=signed_end(stopping, 1, (0.1, 0.4, 0.2)).history)
    rule = str(refused_rule(market.receive(after_rounds(stopping), swapped)))
    assert "not the pinned coordinator's" in rule


def signed_end(federation: SmallFederation, final: int, values: Sequence[float]) -> RunClosed:
    history = tuple(Release(sha256(f"model {n}".encode()), value) for n, value in enumerate(values, start=1))
    model_hash = sha256(f"model {final}".encode())
    return ended(federation, len(values), model_hash, history)


@pytest.mark.parametrize("validation", [-0.1, 1.5, float("nan"), float("inf")])
def test_a_metric_out_of_range_is_not_contributed(stopping: SmallFederation, validation: float) -> None:
    training = market.receive(after_rounds(stopping), task_of(stopping)).state
    assert isinstance(training, Training)
    transition = training.trained(replace(local_update(), validation=validation))
    (leave,) = messages(transition)
    assert isinstance(leave, FromClient)
    assert leave.body == Withdrawal("the validation metric is not in 0 .. 1")


def test_a_market_may_refuse_to_release_its_metric(stopping: SmallFederation) -> None:
    private = NodePolicy(n_min=3, max_colluding=1, max_rounds=100, max_clip_norm=100.0)
    idle = Idle(stopping.node("fr", policy=private), Memory(head=known(stopping, "fr")))
    rule = "this market does not release its validation metric"
    assert refused_rule(market.receive(idle, task_of(stopping))) == rule
