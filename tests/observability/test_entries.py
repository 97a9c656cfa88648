"""What the ledger tells about a run, folded into a view."""

from dataclasses import replace

import pytest

from fecosr.crypto.signatures import SigningKey
from fecosr.ids import NodeId, RunId
from fecosr.ledger.log import append, genesis
from fecosr.ledger.records import NodeConvicted
from fecosr.observability.entries import after_entry
from fecosr.observability.view import MOST_ROUNDS, RoundView, RunView
from tests.reference.small_federation import SmallFederation
from tests.reference.watched_run import WatchedRun


def test_a_whole_run_is_told_from_its_first_entry_to_its_last(begun: WatchedRun) -> None:
    view = begun.go_on().view
    assert (view.run, view.planned, view.released, view.round) == ("test", 2, 2, 3)
    assert view.state == "finishing", "the process says when it is over"
    assert [(seen.round, seen.survivors) for seen in view.rounds] == [
        (1, ("de", "fr", "jp", "uk")),
        (2, ("de", "fr", "jp", "uk")),
    ]
    assert {market.sums for market in view.markets.values()} == {2}
    assert {market.charged for market in view.markets.values()} == {2}
    assert view.records == len(begun.ledger)
    assert view.last_entry == begun.ledger[-1].leaf().hex()
    assert view.phase == ""


def test_a_ledger_read_again_counts_what_the_process_counted_that_wrote_it(begun: WatchedRun) -> None:
    begun.go_on()
    again = RunView()
    for entry in begun.ledger:
        again = after_entry(again, entry, None)
    live = begun.view
    assert {name: market.sums for name, market in again.markets.items()} == {
        name: market.sums for name, market in live.markets.items()
    }
    assert (again.released, again.aborts, again.records, again.last_entry) == (
        live.released,
        live.aborts,
        live.records,
        live.last_entry,
    )
    assert {seen.at for seen in again.rounds} == {None}, "nobody knows any more when that was"
    assert again.phase_seconds == {}


def test_a_conviction_is_the_markets_own_and_remembered(begun: WatchedRun) -> None:
    convicted = NodeConvicted(1, 1, bytes(32), NodeId("uk"), "misdealt_shares", bytes(32))
    entry, _ = append(genesis(RunId("test")), convicted, SigningKey(bytes(32)))
    view = after_entry(begun.view, entry, None)
    assert {name: it.convicted for name, it in view.markets.items() if it.convicted} == {
        "uk": "misdealt_shares"
    }


def test_parts_follow_the_attempt(begun: WatchedRun) -> None:
    parts: list[str] = []

    def noted(run: WatchedRun) -> bool:
        part = run.view.markets["de"].part
        if not parts or parts[-1] != part:
            parts.append(part)
        return run.view.released == 1

    begun.go_on(noted)
    assert parts[:3] == ["asked", "in the cohort", "in the sum"]


def test_a_market_that_crashes_is_counted_once_with_its_reason(begun: WatchedRun) -> None:
    begun.go_on(lambda run: run.view.phase == "masked_input")
    begun.node_crashes(NodeId("uk"))
    lost = begun.view.markets["uk"]
    assert (lost.part, lost.dropout, lost.connected) == ("dropped out", "disconnected", False)
    begun.go_on(lambda run: run.view.released == 1)
    assert begun.view.markets["uk"].dropouts == {"disconnected": 1}
    assert begun.view.markets["uk"].sums == 0
    assert begun.view.rounds[0].survivors == ("de", "fr", "jp")


def test_an_aborted_attempt_is_counted_by_its_reason(begun: WatchedRun, federation: SmallFederation) -> None:
    begun.go_on(lambda run: run.view.phase == "share_keys")
    begun.coordinator_restarts(federation.setup)
    view = begun.view
    assert view.restarts == 1
    assert view.aborts == {"coordinator_restarted": 1}
    assert view.last_abort == "coordinator_restarted"
    assert begun.go_on().view.released == 2


def test_a_run_given_up_says_why(begun: WatchedRun) -> None:
    begun.go_on(lambda run: run.view.phase == "share_keys")
    for name in ("de", "fr", "jp"):
        begun.node_crashes(NodeId(name))
    assert begun.view.aborts
    assert begun.view.state == "gathering"


def test_an_unknown_market_in_an_entry_changes_nothing_else(begun: WatchedRun) -> None:
    view = replace(begun.view, markets={})
    for entry in begun.go_on().ledger[1:]:
        view = after_entry(view, entry, None)
    assert view.markets == {}
    assert view.released == 2


@pytest.mark.parametrize("count", [1, MOST_ROUNDS, MOST_ROUNDS + 7])
def test_a_long_run_keeps_its_last_rounds_only(count: int) -> None:
    view = RunView()
    for number in range(1, count + 1):
        view = view.with_round(RoundView(number, 1, ("de",)))
    assert len(view.rounds) == min(count, MOST_ROUNDS)
    assert view.rounds[-1].round == count
