"""What becomes of nodes that deal bad shares, and of those that complain of others, over several attempts."""

import pytest

from fecosr.federation.coordinator import CoordinatorTransition, Running
from fecosr.federation.effects import EvidenceStored
from fecosr.federation.evidence import evidence_from, evidence_hash
from fecosr.federation.messages import FromClient
from fecosr.federation.run import FederationRun
from fecosr.ids import NodeId
from fecosr.ledger.log import Entry
from fecosr.ledger.records import NodeConvicted, RoundAborted, RoundOpened, RoundReleased, UnmaskingBegun
from fecosr.secagg.messages import UnmaskShares
from tests.reference.misdealing import Spoil, another_polynomial, garbage
from tests.reference.misdealt_run import LIAR, NAMES, deal_badly, play, started
from tests.reference.small_federation import SmallFederation


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


@pytest.mark.parametrize(
    ("holders", "spoil", "fault"),
    [(["de"], another_polynomial, "misdealt_shares"), (["de", "es"], garbage, "unusable_shares")],
)
def test_a_conviction_is_recorded_with_its_evidence_before_the_attempt_ends(
    holders: list[str], spoil: Spoil, fault: str
) -> None:
    run = started(SmallFederation(NAMES, max_colluding=1))
    play(run, holders, spoil, RoundReleased)
    bodies = [entry.body for entry in run.ledger]
    (place,) = [number for number, body in enumerate(bodies) if isinstance(body, NodeConvicted)]
    convicted = bodies[place]
    assert isinstance(convicted, NodeConvicted)
    assert isinstance(bodies[place + 1], RoundReleased)
    assert (convicted.market, convicted.fault, convicted.attempt) == (LIAR, fault, 1)
    content = run.evidence[convicted.evidence]
    assert evidence_hash(content) == convicted.evidence
    session, conviction = evidence_from(content)
    assert (session, conviction.culprit, conviction.fault) == (convicted.session, LIAR, fault)


def test_the_evidence_is_stored_before_the_record_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = list[object]()
    does = FederationRun.coordinator_does

    def watched(run: FederationRun, transition: CoordinatorTransition) -> None:
        stored.extend(record.body if isinstance(record, Entry) else record for record in transition.records)
        does(run, transition)

    monkeypatch.setattr(FederationRun, "coordinator_does", watched)
    play(started(SmallFederation(NAMES, max_colluding=1)), ["de"], another_polynomial, RoundReleased)
    first, second = [record for record in stored if isinstance(record, EvidenceStored | NodeConvicted)]
    assert isinstance(first, EvidenceStored)
    assert isinstance(second, NodeConvicted)
    assert second.evidence == first.evidence_hash


@pytest.mark.parametrize(("holders", "spoil"), [(["de"], another_polynomial), (["de", "es", "fr"], garbage)])
def test_a_conviction_survives_a_restart_of_the_coordinator(holders: list[str], spoil: Spoil) -> None:
    federation = SmallFederation(NAMES, max_colluding=1)
    run = started(federation)
    play(run, holders, spoil, NodeConvicted)
    num_asked = len(asked(run))
    run.coordinator_restarts(federation.setup)
    while len(asked(run)) == num_asked:
        if not run.deliver_next():
            run.time_passes()
    assert asked(run)[-1] == tuple(name for name in NAMES if name != LIAR)
    while run.deliver_next():
        pass
    assert all(LIAR not in names for names in asked(run)[num_asked:])


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
