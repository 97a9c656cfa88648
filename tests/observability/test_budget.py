"""What a private run has cost, recomputed from its ledger alone."""

from dataclasses import replace

import pytest

from fecosr.observability.budget import epsilon_spent
from fecosr.observability.measures import Traffic, run_measures
from fecosr.observability.view import RunView
from fecosr.privacy.accounting import pld_epsilon
from tests.reference.private_federation import PrivateFederation
from tests.reference.watched_run import WatchedRun


@pytest.fixture(scope="module")
def private_view() -> RunView:
    """Return the view of a private run in the middle of its second round."""
    federation = PrivateFederation(["de", "fr", "jp", "uk"])
    run = WatchedRun(federation.train, federation.small.entropy)
    run.begin(federation.small, federation.nodes())
    return run.go_on(lambda run: run.view.released == 1 and run.view.phase == "unmask").view


def test_every_attempt_that_saw_a_vector_counts(private_view: RunView) -> None:
    assert private_view.event is not None
    assert private_view.privacy is not None
    assert private_view.privacy.delta is not None
    assert private_view.markets["de"].charged == 2
    once = replace(private_view, markets={"de": replace(private_view.markets["de"], charged=1)})
    spent, spent_once = epsilon_spent(private_view, "de"), epsilon_spent(once, "de")
    assert spent is not None
    assert spent_once is not None
    assert 0 < spent_once < spent
    assert private_view.privacy.epsilon is not None
    assert spent <= private_view.privacy.epsilon
    assert pld_epsilon({}, private_view.privacy.delta) >= 0


def test_nothing_is_claimed_that_is_not_known(private_view: RunView) -> None:
    assert epsilon_spent(replace(private_view, privacy=None), "de") is None
    assert epsilon_spent(replace(private_view, event=None), "de") is None
    untouched = {"de": replace(private_view.markets["de"], charged=0)}
    assert epsilon_spent(replace(private_view, event=None, markets=untouched), "de") == 0.0


def test_the_budget_is_among_the_metrics(private_view: RunView) -> None:
    measures = {m.name: m for m in run_measures(private_view, Traffic(), epsilon_spent)}
    assert private_view.privacy is not None
    assert measures["fecosr_budget_epsilon"].samples == (({}, private_view.privacy.epsilon),)
    spent = dict(enumerate(measures["fecosr_budget_epsilon_spent"].samples))
    assert spent[0] == ({"market": "de"}, epsilon_spent(private_view, "de"))
