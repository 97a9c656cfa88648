"""What a ledger entry adds to a view: everything that counts, so that a restart forgets none of it."""

import json
from dataclasses import replace
from functools import partial

from fecosr.ledger.log import Entry
from fecosr.ledger.records import (
    Body,
    CohortFixed,
    CoordinatorRestarted,
    NodeConvicted,
    RoundAborted,
    RoundOpened,
    RoundReleased,
    RunAborted,
    RunCompleted,
    RunOpened,
    SketchReleased,
    SurvivorsFixed,
    UnmaskingBegun,
)
from fecosr.observability.markets import MarketView, counted
from fecosr.observability.view import RoundView, RunView


def after_entry(view: RunView, entry: Entry, now: float | None) -> RunView:
    """Return the view after one more entry of the ledger.

    Args:
        view: so far.
        entry: stored by now.
        now: Unix seconds; None for an entry of an earlier process.
    """
    counted_in = replace(view, records=entry.seq + 1, last_entry=entry.leaf().hex())
    return _after(counted_in, entry.body, now)


def _after(view: RunView, body: Body, now: float | None) -> RunView:
    match body:
        case RunOpened():
            return _opened(view, body)
        case RoundOpened() | CohortFixed() | SurvivorsFixed():
            return _in_attempt(view, body)
        case RoundReleased() | SketchReleased():
            return _released(view, body, now)
        case RoundAborted(reason=reason):
            view = replace(view, aborts=counted(view.aborts, reason), last_abort=reason, state="gathering")
            return view.in_phase("", now)
        case RunCompleted():
            return replace(view.in_phase("", now), state="finishing")
        case RunAborted(reason=reason):
            return replace(view.in_phase("", now), state="aborted", last_abort=reason)
        case CoordinatorRestarted():
            return replace(view, restarts=view.restarts + 1)
        case NodeConvicted(market=market, fault=fault):
            return view.of_market(market, partial(_convicted, fault=fault))
        case UnmaskingBegun():
            return view


def _in_attempt(view: RunView, body: RoundOpened | CohortFixed | SurvivorsFixed) -> RunView:
    match body:
        case RoundOpened(round=number, attempt=attempt, expected=expected):
            view = view.of_all_markets(partial(_asked, expected=frozenset(expected)))
            return replace(view, state="round", round=number, attempt=attempt, waiting_for=())
        case CohortFixed(adverts=adverts):
            for advert in adverts:
                view = view.of_market(advert.client, _in_cohort)
        case SurvivorsFixed(survivors=survivors, dropouts=dropouts):
            for name in survivors:
                view = view.of_market(name, _in_sum)
            for name, reason in dropouts.items():
                view = view.of_market(name, partial(MarketView.dropped, reason=reason))
    return view


def _opened(view: RunView, body: RunOpened) -> RunView:
    match json.loads(body.plan_json):
        case {"run": {"rounds": int(planned)}}:
            pass
        case _:
            planned = 0
    return replace(
        view,
        run=body.run,
        version=body.version,
        planned=planned,
        num_parameters=body.num_parameters,
        privacy=body.privacy,
        state="gathering",
        markets={name: view.markets.get(name, MarketView()) for name in sorted(body.roster)},
    )


def _asked(name: str, market: MarketView, expected: frozenset[str]) -> MarketView:
    return replace(market, part="asked" if name in expected else "not asked", dropout="")


def _convicted(market: MarketView, fault: str) -> MarketView:
    return replace(market, convicted=fault)


def _in_sum(market: MarketView) -> MarketView:
    return replace(market, part="in the sum")


def _in_cohort(market: MarketView) -> MarketView:
    return replace(market, part="in the cohort", charged=market.charged + 1)


def _released(view: RunView, body: RoundReleased | SketchReleased, now: float | None) -> RunView:
    for name in body.survivors:
        view = view.of_market(name, lambda market: replace(market, sums=market.sums + 1))
    view = view.in_phase("", now)
    if isinstance(body, RoundReleased):
        seen = RoundView(body.round, body.attempt, body.survivors, at=now, validation=body.validation)
        view = replace(
            view.with_round(seen), released=view.released + 1, event=body.privacy_event or view.event
        )
    return replace(view, state="gathering", round=body.round + 1, attempt=0)
