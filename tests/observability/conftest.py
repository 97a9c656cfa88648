import pytest

from tests.reference.small_federation import SmallFederation
from tests.reference.watched_run import WatchedRun


@pytest.fixture
def federation() -> SmallFederation:
    return SmallFederation(["de", "fr", "jp", "uk"])


@pytest.fixture
def begun(federation: SmallFederation) -> WatchedRun:
    """Return a run whose first round has just been opened."""
    run = WatchedRun(federation.train, federation.entropy)
    run.begin(federation, federation.nodes())
    return run.go_on(lambda run: run.view.state == "round")
