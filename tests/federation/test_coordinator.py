"""The coordinator in front of nodes that do not fit, lie or come late."""

from dataclasses import replace

import numpy as np
import pytest

from fecosr.crypto.labels import sha256
from fecosr.federation.aggregation import Vector
from fecosr.federation.attempt import release
from fecosr.federation.contents import update_encoding
from fecosr.federation.contribution import LocalUpdate
from fecosr.federation.coordinator import (
    CoordinatorTransition,
    Gathering,
    Running,
    RunningCoordinator,
    open_run,
    resume_run,
)
from fecosr.federation.effects import Disconnect, ModelStored, Observed, ToNode
from fecosr.federation.handover import Finishing, GivenUp, Stopped
from fecosr.federation.messages import (
    Finished,
    FromClient,
    Hello,
    NodeMessage,
    Rejected,
    RoundManifest,
    RoundTask,
    RunClosed,
)
from fecosr.federation.replay import replay
from fecosr.federation.run import FederationRun, run_federation
from fecosr.ids import NodeId, RunId
from fecosr.ledger.log import Entry
from fecosr.ledger.records import (
    CoordinatorRestarted,
    RoundAborted,
    RoundReleased,
    RunAborted,
    RunCompleted,
)
from fecosr.secagg.messages import ConsistencyProof, KeyAdvert, Phase, Withdrawal
from fecosr.secagg.server import Completed
from tests.reference.small_federation import SmallFederation


@pytest.fixture
def federation() -> SmallFederation:
    return SmallFederation(["de", "fr", "jp", "uk"])


def hello(federation: SmallFederation, **changes: object) -> Hello:
    honest = Hello(federation.plan.run, federation.plan.hash(), "test", None)
    return replace(honest, **changes)  # type: ignore[arg-type]


def running(transition: CoordinatorTransition) -> RunningCoordinator:
    assert not isinstance(transition.state, Stopped)
    return transition.state


def all_connected(federation: SmallFederation, now: float = 0.0) -> CoordinatorTransition:
    transition = open_run(federation.setup, federation.initial, now)
    for name in federation.names:
        transition = running(transition).connected(name, hello(federation), now)
    return transition


def events(transition: CoordinatorTransition) -> list[str]:
    return [item.event for item in transition.outbox if isinstance(item, Observed)]


def test_the_initial_model_is_stored_before_the_run_is_opened(federation: SmallFederation) -> None:
    transition = open_run(federation.setup, federation.initial, 0.0)
    stored, entry = transition.records
    assert isinstance(stored, ModelStored)
    assert isinstance(entry, Entry)


def test_the_round_opens_when_everybody_is_there(federation: SmallFederation) -> None:
    transition = all_connected(federation)
    assert isinstance(transition.state, Running)
    tasks = [item.node for item in transition.outbox if isinstance(item, ToNode)]
    assert tuple(tasks) == federation.names


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("de", {"run": RunId("other")}, "another run"),
        ("de", {"plan_hash": sha256(b"other")}, "another plan"),
        ("xx", {}, "not in the roster"),
    ],
)
def test_a_node_that_does_not_fit_is_told_why_and_disconnected(
    federation: SmallFederation, name: str, changes: dict[str, object], reason: str
) -> None:
    start = running(open_run(federation.setup, federation.initial, 0.0))
    transition = start.connected(NodeId(name), hello(federation, **changes), 0.0)
    _, told, disconnected, *_ = transition.outbox
    assert isinstance(told, ToNode)
    assert isinstance(told.message, Rejected)
    assert reason in told.message.reason
    assert disconnected == Disconnect(NodeId(name))
    assert isinstance(transition.state, Gathering)
    assert not transition.state.progress.connected


def test_a_node_that_breaks_the_protocol_is_dropped_and_named(federation: SmallFederation) -> None:
    state = running(all_connected(federation))
    garbage = KeyAdvert(NodeId("de"), b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, b"\x04" * 64)
    transition = state.receive(NodeId("de"), FromClient(1, 1, garbage), 1.0)
    assert events(transition) == ["node_violation", "node_dropped"]
    assert isinstance(transition.state, Running)
    assert NodeId("de") not in transition.state.round.server.waiting_for


def test_a_node_cannot_speak_for_another(federation: SmallFederation) -> None:
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for node in federation.nodes():
        run.node_arrives(node)
    while not any(isinstance(message, FromClient) for _, message in run.to_coordinator):
        assert run.deliver_next()
    sender, advert = next(item for item in run.to_coordinator if isinstance(item[1], FromClient))
    other = next(name for name in federation.names if name != sender)
    assert run.coordinator is not None
    assert isinstance(run.coordinator, Running)
    transition = run.coordinator.receive(other, advert, 1.0)
    assert "node_violation" in events(transition)


def test_messages_of_an_old_attempt_change_nothing(federation: SmallFederation) -> None:
    state = running(all_connected(federation))
    transition = state.receive(NodeId("de"), FromClient(1, 7, Withdrawal("bye")), 1.0)
    assert events(transition) == ["late_message"]
    assert transition.deadline is not None
    assert isinstance(transition.state, Running)
    assert NodeId("de") in transition.state.round.server.waiting_for


def test_a_message_that_the_network_repeats_drops_nobody(federation: SmallFederation) -> None:
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for node in federation.nodes():
        run.node_arrives(node)
    adverts: list[tuple[NodeId, NodeMessage]] = []
    while not (
        isinstance(run.coordinator, Running) and run.coordinator.round.server.phase is Phase.SHARE_KEYS
    ):
        adverts = [item for item in run.to_coordinator if isinstance(item[1], FromClient)] or adverts
        assert run.deliver_next()
    sender, advert = adverts[0]
    transition = run.coordinator.receive(sender, advert, 1.0)
    assert events(transition) == ["late_message"]
    assert isinstance(transition.state, Running)
    assert sender in transition.state.round.server.waiting_for


def test_training_that_takes_too_long_ends_the_attempt_by_name(federation: SmallFederation) -> None:
    transition = all_connected(federation)
    assert transition.deadline == federation.plan.phase_seconds[Phase.ADVERTISE_KEYS]
    expired = running(transition).expire(transition.deadline)
    assert "round_aborted" in events(expired)
    # Everybody is still connected, so the next attempt is opened in the same breath.
    assert "round_opened" in events(expired)
    bodies = [record.body for record in expired.records if isinstance(record, Entry)]
    assert isinstance(bodies[0], RoundAborted)
    assert bodies[0].reason == "too_few_adverts"


def finished_run(federation: SmallFederation) -> FederationRun:
    return run_federation(
        federation.setup, federation.nodes(), federation.initial, federation.train, federation.entropy
    )


def test_the_end_waits_for_every_node_to_hold_the_model(federation: SmallFederation) -> None:
    run = finished_run(federation)
    replayed = replay(run.ledger, federation.coordinator_key.public)
    again = resume_run(federation.setup, replayed, run.kept(federation.setup, replayed), 0.0)
    assert isinstance(again.state, Finishing)
    assert again.records == ()
    transition = again.state.connected(NodeId("de"), hello(federation), 0.0)
    (closed,) = [item.message for item in transition.outbox if isinstance(item, ToNode)]
    assert isinstance(closed, RunClosed)
    state: RunningCoordinator = running(transition)
    wrong = state.receive(NodeId("de"), Finished(sha256(b"another model")), 0.0)
    assert events(wrong) == ["late_message"]
    for name in federation.names:
        after: CoordinatorTransition = state.receive(name, Finished(closed.model_hash), 0.0)
        if not isinstance(after.state, Stopped):
            state = after.state
    assert after.state == Stopped(completed=True, reason="", missing=())


def test_a_coordinator_that_died_between_rounds_goes_on_where_its_ledger_ends(
    federation: SmallFederation,
) -> None:
    run = finished_run(federation)
    releases = [place for place, entry in enumerate(run.ledger) if isinstance(entry.body, RoundReleased)]
    replayed = replay(run.ledger[: releases[0] + 1], federation.coordinator_key.public)
    assert (replayed.released, replayed.attempts, replayed.open_attempt) == (1, 0, 0)
    transition = resume_run(federation.setup, replayed, run.kept(federation.setup, replayed), 0.0)
    (entry,) = transition.records
    assert isinstance(entry, Entry)
    assert entry.body == CoordinatorRestarted(1, 0)


def test_a_coordinator_that_died_before_it_could_say_that_the_run_is_complete_says_so(
    federation: SmallFederation,
) -> None:
    run = finished_run(federation)
    replayed = replay(run.ledger[:-1], federation.coordinator_key.public)
    transition = resume_run(federation.setup, replayed, run.kept(federation.setup, replayed), 0.0)
    bodies = [record.body for record in transition.records if isinstance(record, Entry)]
    assert bodies == [CoordinatorRestarted(2, 0), RunCompleted(2, replayed.model_hash)]
    assert isinstance(transition.state, Finishing)


def test_a_coordinator_that_died_in_the_last_attempt_gives_the_run_up() -> None:
    federation = SmallFederation(["de", "fr", "jp", "uk"], max_attempts=1)
    run = finished_run(federation)
    replayed = replay(run.ledger[:3], federation.coordinator_key.public)
    transition = resume_run(federation.setup, replayed, run.kept(federation.setup, replayed), 0.0)
    bodies = [record.body for record in transition.records if isinstance(record, Entry)]
    assert bodies[-1] == RunAborted(0, "coordinator_restarted")
    assert isinstance(transition.state, GivenUp)


def test_a_coordinator_that_died_in_a_round_aborts_it_and_tries_again(federation: SmallFederation) -> None:
    run = finished_run(federation)
    for size in range(2, 6):
        replayed = replay(run.ledger[:size], federation.coordinator_key.public)
        transition = resume_run(federation.setup, replayed, run.kept(federation.setup, replayed), 0.0)
        restarted, aborted = (record.body for record in transition.records if isinstance(record, Entry))
        assert restarted == CoordinatorRestarted(1, 1)
        assert isinstance(aborted, RoundAborted)
        unmasking_begun = size == 5
        assert (aborted.reason, aborted.unmasked) == ("coordinator_restarted", unmasking_begun)
        for name in federation.names:
            transition = running(transition).connected(name, hello(federation), 0.0)
        tasks = [item.message for item in transition.outbox if isinstance(item, ToNode)]
        assert isinstance(tasks[0], RoundTask)
        assert (tasks[0].manifest.round, tasks[0].manifest.attempt) == (1, 2)


def test_a_restart_between_two_attempts_still_asks_for_the_same_markets(
    federation: SmallFederation,
) -> None:
    run = finished_run(federation)
    replayed = replay(run.ledger[:5], federation.coordinator_key.public)
    first = resume_run(federation.setup, replayed, run.kept(federation.setup, replayed), 0.0)
    entries = [*run.ledger[:5], *(record for record in first.records if isinstance(record, Entry))]
    second = replay(entries, federation.coordinator_key.public)
    assert second.bound_to == federation.names


def test_a_retry_that_needs_a_lost_market_waits_for_it_and_not_for_ever(federation: SmallFederation) -> None:
    run = finished_run(federation)
    replayed = replay(run.ledger[:5], federation.coordinator_key.public)
    transition = resume_run(federation.setup, replayed, run.kept(federation.setup, replayed), 0.0)
    for name in federation.names[:-1]:
        transition = running(transition).connected(name, hello(federation), 1.0)
    (waiting,) = [
        item for item in transition.outbox if isinstance(item, Observed) and item.event == "waiting_for"
    ]
    assert waiting.fields["markets"] == [federation.names[-1]]
    assert transition.deadline == federation.plan.finish_seconds
    given_up = running(transition).expire(transition.deadline)
    assert isinstance(given_up.state, GivenUp)
    told = given_up.state.connected(federation.names[-1], hello(federation), 700.0)
    assert isinstance(told.outbox[0], ToNode)
    assert told.outbox[0].message == Rejected("the run was aborted: missing_for_retry")
    assert told.state == Stopped(completed=False, reason="missing_for_retry", missing=())


def test_before_shares_were_asked_for_a_retry_may_go_on_with_others(federation: SmallFederation) -> None:
    run = finished_run(federation)
    replayed = replay(run.ledger[:4], federation.coordinator_key.public)
    assert replayed.survivors == federation.names
    transition = resume_run(federation.setup, replayed, run.kept(federation.setup, replayed), 0.0)
    for name in federation.names[:-1]:
        transition = running(transition).connected(name, hello(federation), 1.0)
    opened = running(transition).expire(federation.plan.join_seconds)
    assert "round_opened" in events(opened)


def test_a_market_that_comes_and_goes_postpones_a_round_only_so_long(federation: SmallFederation) -> None:
    transition = open_run(federation.setup, federation.initial, 0.0)
    for name in federation.names[:-1]:
        transition = running(transition).connected(name, hello(federation), 0.0)
    restless, now = federation.names[-1], 0.0
    refused = hello(federation, plan_hash=sha256(b"an old plan"))
    while isinstance(transition.state, Gathering) and now < 10 * federation.plan.join_seconds:
        now += federation.plan.join_seconds / 3
        transition = transition.state.connected(restless, refused, now)
        transition = running(transition).disconnected(restless, now)
    assert isinstance(transition.state, Running)
    assert now <= federation.plan.join_seconds


def test_accusations_that_nobody_signed_convict_nobody(federation: SmallFederation) -> None:
    state = running(all_connected(federation))
    accuse = FromClient(1, 1, Withdrawal("key is unusable", NodeId("uk")))
    first = running(state.receive(NodeId("de"), accuse, 1.0))
    transition = first.receive(NodeId("fr"), accuse, 1.0)
    assert events(transition)[:2] == ["node_withdrew", "node_dropped"]
    assert "round_aborted" in events(transition)
    assert "node_convicted" not in events(transition)
    tasks = [item.node for item in transition.outbox if isinstance(item, ToNode)][-4:]
    assert tasks == list(federation.names)


def test_a_model_that_no_longer_changes_ends_the_run_by_name(federation: SmallFederation) -> None:
    def idle_training(name: NodeId, manifest: RoundManifest, parameters: Vector) -> LocalUpdate:
        return LocalUpdate(manifest.model_hash, np.zeros_like(parameters), federation.num_users(name), 1.0)

    run = run_federation(
        federation.setup, federation.nodes(), federation.initial, idle_training, federation.entropy
    )
    assert run.coordinator == Stopped(completed=False, reason="model_unchanged", missing=())
    assert not any(event == "refused" for _, event, _ in run.log)


def released_after_tampering(
    federation: SmallFederation, slot: int, value: float, validation: float | None = None
) -> RoundAborted:
    """Return what becomes of an otherwise honest sum in which one slot holds `value`."""
    state = all_connected(federation).state
    assert isinstance(state, Running)
    attempt = state.round.attempt
    layout = update_encoding(attempt.manifest, federation.plan)
    total = np.zeros(layout.length, dtype=np.uint32)
    for name in federation.names:
        total += layout.encode(federation.update(name), 0.1, 1.0, sha256(name.encode()), validation)
    scale = layout.weight_scale if slot < 0 else layout.update_scale
    total[slot] = np.uint32(int(scale * value))
    completed = Completed(total, federation.names, {}, {}, bytes(32), ConsistencyProof(()), (), ())
    (entry,) = release(replace(attempt, survivors=federation.names), completed, 1.0).records
    assert isinstance(entry, Entry)
    assert isinstance(entry.body, RoundAborted)
    return entry.body


@pytest.mark.parametrize(
    ("slot", "value", "detail"),
    [
        (-3, 0.03, "weights sum to too little"),  # a weight that nearly cancels the others'
        (0, 30.0, "longer than clip_norm"),  # an update beyond what anybody may contribute
    ],
)
def test_a_liar_moves_the_model_by_no_more_than_the_clip_norm(
    federation: SmallFederation, slot: int, value: float, detail: str
) -> None:
    aborted = released_after_tampering(federation, slot, value)
    assert (aborted.reason, detail in aborted.detail) == ("bad_sum", True)


@pytest.mark.parametrize("slot", [-2, -3])
def test_a_metric_that_nobody_can_have_is_not_released(slot: int) -> None:
    """Better than perfect, or measured by more than took part."""
    federation = SmallFederation(["de", "fr", "jp", "uk"], releases_validation=True)
    aborted = released_after_tampering(federation, slot, 0.9, validation=0.5)
    assert aborted.reason == "bad_sum"
    assert "validation metric in the sum is impossible" in aborted.detail


def test_a_sum_that_cannot_be_a_model_is_not_released(federation: SmallFederation) -> None:
    """A node that lies about its count spoils the round by name; no model is made of it."""

    def liar(name: NodeId, *_: object) -> bytes:
        return federation.entropy(name)

    run = FederationRun(federation.train, liar)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for node in federation.nodes():
        run.node_arrives(node)
    while not (isinstance(run.coordinator, Running) and run.coordinator.round.server.phase is Phase.UNMASK):
        assert run.deliver_next()
    server = run.coordinator.round.server
    total = server.total.copy()  # type: ignore[attr-defined]
    total[-1] += np.uint32(1)
    tampered = replace(server, total=total)  # type: ignore[call-arg]
    run.coordinator = Running(replace(run.coordinator.round, server=tampered))
    while run.to_coordinator or run.to_nodes:
        if any(isinstance(entry.body, RoundAborted) for entry in run.ledger):
            break
        run.deliver_next()
    aborted = [entry.body for entry in run.ledger if isinstance(entry.body, RoundAborted)]
    assert [(body.reason, body.unmasked) for body in aborted] == [("bad_sum", True)]
    assert not any(isinstance(entry.body, RoundReleased) for entry in run.ledger)
