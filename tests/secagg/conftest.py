"""One undisturbed session and one with a dropout, played once for all tests that only look."""

import pytest

from fecosr.ids import NodeId
from fecosr.secagg.messages import Phase
from tests.reference.rehearsal import Rehearsal, names_of, rehearse

CROWD = 70
"""Enough for a sparse graph, and few enough to be quick."""


@pytest.fixture(scope="session")
def play() -> Rehearsal:
    """Five clients, n_min 3, one may collude (threshold 4), everybody stays."""
    return rehearse(5)


@pytest.fixture(scope="session")
def play_with_dropout() -> Rehearsal:
    """Six clients; `cz` deals shares and then leaves without handing in a vector."""
    gone = NodeId("cz")
    return rehearse(6, leaves=lambda client, phase: client == gone and phase is Phase.MASKED_INPUT)


@pytest.fixture(scope="session")
def sparse_play() -> Rehearsal:
    """Seventy clients, of whom two may collude; in each of the last four phases another one leaves."""
    leaving = dict(zip(names_of(CROWD)[10:], list(Phase)[1:], strict=False))
    return rehearse(
        CROWD, n_min=40, max_colluding=2, leaves=lambda client, phase: leaving.get(client) is phase
    )
