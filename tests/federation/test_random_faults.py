"""Whole runs with every option on, in which anybody may die at any moment: what holds all the same."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fecosr.audit.attempt import Terms
from fecosr.audit.plan_terms import plan_terms
from fecosr.audit.story import follow
from fecosr.federation.coordinator import open_run
from fecosr.federation.ending import EarlyStopping
from fecosr.federation.handover import Stopped
from fecosr.federation.node_states import Listening
from fecosr.federation.optimisers import Adaptive
from fecosr.federation.replay import replay
from fecosr.federation.run import FederationRun
from fecosr.ids import NodeId
from fecosr.ledger.log import verify_log
from fecosr.ledger.records import RoundReleased, RunCompleted, RunOpened
from tests.reference.small_federation import SmallFederation

NAMES = ("de", "es", "fr", "it", "jp")
MOST_STEPS = 20_000


class Eventful(SmallFederation):
    """Measure metrics that rise and fall, and train by an update that differs from round to round."""

    def validation(self, name: NodeId, round_number: int) -> float | None:
        return None if name == "it" else (0.3 + 0.05 * self.names.index(name)) / (1 + abs(round_number - 3))


def eventful(participation: float) -> Eventful:
    return Eventful(
        NAMES,
        rounds=7,
        max_attempts=50,
        participation=participation,
        releases_validation=True,
        early_stopping=EarlyStopping(patience=2, min_rounds=3),
        server=Adaptive("yogi", 0.1),
    )


actions = st.one_of(
    st.tuples(st.just("deliver"), st.integers(1, 60)),
    st.tuples(st.just("crash"), st.sampled_from(NAMES)),
    st.tuples(st.just("return"), st.sampled_from(NAMES)),
    st.tuples(st.just("restart"), st.just("coordinator")),
    st.tuples(st.just("wait"), st.just("coordinator")),
)


def is_there(run: FederationRun, name: str) -> bool:
    return isinstance(run.nodes.get(NodeId(name)), Listening)


def is_over(run: FederationRun) -> bool:
    return isinstance(run.coordinator, Stopped)


def act(run: FederationRun, federation: SmallFederation, action: tuple[str, object]) -> None:
    match action:
        case ("deliver", int(count)):
            for _ in range(count):
                run.deliver_next()
        case ("crash", str(name)) if is_there(run, name):
            run.node_crashes(NodeId(name))
        case ("return", str(name)) if NodeId(name) not in run.nodes:
            run.node_arrives(federation.node(name))
        case ("restart", _):
            run.coordinator_restarts(federation.setup)
        case ("wait", _) if run.deadline is not None:
            run.time_passes()


def to_the_end(run: FederationRun, federation: SmallFederation) -> None:
    """Let everybody come back and nobody fail any more."""
    for _ in range(MOST_STEPS):
        if is_over(run):
            return
        for name in federation.names:
            if name not in run.nodes:
                run.node_arrives(federation.node(name))
        if not run.deliver_next():
            run.time_passes()
    pytest.fail("the run never ended")


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.sampled_from([1.0, 4.0]), st.lists(actions, min_size=4, max_size=30))
def test_whatever_dies_the_run_ends_as_if_nothing_had(
    participation: float, happenings: list[tuple[str, object]]
) -> None:
    federation = eventful(participation)
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for node in federation.nodes():
        run.node_arrives(node)
    for action in happenings:
        if not is_over(run):
            act(run, federation, action)
    to_the_end(run, federation)

    nobody_was_refused(run)
    the_records_hold(run, federation)
    no_two_sums_on_a_model_differ(run)
    the_end_is_the_plans(run, federation)


def nobody_was_refused(run: FederationRun) -> None:
    assert [fields for _, event, fields in run.log if event == "refused"] == []


def the_records_hold(run: FederationRun, federation: SmallFederation) -> None:
    opened, log = run.ledger[0].body, verify_log(run.ledger, federation.roster.coordinator)
    assert isinstance(opened, RunOpened)
    terms = Terms(federation.roster, opened, plan_terms(opened.plan_json), log)
    _, findings = follow(run.ledger, terms, is_whole=True)
    assert findings == ()


def no_two_sums_on_a_model_differ(run: FederationRun) -> None:
    cohorts = defaultdict(set)
    for entry in run.ledger:
        if isinstance(entry.body, RoundReleased):
            cohorts[entry.body.model_in].add(entry.body.survivors)
    assert all(len(survivors) == 1 for survivors in cohorts.values())


def the_end_is_the_plans(run: FederationRun, federation: SmallFederation) -> None:
    history = replay(run.ledger, federation.setup.key.public).history
    schedule = federation.plan.schedule
    ends = [entry.body for entry in run.ledger if isinstance(entry.body, RunCompleted)]
    if not ends:
        return
    assert schedule.ended_after(history) == len(history) == ends[0].rounds
    assert ends[0].final_model_hash == history[schedule.final_round(history) - 1].model_hash
    assert set(run.fine_tuning.values()) <= {ends[0].final_model_hash}
