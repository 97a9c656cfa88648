"""Runs of the real protocol, kept by the real stores: whatever befalls honest parties, the audit verifies."""

from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.audit.report import AuditReport
from fecosr.audit.verification import audit_run
from fecosr.federation.coordinator import open_run
from fecosr.federation.ending import EarlyStopping
from fecosr.federation.optimisers import Adaptive
from fecosr.federation.run import FederationRun
from fecosr.ids import NodeId
from fecosr.ledger.log import append, genesis
from fecosr.ledger.records import RoundReleased
from fecosr.secagg.messages import Phase
from tests.reference.audited_run import rules_of
from tests.reference.run_folder import keep
from tests.reference.small_federation import SmallFederation

JP, UK = NodeId("jp"), NodeId("uk")
NUM_RECORDS = 12
"""Records of a run of two rounds in which nothing happens."""


@pytest.fixture
def federation() -> SmallFederation:
    return SmallFederation(["de", "fr", "jp", "uk"])


def _started(federation: SmallFederation) -> FederationRun:
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, run.now))
    for node in federation.nodes():
        run.node_arrives(node)
    return run


def _deliver_until(run: FederationRun, phase: Phase) -> None:
    while not any(event == "phase_started" and fields["phase"] == phase for _, event, fields in run.log):
        assert run.deliver_next()


def _deliver_all(run: FederationRun) -> None:
    while run.deliver_next():
        pass


def _audited(federation: SmallFederation, run: FederationRun, folder: Path) -> AuditReport:
    """Keep what the parties of a run stored as their drivers would, and audit the folder."""
    keep(federation, run, folder)
    return audit_run(folder)


def test_an_undisturbed_run(federation: SmallFederation, tmp_path: Path) -> None:
    run = _started(federation)
    _deliver_all(run)
    report = _audited(federation, run, tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    assert (report.facts.rounds, report.facts.num_records) == (2, NUM_RECORDS)
    assert report.facts.redone == 2


@pytest.mark.parametrize("phase", list(Phase))
def test_a_market_that_dies_in_any_phase_and_stays_away(
    federation: SmallFederation, tmp_path: Path, phase: Phase
) -> None:
    run = _started(federation)
    _deliver_until(run, phase)
    run.node_crashes(JP)
    _deliver_all(run)
    run.time_passes()
    _deliver_all(run)
    report = _audited(federation, run, tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    # It signed the opening of the run, before it was asked to train, and nothing after.
    assert report.facts.vouched[JP] == (0 if phase is Phase.ADVERTISE_KEYS else 1)


@pytest.mark.parametrize("phase", list(Phase))
def test_two_markets_that_die_in_any_phase_and_come_back(
    federation: SmallFederation, tmp_path: Path, phase: Phase
) -> None:
    run = _started(federation)
    _deliver_until(run, phase)
    for name in (JP, UK):
        run.node_crashes(name)
    _deliver_all(run)
    for name in (JP, UK):
        run.node_arrives(federation.node(name))
    _deliver_all(run)
    report = _audited(federation, run, tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    assert (report.facts.rounds, report.facts.aborted) == (2, 1)


@pytest.mark.parametrize("stored", range(1, NUM_RECORDS + 1))
def test_a_coordinator_that_dies_after_any_record(
    federation: SmallFederation, tmp_path: Path, stored: int
) -> None:
    before = _started(federation)
    _deliver_all(before)
    after = FederationRun(
        federation.train,
        federation.entropy,
        ledger=before.ledger[:stored],
        models=before.models,
        optimiser_states=before.optimiser_states,
        sums=before.sums,
    )
    after.coordinator_restarts(federation.setup)
    for node in federation.nodes():
        after.node_arrives(node)
    _deliver_all(after)
    report = _audited(federation, after, tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    assert (report.facts.rounds, report.facts.redone) == (2, 2)


def test_a_run_that_was_given_up(tmp_path: Path) -> None:
    federation = SmallFederation(["de", "fr", "jp", "uk"], max_attempts=1)
    run = _started(federation)
    _deliver_until(run, Phase.MASKED_INPUT)
    for name in (JP, UK):
        run.node_crashes(name)
    _deliver_all(run)
    report = _audited(federation, run, tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    assert (report.facts.rounds, report.facts.is_completed) == (0, False)


def test_a_run_whose_rounds_invite_some_of_the_markets(tmp_path: Path) -> None:
    federation = SmallFederation(["de", "es", "fr", "it", "jp", "uk"], participation=0.5, rounds=4)
    run = _started(federation)
    _deliver_all(run)
    report = _audited(federation, run, tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    assert sum(report.facts.sums.values()) == 4 * 3


def test_a_coordinator_that_asks_whom_it_likes_is_found(federation: SmallFederation, tmp_path: Path) -> None:
    """Its own plan says that everybody takes part; the recorded one, by which nodes judge, does not."""
    text = federation.plan.text.replace('"participation":1.0', '"participation":3.0')
    lying = SmallFederation(federation.names, text=text)
    run = _started(lying)
    _deliver_all(run)
    rules = rules_of(_audited(lying, run, tmp_path).findings)
    assert rules == ["participation"] * 2


class Rehearsed(SmallFederation):
    """Let models 1, 2, 3, ... have these metrics in every market; the first is that of the initial model."""

    METRICS = (0.1, 0.2, 0.4, 0.3, 0.35)

    def validation(self, name: NodeId, round_number: int) -> float | None:
        return self.METRICS[round_number - 1]


def _stopping(**changes: object) -> Rehearsed:
    values: dict[str, object] = {
        "rounds": 5,
        "releases_validation": True,
        "early_stopping": EarlyStopping(patience=1, min_rounds=2),
        "server": Adaptive("adam", 0.1),
    }
    return Rehearsed(["de", "fr", "jp", "uk"], **{**values, **changes})


def _judged_by(text: str, federation: SmallFederation, tmp_path: Path) -> list[str]:
    """Return the rules an audit finds broken when the recorded plan is `text` and the run is another's."""
    lying = type(federation)(federation.names, **{**_settings(federation), "text": text})
    run = _started(lying)
    # Honest nodes refuse such a run, which is tested elsewhere; these believe what the coordinator believes.
    _deliver_all(run)
    return rules_of(_audited(lying, run, tmp_path).findings)


def _settings(federation: SmallFederation) -> dict[str, object]:
    plan = federation.plan
    names = ("rounds", "releases_validation", "early_stopping", "server")
    return {name: getattr(plan, name) for name in names}


def test_a_run_that_ended_early_with_its_best_model(tmp_path: Path) -> None:
    federation = _stopping()
    run = _started(federation)
    _deliver_all(run)
    report = _audited(federation, run, tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    assert (report.facts.rounds, report.facts.redone) == (4, 4)


def test_a_coordinator_that_goes_on_after_the_end_is_found(tmp_path: Path) -> None:
    rules = _judged_by(_stopping().plan.text, _stopping(early_stopping=None), tmp_path)
    assert rules == ["early_stopping", "run_completed", "model_chain"]


def test_a_coordinator_that_ends_too_early_is_found(tmp_path: Path) -> None:
    patient = _stopping(early_stopping=EarlyStopping(patience=2, min_rounds=2))
    assert _judged_by(patient.plan.text, _stopping(), tmp_path) == ["run_completed"]


def test_a_metric_the_plan_hides_is_found(tmp_path: Path) -> None:
    hiding = _stopping(releases_validation=False, early_stopping=None)
    rules = _judged_by(hiding.plan.text, _stopping(early_stopping=None), tmp_path)
    assert rules == ["privacy_terms"] * 5 + ["sum"] * 5


def test_a_metric_that_is_not_what_the_sum_says_is_found(tmp_path: Path) -> None:
    """The coordinator records a better one, and signs the ledger anew."""
    federation = _stopping(early_stopping=None)
    run = _started(federation)
    _deliver_all(run)
    log, entries = genesis(federation.plan.run), []
    for entry in run.ledger:
        body = entry.body
        if isinstance(body, RoundReleased) and body.round == 3:
            body = replace(body, validation=0.5)
        rewritten, log = append(log, body, federation.coordinator_key)
        entries.append(rewritten)
    run.ledger = entries
    for records in run.records.values():
        records.clear()
    rules = rules_of(_audited(federation, run, tmp_path).findings)
    assert "validation" in rules
    # That the markets were shown another history is found as well, wherever they signed it.
    assert {"fork", "history", "witness", "countersignature"} >= set(rules) - {"validation"} >= {"history"}
