"""What nodes sign of the ledger, what they refuse to sign, and what a crash makes of it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import LedgerError
from fecosr.federation import node as market
from fecosr.federation.coordinator import open_run
from fecosr.federation.effects import CheckpointKept, Observed, ToCoordinator
from fecosr.federation.memory import Memory, remembered
from fecosr.federation.messages import (
    HeadSigned,
    Hello,
    Outcome,
    Rejected,
    RoundClosed,
    RoundManifest,
    RoundTask,
)
from fecosr.federation.node_states import Idle, NodeTransition, Refused, Training
from fecosr.federation.run import FederationRun, run_federation
from fecosr.ids import NodeId
from fecosr.ledger.checkpoint import Growth
from fecosr.ledger.countersignature import verify_countersignature
from fecosr.ledger.log import verify_log
from tests.reference.shown_ledger import SIZE, known, shown, signed_task, some_log
from tests.reference.small_federation import NUM_PARAMETERS, SmallFederation

FR = NodeId("fr")
MODEL = sha256(b"the model")


@pytest.fixture
def federation() -> SmallFederation:
    return SmallFederation(["de", "fr", "jp", "uk"])


@pytest.fixture
def idle(federation: SmallFederation) -> Idle:
    return Idle(federation.node("fr"), Memory(head=known(federation, "fr")))


def ending(growth: Growth) -> RoundClosed:
    return RoundClosed(1, 1, Outcome.ABORTED, "bad_sum", None, growth)


def task(federation: SmallFederation, growth: Growth, **changes: object) -> RoundTask:
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
        ledger_root=bytes(32),
    )
    return signed_task(federation, replace(manifest, **changes), growth)  # type: ignore[arg-type]


def sent(transition: NodeTransition) -> list[object]:
    return [item.message for item in transition.outbox if isinstance(item, ToCoordinator)]


def rule_of(transition: NodeTransition) -> object:
    (seen,) = (item for item in transition.outbox if isinstance(item, Observed) and item.event == "refused")
    return seen.fields["rule"]


@pytest.mark.parametrize("size", [SIZE + 1, SIZE + 4, 64, 200])
def test_a_head_that_continues_the_last_is_stored_and_then_signed(
    federation: SmallFederation, idle: Idle, size: int
) -> None:
    transition = market.receive(idle, ending(shown(federation, size, SIZE)))
    (record,) = transition.records
    (message,) = sent(transition)
    assert isinstance(record, CheckpointKept)
    assert isinstance(message, HeadSigned)
    assert record.kept.checkpoint.head == some_log(federation.plan.run, size).head
    statement = record.kept.statement_of(FR)
    assert (message.size, message.root, message.signature) == (size, statement.root, statement.signature)
    verify_countersignature(statement, federation.roster.nodes[FR])
    assert remembered([record]).head == record.kept


def test_what_was_signed_is_not_signed_again(federation: SmallFederation, idle: Idle) -> None:
    transition = market.receive(idle, ending(shown(federation)))
    assert (transition.records, sent(transition)) == ((), [])


@pytest.mark.parametrize(("size", "earlier"), [(SIZE, SIZE), (SIZE + 1, SIZE), (40, SIZE)])
def test_a_second_history_stops_the_node_by_name(
    federation: SmallFederation, idle: Idle, size: int, earlier: int
) -> None:
    """It never signs two heads of which the later does not continue the earlier."""
    other = shown(federation, size, earlier, history="another")
    for message in (ending(other), task(federation, other)):
        with pytest.raises(LedgerError, match="the coordinator shows a second history") as refused:
            market.receive(idle, message)
        assert refused.value.rule == "fork"


def test_a_ledger_that_shrank_or_is_not_proved_is_not_signed(federation: SmallFederation, idle: Idle) -> None:
    for growth, rule in (
        (shown(federation, SIZE - 1, 0), f"the ledger shrank from {SIZE} to {SIZE - 1} records"),
        (shown(federation, SIZE + 3, 2), f"the proof starts from 2 records, but {SIZE} were shown last"),
    ):
        transition = market.receive(idle, ending(growth))
        assert transition.records == ()
        assert rule_of(transition) == rule


def test_a_forged_head_or_one_of_another_run_is_not_signed(federation: SmallFederation, idle: Idle) -> None:
    honest = shown(federation, SIZE + 1, SIZE)
    stranger = SigningKey(sha256(b"somebody")).sign(b"whatever")
    forged = replace(honest, checkpoint=replace(honest.checkpoint, signature=stranger))
    other = SmallFederation(["de", "fr", "jp", "uk"], run="other")
    for growth in (forged, shown(other, SIZE + 1, SIZE)):
        transition = market.receive(idle, ending(growth))
        assert (transition.records, sent(transition)) == ((), [])
        rule_of(transition)


def test_a_task_that_names_another_ledger_than_is_shown_with_it_is_refused(
    federation: SmallFederation, idle: Idle
) -> None:
    honest = task(federation, shown(federation))
    manifest = replace(honest.manifest, ledger_root=bytes(32))
    lie = replace(
        honest, manifest=manifest, signature=federation.coordinator_key.sign(manifest.signed_bytes())
    )
    assert rule_of(market.receive(idle, lie)) == "the manifest names another ledger than was shown"
    assert isinstance(market.receive(idle, honest).state, Training)


def test_a_head_is_signed_even_if_the_task_that_brings_it_is_refused(
    federation: SmallFederation, idle: Idle
) -> None:
    """The next proof starts from it: what the coordinator showed and what was signed must not come apart."""
    refused = task(federation, shown(federation, SIZE + 2, SIZE), n_min=1)
    transition = market.receive(idle, refused)
    assert [type(record) for record in transition.records] == [CheckpointKept]
    assert rule_of(transition) == "n_min differs from the plan"
    assert isinstance(transition.state, Idle)
    following = market.receive(transition.state, ending(shown(federation, SIZE + 5, SIZE + 2)))
    assert [type(record) for record in following.records] == [CheckpointKept]


@pytest.fixture
def finished(federation: SmallFederation) -> FederationRun:
    return run_federation(
        federation.setup, federation.nodes(), federation.initial, federation.train, federation.entropy
    )


def test_an_honest_run_ends_with_everybodys_signature_of_the_whole_ledger(
    federation: SmallFederation, finished: FederationRun
) -> None:
    log = verify_log(finished.ledger, federation.roster.coordinator)
    assert finished.countersignatures.keys() == federation.roster.nodes.keys()
    for name, statement in finished.countersignatures.items():
        verify_countersignature(statement, federation.roster.nodes[name])
        assert statement.head == log.head
    for records in finished.records.values():
        heads = [record.kept.checkpoint.head for record in records if isinstance(record, CheckpointKept)]
        assert heads == [log.head_at(head.size) for head in heads]
        assert heads[-1] == log.head


def prefixes(federation: SmallFederation) -> Iterator[FederationRun]:
    """Yield a run stopped after 1, 2, ... deliveries, until it is over by itself."""
    for stop in range(1, 200, 3):
        run = FederationRun(federation.train, federation.entropy)
        run.coordinator_does(open_run(federation.setup, federation.initial, run.now))
        for node in federation.nodes():
            run.node_arrives(node)
        for _ in range(stop):
            if not run.deliver_next():
                return
        yield run


def test_a_crash_anywhere_makes_nobody_look_like_a_forker(federation: SmallFederation) -> None:
    """Node and coordinator lose what they had not sent; what they stored fits together all the same."""
    for number, run in enumerate(prefixes(federation)):
        victim = federation.names[number % len(federation.names)]
        run.node_crashes(victim)
        if number % 2:
            run.coordinator_restarts(federation.setup)
        run.node_arrives(federation.node(victim))
        while run.deliver_next():
            pass
        refused = [seen for seen in run.log if seen[1] in ("refused", "countersignature_refused", "rejected")]
        assert refused == []
        log = verify_log(run.ledger, federation.roster.coordinator)
        for statement in run.countersignatures.values():
            assert log.head_at(statement.size) == statement.head


def deliver_all(run: FederationRun) -> None:
    while run.deliver_next():
        pass


def hello(federation: SmallFederation, signed: HeadSigned) -> Hello:
    return Hello(federation.plan.run, federation.plan.hash(), "test", signed)


def test_a_coordinator_that_came_back_with_an_older_copy_refuses_who_knows_more(
    federation: SmallFederation, finished: FederationRun
) -> None:
    """So an operator hears of it before anything is signed on top of it; the node stops as well."""
    finished.ledger = finished.ledger[:-3]
    finished.to_nodes.clear()
    run = FederationRun(federation.train, federation.entropy, ledger=finished.ledger)
    run.models, run.optimiser_states = finished.models, finished.optimiser_states
    run.coordinator_restarts(federation.setup)
    run.records = finished.records
    run.node_arrives(federation.node("fr"))
    while run.deliver_next():
        pass
    assert isinstance(run.nodes[FR], Refused)
    (reason,) = (fields["reason"] for who, event, fields in run.log if (who, event) == (FR, "rejected"))
    assert "was an older copy restored?" in str(reason)


def test_a_countersignature_of_another_history_or_by_another_key_is_not_kept(
    federation: SmallFederation,
) -> None:
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, run.now))
    foreign = known(federation, "fr", size=1)
    for name, root in (("fr", foreign.checkpoint.root), ("fr", run_head(federation, run))):
        forged = HeadSigned(1, root, foreign.countersignature)
        run.to_nodes.clear()
        run.coordinator_does(run._running().connected(NodeId(name), hello(federation, forged), run.now))
        assert run.countersignatures == {}
        (told,) = (message for _, message in run.to_nodes)
        assert isinstance(told, Rejected)
        assert "does not share this ledger" in told.reason


def run_head(federation: SmallFederation, run: FederationRun) -> bytes:
    return verify_log(run.ledger, federation.roster.coordinator).head_at(1).root


def test_nodes_that_were_shown_two_histories_cannot_take_part_in_one_session(
    federation: SmallFederation,
) -> None:
    """The manifest names the ledger, and every key is signed for the manifest: they see it at the adverts."""
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, run.now))
    for node in federation.nodes():
        run.node_arrives(node)
    while not any(isinstance(message, RoundTask) for _, message in run.to_nodes):
        assert run.deliver_next()
    for place, (name, message) in enumerate(run.to_nodes):
        if name == FR and isinstance(message, RoundTask):
            told = shown(federation, 1, 0, history="another")
            run.to_nodes[place] = (name, signed_task(federation, message.manifest, told))
    # What the others are shown later does not continue what this market was shown first.
    with pytest.raises(LedgerError, match="fork: the coordinator shows a second history"):
        deliver_all(run)
    # Its key advert counted for nothing before that: it is signed for another manifest.
    log = [(event, fields) for who, event, fields in run.log if who == "coordinator"]
    assert any(event == "node_violation" and fields["market"] == FR for event, fields in log)
