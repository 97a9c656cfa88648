"""What the audit says to a run folder as a whole."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.audit.findings import Status
from fecosr.audit.verification import audit_run
from fecosr.crypto.signatures import SigningKey
from tests.reference.audited_run import MARKETS, AuditedRun, ledger_of


def test_an_honest_run_is_verified(run_dir: Path) -> None:
    report = audit_run(run_dir)
    assert report.findings == ()
    assert report.verified
    assert report.status.exit_code == 0
    assert report.facts is not None
    assert (report.facts.rounds, report.facts.aborted, report.facts.is_completed) == (2, 1, True)
    assert report.facts.sums == {"de": 2, "fr": 2, "jp": 1, "us": 2}
    assert set(report.facts.vouched.values()) == {report.facts.num_records}


def test_a_copy_elsewhere_is_verified_and_left_as_it_is(run_dir: Path, tmp_path: Path) -> None:
    def files(folder: Path) -> dict[str, bytes]:
        return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}

    copy = tmp_path / "elsewhere"
    shutil.copytree(run_dir, copy)
    assert audit_run(copy).verified
    assert files(copy) == files(run_dir)


def test_the_auditor_may_bring_the_roster(run_dir: Path, tmp_path: Path, honest: AuditedRun) -> None:
    own = tmp_path / "own.toml"
    own.write_text(honest.roster_toml(), encoding="utf-8")
    (run_dir / "roster.toml").unlink()
    assert audit_run(run_dir, roster=own).verified


def test_the_word_of_another_coordinator_is_worth_nothing(
    run_dir: Path, tmp_path: Path, honest: AuditedRun
) -> None:
    own = tmp_path / "own.toml"
    stranger = SigningKey(b"\x09" * 32).public.hex()
    own.write_text(honest.roster_toml().replace(honest.coordinator.public.hex(), stranger), encoding="utf-8")
    report = audit_run(run_dir, roster=own)
    assert report.status is Status.NOT_VERIFIED
    assert [(finding.record, finding.rule) for finding in report.findings] == [(0, "signature")]


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda folder: (folder / "roster.toml").unlink(), "roster"),
        (lambda folder: (folder / "roster.toml").write_text("coordinator = 1"), "roster"),
        (lambda folder: ledger_of(folder).unlink(), "ledger"),
        (lambda folder: ledger_of(folder).write_bytes(b""), "ledger"),
        (lambda folder: shutil.rmtree(folder / "coordinator"), "ledger"),
        (lambda folder: shutil.rmtree(folder / "coordinator" / "models"), "model_file"),
        (lambda folder: (folder / "us" / "checkpoints.jsonl").unlink(), "witness"),
        (shutil.rmtree, "roster"),
    ],
)
def test_a_missing_file_is_named_and_never_a_pass(run_dir: Path, damage: Damage, rule: str) -> None:
    damage(run_dir)
    report = audit_run(run_dir)
    assert report.status is Status.UNUSABLE
    assert report.status.exit_code == 2
    assert [finding.rule for finding in report.findings] == [rule]


def test_a_tampered_ledger_is_not_excused_by_a_missing_file(run_dir: Path) -> None:
    ledger_of(run_dir).write_bytes(ledger_of(run_dir).read_bytes()[:-1])
    (run_dir / "us" / "checkpoints.jsonl").unlink()
    assert audit_run(run_dir).status is Status.NOT_VERIFIED


def test_the_markets_of_the_run_are_those_of_the_roster(run_dir: Path) -> None:
    report = audit_run(run_dir)
    assert report.facts is not None
    assert tuple(report.facts.opened.roster) == MARKETS
