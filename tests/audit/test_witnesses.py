"""What the heads that the markets signed show."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.audit.findings import Status
from fecosr.audit.verification import audit_run
from fecosr.crypto.signatures import SigningKey
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.countersignature import (
    KeptHead,
    countersign,
    decode_countersignature,
    encode_countersignature,
)
from fecosr.ledger.log import Head
from fecosr.ledger.records import RoundOpened, RunCompleted
from tests.reference.audited_run import (
    DE,
    JP,
    MARKETS,
    US,
    AuditedRun,
    ledger_of,
    lines_of,
    lines_with,
    make_run,
    rules_of,
)


def rules(run_dir: Path) -> set[str]:
    return set(rules_of(audit_run(run_dir).findings))


def keep(run_dir: Path, market: str, *kept: KeptHead) -> None:
    (run_dir / market / "checkpoints.jsonl").write_bytes(lines_with(kept))


def countersignatures(run_dir: Path) -> Path:
    return run_dir / "coordinator" / "countersignatures.jsonl"


def test_every_cut_tail_is_found_through_the_signed_heads(run_dir: Path) -> None:
    lines = lines_of(run_dir)
    for size in range(1, len(lines)):
        ledger_of(run_dir).write_bytes(b"".join(lines[:size]))
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert (size, "truncated") in {(finding.record, finding.rule) for finding in report.findings}


def test_a_cut_tail_that_nobody_vouches_for_is_missing_not_verified(
    honest: AuditedRun, tmp_path: Path
) -> None:
    honest.write(tmp_path / "cut", honest.bodies[:-1], vouching=())
    report = audit_run(tmp_path / "cut")
    assert report.status is Status.UNUSABLE
    assert {finding.rule for finding in report.findings} == {"run_completed", "witness"}


def test_a_second_history_signed_by_the_coordinator_is_found_in_a_markets_own_copy(
    honest: AuditedRun, run_dir: Path
) -> None:
    """It agrees up to the last round; the markets are shown two ends."""
    other = honest.replaced(RunCompleted, lambda body: RunCompleted(body.rounds, b"\x00" * 32))
    _, log = honest.signed(other)
    keep(run_dir, DE, *honest.kept(DE, log, (1, 9, log.size)))
    statement = countersignatures(run_dir).read_bytes().splitlines(keepends=True)
    countersignatures(run_dir).write_bytes(b"".join(line for line in statement if b'"de"' not in line))
    report = audit_run(run_dir)
    assert report.status is Status.NOT_VERIFIED
    forks = [finding for finding in report.findings if finding.rule == "fork"]
    assert [finding.record for finding in forks] == [9]
    assert f"the first that differs is one of 9 to {log.size - 1}" in forks[0].message
    assert "de" in forks[0].message


def test_a_second_history_is_found_in_what_the_coordinator_holds(honest: AuditedRun, run_dir: Path) -> None:
    other = honest.replaced(RunCompleted, lambda body: RunCompleted(body.rounds, b"\x00" * 32))
    _, log = honest.signed(other)
    (kept,) = honest.kept(DE, log, (log.size,))
    line = encode_countersignature(kept.statement_of(DE)) + b"\n"
    countersignatures(run_dir).write_bytes(line)
    assert "fork" in rules(run_dir)


def test_a_history_that_was_written_anew_contradicts_what_the_markets_signed_their_keys_for(
    honest: AuditedRun, tmp_path: Path
) -> None:
    """Even where no market's own copy is there, and all countersignatures were thrown away."""

    def earlier_end(body: RoundOpened) -> RoundOpened:
        return replace(body, expected=tuple(name for name in body.expected if name != JP))

    honest.write(tmp_path / "rewritten", honest.replaced(RoundOpened, earlier_end), vouching=())
    countersignatures(tmp_path / "rewritten").unlink()
    findings = audit_run(tmp_path / "rewritten").findings
    places = [finding.record for finding in findings if finding.rule == "history"]
    later = [place for place, body in enumerate(honest.bodies) if isinstance(body, RoundOpened)][1:]
    assert [record for record in places if record in later] == later


def test_a_market_that_left_before_the_end_is_no_objection(honest: AuditedRun, tmp_path: Path) -> None:
    honest.write(tmp_path / "run", vouching=(DE,))
    report = audit_run(tmp_path / "run")
    assert report.verified
    assert report.facts is not None
    last_round = max(place for place, body in enumerate(honest.bodies) if isinstance(body, RoundOpened))
    assert (report.facts.vouched[DE], report.facts.vouched[US]) == (len(honest.bodies), last_round)


def test_a_market_that_took_part_owes_its_heads(run_dir: Path) -> None:
    shutil.rmtree(run_dir / "us")
    report = audit_run(run_dir)
    assert (report.status, rules_of(report.findings)) == (Status.UNUSABLE, ["witness"])


def test_a_market_that_was_never_there_owes_nothing(tmp_path: Path) -> None:
    single = make_run(rounds=1)
    single.write(tmp_path / "run", single.bodies[:4])
    for market in MARKETS:
        (tmp_path / "run" / market / "checkpoints.jsonl").write_bytes(b"")
    countersignatures(tmp_path / "run").unlink()
    assert rules(tmp_path / "run") == {"run_completed"}


def test_what_a_market_signed_must_be_in_its_own_copy(honest: AuditedRun, run_dir: Path) -> None:
    _, log = honest.signed(honest.bodies)
    keep(run_dir, US, *honest.kept(US, log, (1, 9)))
    report = audit_run(run_dir)
    assert [(finding.record, finding.rule) for finding in report.findings] == [(9, "checkpoint")]


def test_a_markets_heads_are_judged_like_the_ledger(run_dir: Path, honest: AuditedRun) -> None:
    _, log = honest.signed(honest.bodies)
    stranger, key = SigningKey(b"\x09" * 32), honest.identities[US]
    good, late = honest.kept(US, log, (2, 3))
    forged = countersign(sign_checkpoint(log.head, stranger), US, key)
    not_mine = countersign(sign_checkpoint(log.head, honest.coordinator), US, stranger)
    elsewhere = sign_checkpoint(Head(RunId("other"), 2, log.head_at(2).root), honest.coordinator)
    other_run = countersign(elsewhere, US, key)
    for kept in ((forged,), (not_mine,), (late, good), (good, good), (other_run,), (good, forged)):
        keep(run_dir, US, *kept)
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert [finding.rule for finding in report.findings] == ["checkpoint"]
        assert "us" in report.findings[0].message


@pytest.mark.parametrize("lost", [1, 2, 50])
def test_a_damaged_file_of_heads_is_found(run_dir: Path, lost: int) -> None:
    for path in (run_dir / "us" / "checkpoints.jsonl", countersignatures(run_dir)):
        whole = path.read_bytes()
        path.write_bytes(whole[:-lost])
        assert audit_run(run_dir).status is Status.NOT_VERIFIED
        path.write_bytes(whole)
    assert audit_run(run_dir).verified


def test_a_forged_countersignature_is_found(run_dir: Path, honest: AuditedRun) -> None:
    lines = countersignatures(run_dir).read_bytes().splitlines()
    statement = decode_countersignature(lines[-1])
    assert statement.market == US
    forgeries = (
        replace(statement, signature=bytes(64)),
        replace(statement, size=statement.size - 1),
        replace(statement, root=bytes(32)),
        replace(statement, market=NodeId("xx")),
    )
    for forged in forgeries:
        countersignatures(run_dir).write_bytes(
            b"\n".join([*lines[:-1], encode_countersignature(forged)]) + b"\n"
        )
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert "countersignature" in rules_of(report.findings)


def test_countersignatures_that_are_not_there_are_missing(run_dir: Path) -> None:
    countersignatures(run_dir).unlink()
    report = audit_run(run_dir)
    assert (report.status, set(rules_of(report.findings))) == (Status.UNUSABLE, {"countersignature"})
    assert len(report.findings) == len(MARKETS)
