"""What becomes of nodes that deal bad shares, and of those that complain of others, over several attempts."""

from collections.abc import Collection

import pytest

from fecosr.federation.coordinator import Running, open_run
from fecosr.federation.messages import FromClient
from fecosr.federation.node_states import Aggregating
from fecosr.federation.run import FederationRun
from fecosr.ids import NodeId
from fecosr.ledger.records import RoundAborted, RoundOpened, RoundReleased, UnmaskingBegun
from fecosr.secagg.messages import EncryptedShares, UnmaskShares
from tests.reference.misdealing import Spoil, another_polynomial, garbage, misdealing, to_each
from tests.reference.small_federation import SmallFederation

NAMES = ["de", "es", "fr", "it", "jp", "uk", "us"]
LIAR = NodeId("us")


def started(federation: SmallFederation) -> FederationRun:
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for node in federation.nodes():
        run.node_arrives(node)
    return run


def deal_badly(run: FederationRun, holders: Collection[str], spoil: Spoil) -> None:
    """Replace the deals of the liar that are on their way, or have been sent, by bad ones it signed."""
    forge = misdealing({LIAR: to_each([NodeId(name) for name in holders], spoil)})
    for place, (node, message) in enumerate(run.to_coordinator):
        if (
            node != LIAR
            or not isinstance(message, FromClient)
            or not isinstance(message.body, EncryptedShares)
        ):
            continue
        state = run.nodes[node]
        assert isinstance(state, Aggregating)
        body = forge(state.client, message.body)
        run.to_coordinator[place] = node, FromClient(message.round, message.attempt, body)


def play(run: FederationRun, holders: Collection[str], spoil: Spoil, until: type) -> None:
    """Let the liar deal badly in every attempt until the ledger has a record of a kind."""
    while not any(isinstance(entry.body, until) for entry in run.ledger):
        deal_badly(run, holders, spoil)
        assert run.deliver_next()


def asked(run: FederationRun) -> list[tuple[NodeId, ...]]:
    return [entry.body.expected for entry in run.ledger if isinstance(entry.body, RoundOpened)]


def logged(run: FederationRun, event: str) -> list[dict[str, object]]:
    return [dict(fields) for _, seen, fields in run.log if seen == event]


def test_a_dealer_of_garbage_to_one_spoils_nothing_and_is_suspected_only() -> None:
    run = started(SmallFederation(NAMES, max_colluding=1))
    play(run, ["de"], garbage, RoundReleased)
    first, second = asked(run)
    assert LIAR in second
    assert first == second
    (seen,) = logged(run, "unusable_shares")
    assert (seen["market"], seen["accused"]) == ("de", (LIAR,))
    assert isinstance(run.coordinator, Running)
    assert run.coordinator.round.attempt.progress.excluded == frozenset()


def test_a_dealer_of_garbage_to_more_than_may_collude_is_left_out_of_the_next_round() -> None:
    run = started(SmallFederation(NAMES, max_colluding=1))
    play(run, ["de", "es"], garbage, RoundReleased)
    assert isinstance(run.coordinator, Running)
    assert run.coordinator.round.attempt.progress.excluded == {LIAR}
    assert LIAR not in asked(run)[-1]


def test_a_dealer_of_garbage_to_too_many_costs_one_attempt_in_which_nothing_is_revealed() -> None:
    run = started(SmallFederation(NAMES, max_colluding=1))
    play(run, ["de", "es", "fr"], garbage, RoundAborted)
    assert not any(isinstance(entry.body, UnmaskingBegun) for entry in run.ledger)
    (aborted,) = [entry.body for entry in run.ledger if isinstance(entry.body, RoundAborted)]
    assert (aborted.reason, aborted.unmasked) == ("unusable_shares", False)
    play(run, ["de", "es", "fr"], garbage, RoundReleased)
    assert asked(run)[:2] == [tuple(NAMES), tuple(name for name in NAMES if name != LIAR)]


@pytest.mark.parametrize("holders", [["de"], ["uk"]])
def test_a_dealer_of_shares_that_do_not_fit_is_convicted_by_evidence_and_left_out(holders: list[str]) -> None:
    run = started(SmallFederation(NAMES, max_colluding=1))
    play(run, holders, another_polynomial, RoundReleased)
    (seen,) = logged(run, "node_convicted")
    assert (seen["market"], seen["fault"]) == (LIAR, "misdealt_shares")
    assert isinstance(run.coordinator, Running)
    assert run.coordinator.round.attempt.progress.excluded == {LIAR}
    assert LIAR not in asked(run)[-1]


def test_a_dealer_whose_shares_fit_nowhere_is_convicted_though_the_retry_is_bound_to_it() -> None:
    run = started(SmallFederation(NAMES, max_colluding=1))
    play(run, NAMES[:4], another_polynomial, RoundAborted)
    (aborted,) = [entry.body for entry in run.ledger if isinstance(entry.body, RoundAborted)]
    assert (aborted.reason, aborted.unmasked) == ("bad_shares", True)
    (seen,) = logged(run, "node_convicted")
    assert seen["market"] == LIAR
    # The sum may be open to a coordinator that lies: another one without the dealer would show its update.
    assert asked(run)[-1] == tuple(NAMES)


def test_no_share_of_the_evidence_reaches_the_log() -> None:
    run = started(SmallFederation(NAMES, max_colluding=1))
    shares: set[str] = set()
    while not any(isinstance(entry.body, RoundReleased) for entry in run.ledger):
        deal_badly(run, ["de"], another_polynomial)
        for _, message in run.to_coordinator:
            if isinstance(message, FromClient) and isinstance(message.body, UnmaskShares):
                shares |= {share.hex() for share in message.body.seed_shares.values()}
                shares |= {repr(share) for share in message.body.seed_shares.values()}
        assert run.deliver_next()
    assert shares
    assert logged(run, "node_convicted")
    assert not any(share in repr(run.log) for share in shares)
