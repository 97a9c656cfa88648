"""What a log line of the coordinator adds to a view: who is there, and what the ledger does not time."""

from dataclasses import replace
from functools import partial

from fecosr.observability.lines import LogLine
from fecosr.observability.markets import MarketView
from fecosr.observability.view import RunView


def after_line(view: RunView, line: LogLine) -> RunView:
    """Return the view after one more line of the coordinator's log; every line joins the event log."""
    return _after(view.with_line(line), line)


def _after(view: RunView, line: LogLine) -> RunView:
    if line.text("market") in view.markets:
        view = view.of_market(line.text("market"), partial(_market, line=line))
    match line.event:
        case "waiting_for":
            return replace(view, waiting_for=line.names("markets"))
        case "phase_started":
            return view.in_phase(line.text("phase"), line.at)
        case "round_released":
            return _timed(view, line)
        case "coordinator_stopped" if line.whole("exit_code") == 0:
            return replace(view, state="completed")
        case _:
            return view


def _market(market: MarketView, line: LogLine) -> MarketView:
    match line.event:
        case "node_connected" | "node_disconnected":
            return replace(market, connected=line.event == "node_connected", changed=line.at)
        case "metric_shared":
            return replace(market, validation=line.number("validation"))
        case "node_finished":
            return replace(market, finished=True)
        case "node_violation" | "protocol_violation":
            return replace(market, violations=market.violations + 1)
        case "node_dropped" if market.part != "in the sum":
            # It is counted when the survivors are fixed; from then on whoever goes has done its part.
            return replace(market, part="dropped out", dropout=line.text("reason"))
        case _:
            return market


def _timed(view: RunView, line: LogLine) -> RunView:
    """Add to the round released last what only the log says of it."""
    if not view.rounds or view.rounds[-1].round != line.whole("round"):
        return view
    seconds = line.number("seconds")
    last = replace(view.rounds[-1], seconds=seconds, loss=line.number("loss"))
    view = view.with_round(last)
    return view if seconds is None else replace(view, round_seconds=view.round_seconds.plus(seconds))
