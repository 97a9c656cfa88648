from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.audit.findings import Finding
from fecosr.audit.verification import audit_run
from fecosr.ledger.records import Body
from tests.reference.audited_run import AuditedRun, besides_history, make_run


@pytest.fixture(scope="session")
def honest() -> AuditedRun:
    """Return a run of two rounds in which everybody is honest."""
    return make_run()


@pytest.fixture
def run_dir(honest: AuditedRun, tmp_path: Path) -> Path:
    """Return the folder of the honest run."""
    folder = tmp_path / "honest"
    honest.write(folder)
    return folder


@pytest.fixture
def audited(honest: AuditedRun, tmp_path: Path) -> Callable[..., tuple[Finding, ...]]:
    """Return a function that writes records as a run folder everybody vouches for, and audits it.

    The markets signed their keys for the honest history, which the findings of rule "history" say of every
    other one; what they say besides is returned.
    """

    def write(*bodies: Body) -> tuple[Finding, ...]:
        honest.write(tmp_path / "run", bodies)
        report = audit_run(tmp_path / "run")
        assert report.verified == (not report.findings)
        return besides_history(report.findings)

    return write
