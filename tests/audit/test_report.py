from pathlib import Path

import pytest

from fecosr.audit.privacy_report import privacy_report
from fecosr.audit.report import AuditReport, render
from fecosr.audit.verification import audit_run


@pytest.fixture
def report(run_dir: Path) -> AuditReport:
    return audit_run(run_dir)


def test_the_json_is_the_one_that_was_promised(report: AuditReport) -> None:
    printed = report.as_json()
    assert list(printed) == ["verified", "findings", "privacy", "rounds", "convictions"]
    assert printed["convictions"] == []
    assert (printed["verified"], printed["findings"], printed["rounds"]) == (True, [], 2)
    assert printed["privacy"] == [
        {
            "market": market,
            "privacy_unit": "user",
            "neighboring_relation": "add_or_remove_one",
            "mode": "none",
            "epsilon": None,
            "delta": None,
            "accountants": {},
            "budget": None,
        }
        for market in ("de", "fr", "jp", "us")
    ]


def test_findings_stand_in_the_json_as_record_rule_and_message(run_dir: Path) -> None:
    ledger = run_dir / "coordinator" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"attempt":1', b'"attempt":3', 1))
    printed = audit_run(run_dir).as_json()
    assert printed["verified"] is False
    assert isinstance(findings := printed["findings"], list)
    assert [set(finding) for finding in findings] == [{"record", "rule", "message"}]
    assert (findings[0]["record"], findings[0]["rule"]) == (1, "signature")


def test_the_privacy_report_says_who_is_protected_and_who_is_not(report: AuditReport) -> None:
    said = privacy_report(report)
    assert said["verified"] is True
    assert said["sums_opened"] == {"de": 2, "fr": 2, "jp": 1, "us": 2}
    sections = (said["protected"], said["not_protected"])
    protected, unprotected = (" ".join(lines) for lines in sections if isinstance(lines, list))
    assert "only the sum over at least 3 markets" in protected
    assert "colludes with 1 of the markets" in protected
    assert "at least 2 markets" in protected
    assert "no differential privacy" in unprotected
    assert "epsilon is unbounded" in unprotected
    assert "outsider who holds the final model" in unprotected


def test_the_report_reads_as_text(report: AuditReport) -> None:
    assert report.facts is not None
    text = render(report)
    assert text.startswith("# Audit of run trial\n\n**Verified.**")
    assert "Rounds released: 2 of 2. Attempts aborted: 1." in text
    records = report.facts.num_records
    assert f"| jp | 1 | {records} | {records} | {records} | unbounded |" in text
    for heading in ("## Who is protected", "## What is not protected", "## What this audit cannot see"):
        assert heading in text
    assert "{" not in text


def test_a_report_without_facts_still_says_why(tmp_path: Path) -> None:
    report = audit_run(tmp_path)
    text = render(report)
    assert text.startswith("# Audit\n\n**Cannot be verified.**")
    assert "- folder, roster: " in text
    assert privacy_report(report)["verified"] is False
    assert report.as_json() == {
        "verified": False,
        "findings": [{"record": None, "rule": "roster", "message": report.findings[0].message}],
        "privacy": [],
        "rounds": 0,
        "convictions": [],
    }


def test_the_report_of_a_tampered_run_names_the_record(run_dir: Path) -> None:
    ledger = run_dir / "coordinator" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"attempt":1', b'"attempt":3', 1))
    text = render(audit_run(run_dir))
    assert "**Not verified.**" in text
    assert "Nothing is established about this run" in text
    assert "hidden from the coordinator" not in text
    assert "- record 1, signature: Record 1: the coordinator's identity did not sign it after" in text
    assert "| us | 0 | 1 | 1 | 0 | unbounded |" in text


def test_nothing_is_called_protected_in_a_run_that_is_not_verified(run_dir: Path) -> None:
    (run_dir / "us" / "checkpoints.jsonl").unlink()
    said = privacy_report(audit_run(run_dir))
    assert (said["verified"], said["protected"]) == (False, [])
    assert said["not_protected"]
