"""A market's own metric, which leaves only if its policy says so."""

from dataclasses import replace

import pytest

from fecosr.federation.messages import MetricShared
from fecosr.ids import NodeId
from tests.reference.small_federation import SmallFederation
from tests.reference.watched_run import WatchedRun

NAMES = ["de", "fr", "jp", "uk"]


def play(federation: SmallFederation, sharing: frozenset[str]) -> WatchedRun:
    run = WatchedRun(federation.train, federation.entropy)
    nodes = [
        replace(node, policy=replace(node.policy, share_validation=node.me in sharing))
        for node in federation.nodes()
    ]
    run.begin(federation, nodes)
    return run.go_on()


@pytest.mark.parametrize("sharing", [frozenset(), frozenset({"fr"}), frozenset(NAMES)])
def test_only_those_are_seen_that_chose_to_share(sharing: frozenset[str]) -> None:
    federation = SmallFederation(NAMES, releases_validation=True)
    view = play(federation, sharing).view
    assert view.released == 2
    assert {name: market.validation for name, market in view.markets.items()} == {
        name: federation.validation(NodeId(name), 2) if name in sharing else None for name in NAMES
    }


def test_a_market_without_validation_users_shares_nothing() -> None:
    federation = SmallFederation(NAMES, releases_validation=True)
    federation.validation = lambda *_: None  # type: ignore[method-assign]
    view = play(federation, frozenset(NAMES)).view
    assert {market.validation for market in view.markets.values()} == {None}


def test_a_metric_of_another_attempt_is_late_and_changes_nothing() -> None:
    federation = SmallFederation(NAMES, releases_validation=True)
    run = WatchedRun(federation.train, federation.entropy)
    run.begin(federation, federation.nodes())
    run.go_on(lambda run: run.view.state == "round")
    run.to_coordinator.append((NodeId("fr"), MetricShared(1, 2, 0.5)))
    run.to_coordinator.append((NodeId("fr"), MetricShared(2, 1, 0.5)))
    view = run.go_on().view
    assert view.markets["fr"].validation is None
    assert sum(line.event == "late_message" for line in view.lines) == 2
    assert view.released == 2
