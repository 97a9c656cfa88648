"""Round 0 where semantics are made from behaviour: one sum of sketches, opened once, named ever after."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fecosr.crypto.labels import sha256
from fecosr.errors import CryptoError, MisuseError
from fecosr.federation import node as market
from fecosr.federation.aggregation import Vector, parameters_hash
from fecosr.federation.cohort import invited
from fecosr.federation.coordinator import open_run
from fecosr.federation.effects import (
    AttemptClaimed,
    KeepFinalModel,
    MakeSketch,
    NodeRecord,
    Observed,
    SketchSeen,
    SumOpened,
    ToCoordinator,
    TrainLocally,
)
from fecosr.federation.handover import Stopped
from fecosr.federation.memory import Memory, remembered
from fecosr.federation.messages import (
    FromClient,
    Outcome,
    Release,
    RoundClosed,
    RoundManifest,
    RoundTask,
    RunClosed,
    SketchRelease,
)
from fecosr.federation.node_states import Aggregating, Closing, Idle, NodeTransition, Ready, Training
from fecosr.federation.policy import NodePolicy
from fecosr.federation.run import FederationRun, run_federation
from fecosr.federation.sketch import (
    SketchContribution,
    SketchTerms,
    open_sketch,
    prepare_sketch,
    sketch_encoding,
    start_hash,
)
from fecosr.ids import NodeId
from fecosr.ledger.checkpoint import growth
from fecosr.ledger.log import append, verify_log
from fecosr.ledger.records import (
    CoordinatorRestarted,
    RoundAborted,
    RoundOpened,
    RoundReleased,
    RunCompleted,
    SketchReleased,
    SurvivorsFixed,
    kind_of,
)
from fecosr.secagg.messages import Phase, Withdrawal
from tests.reference.shown_ledger import SIZE, known, shown, signed_task, some_log
from tests.reference.small_federation import NUM_PARAMETERS, SKETCH, SKETCH_LENGTH, SmallFederation

NAMES = ["de", "fr", "jp", "uk"]
MODEL, OPENED = sha256(b"the model"), sha256(b"the sum of sketches")
TOLERANCE = 1e-5
"""A unit of the encoding is below 1e-6 here."""


@pytest.fixture
def federation() -> SmallFederation:
    return SmallFederation(NAMES, sketch=SKETCH)


@pytest.fixture
def idle(federation: SmallFederation) -> Idle:
    return knowing(federation, Memory())


def start(federation: SmallFederation) -> FederationRun:
    run = FederationRun(federation.train, federation.entropy, federation.sketch)
    run.coordinator_does(open_run(federation.setup, federation.initial, run.now))
    for node in federation.nodes():
        run.node_arrives(node)
    return run


def deliver_all(run: FederationRun) -> None:
    while run.deliver_next():
        pass


def deliver_until(run: FederationRun, event: str, **fields: object) -> None:
    while not any(logged == event and fields.items() <= values.items() for _, logged, values in run.log):
        assert run.deliver_next(), f"nothing left to deliver before {event}"


def undisturbed(federation: SmallFederation) -> FederationRun:
    return run_federation(
        federation.setup,
        federation.nodes(),
        federation.initial,
        federation.train,
        federation.entropy,
        sketch=federation.sketch,
    )


def summed(federation: SmallFederation, names: list[NodeId] | tuple[NodeId, ...]) -> Vector:
    total = np.sum([federation.sketch(name).astype(np.float64) for name in names], axis=0)
    return np.asarray(total, dtype=np.float32)


def released_sketch(run: FederationRun) -> SketchReleased:
    (body,) = [entry.body for entry in run.ledger if isinstance(entry.body, SketchReleased)]
    return body


def events(run: FederationRun, event: str) -> list[object]:
    return [fields for _, logged, fields in run.log if logged == event]


# Whole runs.


def test_the_sum_is_opened_first_and_every_round_names_it(federation: SmallFederation) -> None:
    run = undisturbed(federation)

    assert run.coordinator == Stopped(completed=True, reason="", missing=())
    attempt = ["round_opened", "cohort_fixed", "survivors_fixed", "unmasking_begun"]
    rounds = [*attempt, "round_released", *attempt, "round_released"]
    kinds = [kind_of(entry.body) for entry in run.ledger]
    assert kinds == ["run_opened", *attempt, "sketch_released", *rounds, "run_completed"]
    verify_log(run.ledger, federation.setup.key.public)
    body = released_sketch(run)
    np.testing.assert_allclose(
        run.sketches[body.sketch_hash], summed(federation, federation.names), atol=TOLERANCE
    )
    manifests = [entry.body.manifest for entry in run.ledger if isinstance(entry.body, RoundOpened)]
    assert [(m.round, m.sketch_hash) for m in manifests] == [
        (0, None),
        (1, body.sketch_hash),
        (2, body.sketch_hash),
    ]
    assert (manifests[0].num_parameters, manifests[0].clip_norm) == (SKETCH_LENGTH, SKETCH.norm)


def test_models_are_what_they_are_without_a_sketch_round(federation: SmallFederation) -> None:
    def final(run: FederationRun) -> Vector:
        (completed,) = [entry.body for entry in run.ledger if isinstance(entry.body, RunCompleted)]
        return run.models[completed.final_model_hash]

    without = undisturbed(SmallFederation(NAMES))
    np.testing.assert_allclose(final(undisturbed(federation)), final(without), atol=TOLERANCE)


def test_every_node_remembers_the_sketch_and_is_told_of_it_at_the_end(federation: SmallFederation) -> None:
    run = undisturbed(federation)
    digest = released_sketch(run).sketch_hash
    for records in run.records.values():
        assert [record for record in records if isinstance(record, SketchSeen)] == [SketchSeen(digest)]
        assert remembered(records).sketch == digest
        assert [r.round for r in records if isinstance(r, AttemptClaimed)] == [0, 1, 2]


def test_rows_that_no_market_touches_stay_exactly_zero(federation: SmallFederation) -> None:
    """Stochastic rounding must not make items look related that nobody ever had."""
    run = undisturbed(federation)
    sketch = run.sketches[released_sketch(run).sketch_hash]
    untouched = summed(federation, federation.names) == 0
    assert untouched.sum() == SKETCH_LENGTH - 5
    assert not sketch[untouched].any()


def test_a_sketch_longer_than_the_plan_allows_is_shortened() -> None:
    federation = SmallFederation(NAMES, sketch=SketchTerms(SKETCH_LENGTH, 1.0))
    run = undisturbed(federation)
    sketch = run.sketches[released_sketch(run).sketch_hash]
    expected = np.sum([s / np.linalg.norm(s) for s in map(federation.sketch, federation.names)], axis=0)
    np.testing.assert_allclose(sketch, expected, atol=TOLERANCE)


@pytest.mark.parametrize("ring_bits", [24, 16])
def test_a_sketch_takes_the_whole_ring_whatever_updates_take(ring_bits: int) -> None:
    federation = SmallFederation(NAMES, sketch=SKETCH, ring_bits=ring_bits)
    run = undisturbed(federation)
    bits = [entry.body.manifest.ring_bits for entry in run.ledger if isinstance(entry.body, RoundOpened)]
    assert bits == [32, ring_bits, ring_bits]


def test_everybody_is_invited_to_the_sketch_round_whoever_is_to_the_others() -> None:
    federation = SmallFederation(["de", "es", "fr", "it", "jp", "uk"], sketch=SKETCH, participation=0.5)
    run = undisturbed(federation)
    expected = [entry.body.expected for entry in run.ledger if isinstance(entry.body, RoundOpened)]
    assert [len(names) for names in expected] == [6, 3, 3]
    assert invited(federation.plan.run, 0, federation.roster, 0.5) == set(federation.names)
    assert released_sketch(run).survivors == federation.names


# What befalls honest parties.


@pytest.mark.parametrize("phase", list(Phase))
def test_a_market_that_dies_in_the_sketch_round_uses_the_sum_of_the_others(
    federation: SmallFederation, phase: Phase
) -> None:
    run = start(federation)
    deliver_until(run, "phase_started", round=0, phase=phase.value)
    run.node_crashes(NodeId("jp"))
    run.node_arrives(federation.node("jp"))
    deliver_all(run)

    body = released_sketch(run)
    assert (NodeId("jp") in body.survivors) == (phase in {Phase.CONSISTENCY, Phase.UNMASK})
    np.testing.assert_allclose(
        run.sketches[body.sketch_hash], summed(federation, body.survivors), atol=TOLERANCE
    )
    assert remembered(run.records[NodeId("jp")]).sketch == body.sketch_hash
    assert run.fine_tuning.keys() == set(federation.names)
    assert not events(run, "refused")


def test_after_a_sum_may_have_been_opened_the_sketch_round_is_retried_over_the_same_markets(
    federation: SmallFederation,
) -> None:
    """The difference of two sums of sketches would be one market's sketch."""
    run = start(federation)
    deliver_until(run, "phase_started", round=0, phase=Phase.UNMASK.value)
    for name in ("jp", "uk"):
        run.node_crashes(NodeId(name))
    deliver_all(run)
    run.node_arrives(federation.node("jp"))
    deliver_all(run)
    assert not any(isinstance(entry.body, SketchReleased) for entry in run.ledger)
    run.node_arrives(federation.node("uk"))
    deliver_all(run)

    (aborted,) = [entry.body for entry in run.ledger if isinstance(entry.body, RoundAborted)]
    assert (aborted.round, aborted.unmasked) == (0, True)
    fixed = [entry.body for entry in run.ledger if isinstance(entry.body, SurvivorsFixed)]
    assert {body.survivors for body in fixed if body.round == 0} == {federation.names}
    assert released_sketch(run).attempt == 2


@pytest.mark.parametrize("stored", range(1, 18))
def test_a_coordinator_that_dies_after_any_record_ends_with_one_sketch(
    federation: SmallFederation, stored: int
) -> None:
    before = undisturbed(federation)
    assert len(before.ledger) == 17
    after = FederationRun(
        federation.train,
        federation.entropy,
        federation.sketch,
        ledger=before.ledger[:stored],
        models=before.models,
        optimiser_states=before.optimiser_states,
        sums=before.sums,
        sketches=before.sketches,
    )
    after.coordinator_restarts(federation.setup)
    for node in federation.nodes():
        after.node_arrives(node)
    deliver_all(after)

    assert after.coordinator == Stopped(completed=True, reason="", missing=())
    verify_log(after.ledger, federation.setup.key.public)
    digest = released_sketch(after).sketch_hash
    np.testing.assert_allclose(after.sketches[digest], summed(federation, federation.names), atol=TOLERANCE)
    rounds = [entry.body.round for entry in after.ledger if isinstance(entry.body, RoundReleased)]
    assert rounds == [1, 2]
    restarted = [entry.body.round for entry in after.ledger if isinstance(entry.body, CoordinatorRestarted)]
    assert not restarted or (restarted[0] == 0) == (stored <= 6)


@pytest.mark.parametrize("stored", range(1, 12))
def test_a_node_that_dies_after_any_record_takes_part_again(federation: SmallFederation, stored: int) -> None:
    run = start(federation)
    fr = NodeId("fr")
    while len(run.records[fr]) < stored:
        assert run.deliver_next()
    run.node_crashes(fr)
    run.node_arrives(federation.node("fr"))
    deliver_all(run)
    assert run.fine_tuning.keys() == set(federation.names)
    assert not events(run, "refused")
    assert len([record for record in run.records[fr] if isinstance(record, SketchSeen)]) == 1


def test_markets_that_keep_their_sketch_use_that_of_the_others() -> None:
    federation = SmallFederation(NAMES, sketch=SKETCH)
    private = replace(federation.node("fr").policy, release_sketch=False)
    run = FederationRun(federation.train, federation.entropy, federation.sketch)
    run.coordinator_does(open_run(federation.setup, federation.initial, run.now))
    for name in federation.names:
        changes = {"policy": private} if name == "fr" else {}
        run.node_arrives(federation.node(name, **changes))
    deliver_all(run)

    assert released_sketch(run).survivors == ("de", "jp", "uk")
    first = next(entry.body for entry in run.ledger if isinstance(entry.body, RoundReleased))
    assert first.survivors == federation.names
    assert [fields["rule"] for fields in events(run, "refused") if isinstance(fields, dict)] == [
        "this market does not release its behaviour sketch"
    ]


def test_a_sum_that_is_none_of_sketches_is_not_released(
    federation: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(*_: object) -> Vector:
        raise CryptoError("a sketch has weight one and no loss")

    run = start(federation)
    monkeypatch.setattr("fecosr.federation.attempt.open_sketch", impossible)
    deliver_until(run, "round_aborted", round=0, reason="bad_sum")
    assert not run.sketches


# A coordinator that lies.


def knowing(federation: SmallFederation, memory: Memory) -> Idle:
    """Return a node that has signed the ledger as far as it is shown."""
    return Idle(federation.node("fr"), replace(memory, head=known(federation, "fr")))


def manifest_of(federation: SmallFederation, **changes: object) -> RoundManifest:
    plan = federation.plan
    manifest = RoundManifest(
        run=plan.run,
        round=0,
        attempt=1,
        plan_hash=plan.hash(),
        model_hash=start_hash(SKETCH_LENGTH),
        num_parameters=SKETCH_LENGTH,
        clip_norm=SKETCH.norm,
        num_summands=4,
        n_min=plan.n_min,
        max_colluding=plan.max_colluding,
        ring_bits=32,
        ledger_size=SIZE,
        ledger_root=some_log(plan.run).head.root,
    )
    return replace(manifest, **changes)  # type: ignore[arg-type]


def training_round(federation: SmallFederation, **changes: object) -> RoundManifest:
    later = {
        "round": 1,
        "model_hash": MODEL,
        "num_parameters": NUM_PARAMETERS,
        "clip_norm": federation.plan.clip_norm,
        "sketch_hash": OPENED,
    }
    return manifest_of(federation, **{**later, **changes})


def task(federation: SmallFederation, manifest: RoundManifest) -> RoundTask:
    return signed_task(federation, manifest)


def refused_rule(transition: NodeTransition) -> object:
    (seen,) = [item for item in transition.outbox if isinstance(item, Observed) and item.event == "refused"]
    return seen.fields["rule"]


def test_a_sketch_is_asked_for_once_claimed(federation: SmallFederation, idle: Idle) -> None:
    manifest = manifest_of(federation)
    step = market.receive(idle, task(federation, manifest))
    assert step.records == (AttemptClaimed(0, 1, start_hash(SKETCH_LENGTH)),)
    assert step.outbox == (MakeSketch(manifest),)


def test_the_first_manifest_tells_a_node_that_missed_the_release(
    federation: SmallFederation, idle: Idle
) -> None:
    manifest = training_round(federation)
    step = market.receive(idle, task(federation, manifest))
    assert step.records == (SketchSeen(OPENED), AttemptClaimed(1, 1, MODEL))
    assert step.outbox == (TrainLocally(manifest),)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"num_parameters": NUM_PARAMETERS}, "the manifest is of another model"),
        ({"clip_norm": 10.0}, "clip_norm differs from the plan"),
        ({"ring_bits": 16}, "ring_bits differs from the plan"),
        ({"model_hash": MODEL}, "the sketch round starts from zeros"),
        ({"sketch_hash": OPENED}, "the manifest names a sketch where there is none"),
        ({"attempt": 4}, "the attempt is outside the plan"),
    ],
)
def test_a_sketch_round_outside_the_plan_is_refused(
    federation: SmallFederation, idle: Idle, changes: dict[str, object], rule: str
) -> None:
    step = market.receive(idle, task(federation, manifest_of(federation, **changes)))
    assert refused_rule(step) == rule
    assert step.records == ()
    (leave,) = [item.message for item in step.outbox if isinstance(item, ToCoordinator)]
    assert isinstance(leave, FromClient)
    assert leave.body == Withdrawal(rule)


@pytest.mark.parametrize(
    ("memory", "manifest", "rule"),
    [
        (Memory(sketch=OPENED), manifest_of, "the sketch was released already"),
        (
            Memory(sketch=OPENED),
            lambda f: training_round(f, sketch_hash=MODEL),
            "the sketch is not the one that was released",
        ),
        (Memory(), lambda f: training_round(f, sketch_hash=None), "the manifest names no sketch"),
        (
            Memory(claimed=(1, 1), models={1: MODEL}, sketch=None),
            lambda f: manifest_of(f, attempt=3),
            "the attempt is not newer than the last",
        ),
    ],
)
def test_a_second_sketch_is_refused(
    federation: SmallFederation,
    memory: Memory,
    manifest: Callable[[SmallFederation], RoundManifest],
    rule: str,
) -> None:
    idle = knowing(federation, memory)
    assert refused_rule(market.receive(idle, task(federation, manifest(federation)))) == rule


@pytest.mark.parametrize(
    ("manifest", "rule"),
    [
        (manifest_of, "the manifest is of another model"),
        (
            lambda f: manifest_of(f, num_parameters=NUM_PARAMETERS, clip_norm=10.0),
            "the round is outside the plan",
        ),
        (training_round, "the manifest names a sketch where there is none"),
    ],
)
def test_a_sketch_for_a_plan_that_has_none_is_refused(
    manifest: Callable[[SmallFederation], RoundManifest], rule: str
) -> None:
    plain = SmallFederation(NAMES)
    step = market.receive(knowing(plain, Memory()), task(plain, manifest(plain)))
    assert refused_rule(step) == rule


def test_a_second_sum_of_sketches_is_over_the_same_markets_or_refused(federation: SmallFederation) -> None:
    """A node that helped to open one stays away from any other, whatever it is told about the first."""
    opened = SumOpened(start_hash(SKETCH_LENGTH), tuple(map(NodeId, ("de", "fr", "jp"))))
    memory = remembered([AttemptClaimed(0, 1, start_hash(SKETCH_LENGTH)), opened])
    run = start(federation)
    deliver_until(run, "phase_started", round=0, phase=Phase.SHARE_KEYS.value)
    state = run.nodes[NodeId("fr")]
    assert isinstance(state, Aggregating)
    run.nodes[NodeId("fr")] = replace(state, memory=memory)
    deliver_all(run)
    rules = [fields["rule"] for fields in events(run, "refused") if isinstance(fields, dict)]
    assert "a second sum over this model must be over the same nodes" in rules


def closed_round(federation: SmallFederation, number: int, release: Release | SketchRelease) -> RoundClosed:
    return RoundClosed(number, 1, Outcome.RELEASED, "", release, shown(federation))


@pytest.mark.parametrize(
    ("sketch", "number", "release", "rule"),
    [
        (None, 0, SketchRelease(OPENED), "the round has no sketch to release"),
        (SKETCH, 1, SketchRelease(OPENED), "the round has no sketch to release"),
        (SKETCH, 0, SketchRelease(MODEL), "another sketch was released already"),
        (SKETCH, 0, Release(MODEL, None), "the sketch round releases no model"),
    ],
)
def test_a_release_of_the_wrong_kind_is_refused(
    sketch: SketchTerms | None, number: int, release: Release | SketchRelease, rule: str
) -> None:
    federation = SmallFederation(NAMES, sketch=sketch)
    idle = knowing(federation, Memory(sketch=OPENED if sketch else None))
    step = market.receive(idle, closed_round(federation, number, release))
    assert refused_rule(step) == rule
    assert step.records == ()


def closed_run(federation: SmallFederation, sketch_hash: bytes | None) -> RunClosed:
    plan = federation.plan
    key = federation.coordinator_key
    entry, log = append(some_log(plan.run), RunCompleted(plan.rounds, MODEL), key)
    proof, told = log.inclusion_proof(SIZE), growth(log, SIZE, key)
    closed = RunClosed(plan.run, plan.rounds, MODEL, (), entry.signature, proof, told, b"", sketch_hash)
    return replace(closed, signature=federation.coordinator_key.sign(closed.signed_bytes()))


def test_the_end_tells_a_node_that_missed_everything(federation: SmallFederation, idle: Idle) -> None:
    step = market.receive(idle, closed_run(federation, OPENED))
    assert isinstance(step.state, Closing)
    assert SketchSeen(OPENED) in step.records
    assert step.outbox[1:] == (KeepFinalModel(MODEL, OPENED),)


@pytest.mark.parametrize(
    ("before", "told", "rule"),
    [
        (None, None, "the end names no sketch"),
        (OPENED, MODEL, "the sketch is not the one that was released"),
    ],
)
def test_an_end_with_another_sketch_is_refused(
    federation: SmallFederation, before: bytes | None, told: bytes | None, rule: str
) -> None:
    idle = knowing(federation, Memory(sketch=before))
    assert refused_rule(market.receive(idle, closed_run(federation, told))) == rule


def test_the_signature_of_the_end_covers_the_sketch(federation: SmallFederation, idle: Idle) -> None:
    swapped = replace(closed_run(federation, OPENED), sketch_hash=MODEL)
    assert "not the pinned coordinator's" in str(refused_rule(market.receive(idle, swapped)))


def test_an_end_with_a_sketch_is_refused_where_the_plan_has_none() -> None:
    plain = SmallFederation(NAMES)
    step = market.receive(knowing(plain, Memory()), closed_run(plain, OPENED))
    assert refused_rule(step) == "the end names a sketch where there is none"


# A market's own rules.


def test_a_sketch_leaves_only_where_the_operator_says_so(federation: SmallFederation) -> None:
    policy = NodePolicy(n_min=3, max_colluding=1, max_rounds=100, max_clip_norm=100.0)
    idle = Idle(federation.node("fr", policy=policy), knowing(federation, Memory()).memory)
    refused = market.receive(idle, task(federation, manifest_of(federation)))
    assert refused_rule(refused) == "this market does not release its behaviour sketch"
    assert refused.records == ()


def test_a_sketch_that_is_not_finite_stays_at_home(federation: SmallFederation, idle: Idle) -> None:
    training = market.receive(idle, task(federation, manifest_of(federation))).state
    assert isinstance(training, Training)
    broken = SketchContribution(training.model_hash, np.full(SKETCH_LENGTH, np.inf, np.float32))
    step = training.trained(broken)
    assert isinstance(step.state, Idle)
    assert Observed("training_failed", {"reason": "the sketch is not finite"}) in step.outbox


def test_an_update_is_no_contribution_to_the_sketch_round(federation: SmallFederation, idle: Idle) -> None:
    training = market.receive(idle, task(federation, manifest_of(federation))).state
    assert isinstance(training, Training)
    update = replace(federation.train(NodeId("fr"), training_round(federation), federation.initial))
    state = training.trained(replace(update, model_hash=training.model_hash)).state
    assert isinstance(state, Ready)
    with pytest.raises(MisuseError, match="round 0"):
        state.start_session(sha256(b"entropy"))


# The encoding.


def test_a_sum_with_weights_is_no_sum_of_sketches(federation: SmallFederation) -> None:
    manifest = manifest_of(federation)
    encoding = sketch_encoding(manifest)
    seed = sha256(b"rounding")
    vector = encoding.encode(federation.sketch(NodeId("de")), weight=0.5, loss=0.0, rounding_seed=seed)
    with pytest.raises(CryptoError, match="weight one"):
        open_sketch(vector, 1, manifest)


def test_a_sum_longer_than_its_summands_is_refused(federation: SmallFederation) -> None:
    manifest = manifest_of(federation, clip_norm=1.0)
    sketch = np.zeros(SKETCH_LENGTH, np.float32)
    sketch[0] = 1.0
    prepared = prepare_sketch(SketchContribution(b"", sketch), manifest, sha256(b"entropy"))
    vector = np.empty(prepared.length, np.uint32)
    prepared.write(0, vector)
    np.testing.assert_allclose(open_sketch(vector, 1, manifest), sketch, atol=TOLERANCE)
    vector[1:3] = vector[0]
    with pytest.raises(CryptoError, match="longer"):
        open_sketch(vector, 1, manifest)


def test_the_start_is_the_hash_of_zeros() -> None:
    assert start_hash(24) == parameters_hash(np.zeros(24, np.float32))


def test_a_manifest_with_a_sketch_is_another_context(federation: SmallFederation) -> None:
    """Markets that were told of different sums cannot cancel each other's masks."""
    contexts = {training_round(federation, sketch_hash=named).context() for named in (None, OPENED, MODEL)}
    assert len(contexts) == 3


def test_records_tell_a_node_that_starts_again_of_the_sketch() -> None:
    records: list[NodeRecord] = [AttemptClaimed(0, 1, MODEL), SketchSeen(OPENED)]
    assert remembered(records).sketch == OPENED
