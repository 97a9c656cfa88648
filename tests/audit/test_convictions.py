"""Convictions in a run folder: proved to whoever has the roster, and never believed without proof."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.audit.findings import Finding, Status
from fecosr.audit.report import AuditReport, render
from fecosr.audit.verification import audit_run
from fecosr.federation.evidence import evidence_hash
from fecosr.federation.run import FederationRun
from fecosr.ids import NodeId
from fecosr.ledger.log import append, genesis
from fecosr.ledger.records import Body, NodeConvicted, RoundOpened, RunCompleted
from tests.reference.audited_run import rules_of
from tests.reference.misdealing import Spoil, another_polynomial, garbage
from tests.reference.misdealt_run import LIAR, NAMES, play, started
from tests.reference.run_folder import keep
from tests.reference.small_federation import SmallFederation

Rewrite = Callable[[Body], Body]


def convicting(
    federation: SmallFederation, holders: list[str], spoil: Spoil, restarts: bool = False
) -> FederationRun:
    """Return a run of two rounds in which the liar is convicted in the first."""
    run = started(federation)
    if restarts:
        play(run, holders, spoil, NodeConvicted)
        run.coordinator_restarts(federation.setup)
    while not any(isinstance(entry.body, RunCompleted) for entry in run.ledger):
        play(run, holders, spoil, NodeConvicted)
        if not run.deliver_next():
            run.time_passes()
    while run.deliver_next():
        pass
    return run


@pytest.fixture(scope="module")
def federation() -> SmallFederation:
    return SmallFederation(NAMES, max_colluding=1)


@pytest.fixture(scope="module")
def convicted(federation: SmallFederation) -> FederationRun:
    return convicting(federation, ["de"], another_polynomial)


@pytest.fixture
def run(convicted: FederationRun) -> FederationRun:
    """Return a run whose ledger and evidence a test may change."""
    own = copy.copy(convicted)
    own.ledger, own.evidence = list(convicted.ledger), dict(convicted.evidence)
    return own


def rewritten(federation: SmallFederation, run: FederationRun, change: Callable[[Body], Body | None]) -> None:
    """Let the coordinator sign another ledger, in which some records are changed or missing."""
    log, entries = genesis(federation.plan.run), []
    for entry in run.ledger:
        body = change(entry.body)
        if body is not None:
            fresh, log = append(log, body, federation.setup.key)
            entries.append(fresh)
    run.ledger[:] = entries


def about_convictions(report: AuditReport) -> list[Finding]:
    """Return the findings but for those about checkpoints, which a rewritten ledger never fits."""
    return [it for it in report.findings if it.rule in {"evidence", "convicted", "order", "session"}]


@pytest.mark.parametrize(
    ("holders", "spoil", "fault", "said"),
    [
        (["de"], another_polynomial, "misdealt_shares", "us dealt shares that do not fit together"),
        (["de", "es"], garbage, "unusable_shares", "us dealt unusable shares"),
    ],
)
@pytest.mark.parametrize("restarts", [False, True])
def test_the_auditor_sees_who_cheated_and_that_it_is_proved(  # noqa: PLR0917
    federation: SmallFederation,
    tmp_path: Path,
    holders: list[str],
    spoil: Spoil,
    fault: str,
    said: str,
    restarts: bool,
) -> None:
    keep(federation, convicting(federation, holders, spoil, restarts), tmp_path)
    report = audit_run(tmp_path)
    assert report.findings == ()
    assert report.facts is not None
    (proved,) = report.facts.convictions
    assert (proved.market, proved.fault, proved.round, proved.attempt) == (LIAR, fault, 1, 1)
    text = render(report)
    assert said in text
    assert f"evidence/{proved.evidence} proves it" in text
    (listed,) = json.loads(json.dumps(report.as_json()))["convictions"]
    assert (listed["market"], listed["fault"], listed["evidence"]) == (LIAR, fault, proved.evidence)


def test_evidence_that_is_not_there_is_missed(
    federation: SmallFederation, run: FederationRun, tmp_path: Path
) -> None:
    run.evidence.clear()
    keep(federation, run, tmp_path)
    report = audit_run(tmp_path)
    assert rules_of(report.findings) == ["evidence"]
    assert report.status is Status.UNUSABLE
    assert report.facts is not None
    assert report.facts.convictions == ()


def test_evidence_that_was_changed_is_noticed(
    federation: SmallFederation, run: FederationRun, tmp_path: Path
) -> None:
    ((digest, content),) = run.evidence.items()
    run.evidence[digest] = content.replace(b"mask_key", b"seed", 1)
    keep(federation, run, tmp_path)
    report = audit_run(tmp_path)
    assert rules_of(report.findings) == ["evidence"]
    assert "something else than its name says" in report.findings[0].message
    assert report.status is Status.NOT_VERIFIED


def forged(run: FederationRun, content: bytes) -> Rewrite:
    """Put other evidence behind the conviction, and name it in the ledger."""
    run.evidence.clear()
    run.evidence[evidence_hash(content)] = content
    return lambda body: (
        replace(body, evidence=evidence_hash(content)) if isinstance(body, NodeConvicted) else body
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace('"culprit":"us"', '"culprit":"fr"'), "is about something else"),
        (lambda text: text.replace("misdealt_shares", "changed_share"), "is no evidence"),
        (lambda text: text.replace('"seed"', '"mask_key"'), "is not proved"),
        (lambda _: "{}", "is no evidence"),
        (lambda text: text.replace('"fr":{', '"fr2":{'), "is not proved"),
    ],
)
def test_a_coordinator_that_forges_evidence_is_found(
    federation: SmallFederation,
    run: FederationRun,
    tmp_path: Path,
    change: Callable[[str], str],
    said: str,
) -> None:
    ((_, content),) = run.evidence.items()
    text = content.decode()
    assert change(text) != text
    rewritten(federation, run, forged(run, change(text).encode()))
    keep(federation, run, tmp_path)
    report = audit_run(tmp_path)
    (finding,) = about_convictions(report)
    assert said in finding.message
    assert report.status is Status.NOT_VERIFIED
    assert report.facts is not None
    assert report.facts.convictions == ()


def test_an_honest_market_cannot_be_convicted_by_the_evidence_against_another(
    federation: SmallFederation, run: FederationRun, tmp_path: Path
) -> None:
    ((_, content),) = run.evidence.items()
    change = forged(run, content.replace(b'"culprit":"us"', b'"culprit":"fr"'))

    def framed(body: Body) -> Body:
        body = change(body)
        return replace(body, market=NodeId("fr")) if isinstance(body, NodeConvicted) else body

    rewritten(federation, run, framed)
    keep(federation, run, tmp_path)
    report = audit_run(tmp_path)
    assert any("fr in round 1 attempt 1 is not proved" in finding.message for finding in report.findings)


def test_a_conviction_of_another_attempt_does_not_follow(
    federation: SmallFederation, run: FederationRun, tmp_path: Path
) -> None:
    rewritten(
        federation, run, lambda body: replace(body, attempt=2) if isinstance(body, NodeConvicted) else body
    )
    keep(federation, run, tmp_path)
    rules = {finding.rule for finding in about_convictions(audit_run(tmp_path))}
    assert rules == {"evidence", "order"}


def test_a_coordinator_that_goes_on_with_a_convict_although_it_need_not_is_found(
    federation: SmallFederation, run: FederationRun, tmp_path: Path
) -> None:
    rewritten(
        federation,
        run,
        lambda body: (
            replace(body, expected=tuple(federation.names)) if isinstance(body, RoundOpened) else body
        ),
    )
    keep(federation, run, tmp_path)
    (finding,) = [it for it in about_convictions(audit_run(tmp_path)) if it.rule == "convicted"]
    assert "us was asked although it is convicted" in finding.message


def test_a_convict_may_be_asked_where_the_sum_may_be_open_already(
    tmp_path: Path,
) -> None:
    federation = SmallFederation(NAMES, max_colluding=1)
    run = started(federation)
    play(run, NAMES[:4], another_polynomial, NodeConvicted)
    while run.deliver_next():
        pass
    keep(federation, run, tmp_path)
    rules = rules_of(audit_run(tmp_path).findings)
    assert "convicted" not in rules
    assert "evidence" not in rules
