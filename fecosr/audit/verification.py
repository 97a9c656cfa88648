"""Audit a run folder. This file is the list of everything an audit checks, in order.

RUN_DIR/roster.toml                  the pinned identities (better: the auditor's own copy)
RUN_DIR/coordinator/ledger.jsonl     the ledger
RUN_DIR/coordinator/countersignatures.jsonl   what each market signed of it last, as the coordinator holds it
RUN_DIR/coordinator/models/          the released models
RUN_DIR/coordinator/sums/            the opened sums they were made from
RUN_DIR/coordinator/evidence/        what convicts markets of wrong shares, where any was convicted
RUN_DIR/coordinator/sketch/          the sum of behaviour sketches, where semantics are made of it
RUN_DIR/coordinator/optimiser/       what the server optimiser remembers after the last round
RUN_DIR/<market>/checkpoints.jsonl   the heads of the ledger that each market signed and kept
RUN_DIR/<market>/privacy.jsonl       what each market charged its users, where the run is private
RUN_DIR/privacy_report.json          what was said about it, if it was said
"""

from pathlib import Path

from fecosr.audit.attempt import Terms
from fecosr.audit.convictions import check_convictions
from fecosr.audit.costs import check_costs
from fecosr.audit.facts import RunFacts
from fecosr.audit.findings import Finding, missing
from fecosr.audit.models import check_models
from fecosr.audit.opening import check_opening
from fecosr.audit.plan_terms import plan_terms
from fecosr.audit.reading import read_ledger
from fecosr.audit.report import AuditReport, privacy_figures
from fecosr.audit.server_steps import check_server_steps
from fecosr.audit.sketch import check_sketch_files
from fecosr.audit.stated import check_stated
from fecosr.audit.story import follow
from fecosr.audit.witnesses import Evidence, check_witnesses
from fecosr.config.parties import load_roster
from fecosr.errors import ConfigError, LedgerError
from fecosr.federation.cohort import Roster
from fecosr.ledger.records import RunOpened
from fecosr.storage.checkpoint_store import CHECKPOINTS_FILE
from fecosr.storage.countersignature_store import COUNTERSIGNATURES_FILE
from fecosr.storage.evidence import EVIDENCE_FOLDER
from fecosr.storage.spending_store import SPENDING_FILE


def audit_run(run_dir: Path, roster: Path | None = None) -> AuditReport:
    """Return what an audit of `run_dir` comes to; it reads files only, and changes none.

    Args:
        run_dir: the run folder.
        roster: the pinned identities the auditor trusts; without it, the copy in the run folder, which proves
            nothing against somebody who could replace that file as well.
    """
    try:
        pinned = load_roster(roster or run_dir / "roster.toml")
    except ConfigError as error:
        return AuditReport((missing("roster", f"The pinned identities cannot be used: {error}."),))
    data = _read(run_dir / "coordinator" / "ledger.jsonl")
    if data is None:
        return AuditReport((missing("ledger", "coordinator/ledger.jsonl cannot be read."),))
    return _audit(run_dir, pinned, data)


def _audit(run_dir: Path, roster: Roster, data: bytes) -> AuditReport:
    ledger = read_ledger(data, roster.coordinator)
    opened = ledger.entries[0].body if ledger.entries else None
    if not isinstance(opened, RunOpened) or ledger.log is None:
        return AuditReport(ledger.findings)
    try:
        plan = plan_terms(opened.plan_json)
    except LedgerError as error:
        return AuditReport((*ledger.findings, Finding(error.record, error.rule, f"{error.message}.")))
    terms = Terms(roster, opened, plan, ledger.log)
    story, findings = follow(ledger.entries, terms, is_whole=ledger.is_whole)
    kept = {node: _read(run_dir / node / CHECKPOINTS_FILE) for node in roster.nodes}
    evidence = Evidence(kept, _read(run_dir / "coordinator" / COUNTERSIGNATURES_FILE))
    witnesses = check_witnesses(evidence, ledger.log, story, is_whole=ledger.is_whole)
    models = run_dir / "coordinator" / "models"
    steps = check_server_steps(run_dir / "coordinator", ledger.entries, terms)
    convictions = check_convictions(run_dir / "coordinator" / EVIDENCE_FOLDER, ledger.entries, terms)
    sketch = check_sketch_files(run_dir / "coordinator", ledger.entries)
    final = story.model_hash if ledger.is_whole else None
    accounts = {node: _read(run_dir / node / SPENDING_FILE) for node in roster.nodes}
    costs = check_costs(ledger.entries, terms, accounts)
    released = frozenset(story.releases)
    facts = RunFacts(
        opened=opened,
        plan=plan,
        num_records=len(ledger.entries),
        rounds=story.rounds,
        redone=steps.redone,
        aborted=story.aborted,
        is_completed=story.is_completed,
        costs=costs.by_market,
        sketch=sketch,
        sums={node: sum(node in opened.survivors for opened in story.sums) for node in roster.nodes},
        signed=witnesses.vouched,
        released=tuple(opened for opened in story.sums if opened.record in released),
        convictions=convictions.proved,
    )
    stated = _read(run_dir / "privacy_report.json")
    last_release = story.releases[-1] if story.releases else None
    return AuditReport(
        findings=(
            *ledger.findings,
            *check_opening(opened, plan, roster),
            *findings,
            *check_models(models, ledger.entries, opened.num_parameters, final),
            *steps.findings,
            *convictions.findings,
            *sketch.findings,
            *witnesses.findings,
            *costs.findings,
            *check_stated(stated, privacy_figures(facts), last_release),
        ),
        facts=facts,
    )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
