"""What the checkpoints that the markets kept show."""

import shutil
from pathlib import Path

import pytest

from fecosr.audit.findings import Status
from fecosr.audit.verification import audit_run
from fecosr.crypto.signatures import SigningKey
from fecosr.ids import RunId
from fecosr.ledger.checkpoint import Checkpoint, encode_checkpoint, sign_checkpoint
from fecosr.ledger.log import Head
from fecosr.ledger.records import RunCompleted
from tests.reference.audited_run import DE, US, AuditedRun, ledger_of, lines_of, make_run, rules_of


def test_every_cut_tail_is_found_through_the_kept_checkpoints(run_dir: Path) -> None:
    lines = lines_of(run_dir)
    for size in range(1, len(lines)):
        ledger_of(run_dir).write_bytes(b"".join(lines[:size]))
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert "truncated" in {finding.rule for finding in report.findings}


def test_a_cut_tail_that_nobody_vouches_for_is_missing_not_verified(
    honest: AuditedRun, tmp_path: Path
) -> None:
    honest.write(tmp_path / "cut", honest.bodies[:-1], vouching=())
    report = audit_run(tmp_path / "cut")
    assert report.status is Status.UNUSABLE
    assert {finding.rule for finding in report.findings} == {"run_completed", "witness"}


def test_a_second_history_signed_by_the_coordinator_is_found(honest: AuditedRun, tmp_path: Path) -> None:
    honest.write(tmp_path / "fork")
    other = honest.replaced(RunCompleted, lambda body: RunCompleted(body.rounds, b"\x00" * 32))
    _, heads = honest.chained(other)
    (tmp_path / "fork" / DE / "checkpoints.jsonl").write_bytes(honest.checkpoints(heads))
    report = audit_run(tmp_path / "fork")
    assert [(finding.record, finding.rule) for finding in report.findings] == [(len(other) - 1, "fork")]
    assert "de" in report.findings[0].message


def test_a_market_that_never_got_to_keep_anything_is_no_objection(honest: AuditedRun, tmp_path: Path) -> None:
    honest.write(tmp_path / "run", vouching=(DE,))
    report = audit_run(tmp_path / "run")
    assert report.verified
    assert report.facts is not None
    assert (report.facts.vouched[DE], report.facts.vouched[US]) == (len(honest.bodies), 0)


def test_a_market_without_any_part_in_the_run_owes_nothing(honest: AuditedRun, tmp_path: Path) -> None:
    single = make_run(rounds=1)
    single.write(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "jp")
    assert audit_run(tmp_path / "run").verified
    shutil.rmtree(tmp_path / "run" / "us")
    assert rules_of(audit_run(tmp_path / "run").findings) == ["witness"]


def _keep(run_dir: Path, market: str, *checkpoints: Checkpoint) -> None:
    lines = b"".join(encode_checkpoint(checkpoint) + b"\n" for checkpoint in checkpoints)
    (run_dir / market / "checkpoints.jsonl").write_bytes(lines)


def test_checkpoints_are_judged_like_the_ledger(run_dir: Path, honest: AuditedRun) -> None:
    _, heads = honest.chained(honest.bodies)
    stranger = SigningKey(b"\x09" * 32)
    good, late = (sign_checkpoint(heads[size], honest.coordinator) for size in (2, 3))
    forged = sign_checkpoint(heads[-1], stranger)
    other_run = sign_checkpoint(Head(RunId("other"), 2, heads[2].hash), honest.coordinator)
    for kept in ((forged,), (late, good), (other_run,), (good, other_run)):
        _keep(run_dir, US, *kept)
        report = audit_run(run_dir)
        assert report.status is Status.NOT_VERIFIED
        assert [finding.rule for finding in report.findings] == ["checkpoint"]
        assert "us" in report.findings[0].message


@pytest.mark.parametrize("lost", [1, 2, 50])
def test_a_damaged_checkpoint_file_is_found(run_dir: Path, lost: int) -> None:
    path = run_dir / "us" / "checkpoints.jsonl"
    path.write_bytes(path.read_bytes()[:-lost])
    assert audit_run(run_dir).status is Status.NOT_VERIFIED


def test_a_checkpoint_of_the_empty_ledger_is_accepted(run_dir: Path, honest: AuditedRun) -> None:
    _, heads = honest.chained(honest.bodies)
    _keep(run_dir, US, *(sign_checkpoint(head, honest.coordinator) for head in (heads[0], heads[-1])))
    assert audit_run(run_dir).verified
