from pathlib import Path

import pytest

from tests.reference.audited_run import AuditedRun, make_run


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
