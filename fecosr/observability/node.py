"""What is known of one market node, folded from its own log lines, and the metrics made of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from fecosr.observability.histogram import Histogram
from fecosr.observability.lines import LogLine
from fecosr.observability.markets import counted
from fecosr.observability.measures import Measure, Traffic, counter, gauge, traffic_measures
from fecosr.observability.position import Position

_PHASE_ENDS = frozenset({"round_closed", "session_ended", "connection_lost", "refused"})


@dataclass(frozen=True, slots=True)
class NodeView:
    """Know a market node as its own log tells it.

    Attributes:
        run: its name; `market` and `version` likewise.
        position: where in the run it is.
        connected: whether the coordinator has let it in.
        since: when the phase began that is under way, in Unix seconds; None outside of one.
        outcomes: attempts closed, by outcome.
        refusals: how often it refused to go on, whatever the rule.
        failures: how often the coordinator could not be reached.
        phase_seconds: how long phases took, by phase; training is one.
        levels: log lines by level.
    """

    run: str
    market: str
    version: str
    position: Position = field(default_factory=Position)
    connected: bool = False
    since: float | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    refusals: int = 0
    failures: int = 0
    phase_seconds: Mapping[str, Histogram] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=dict)


def after_node_line(view: NodeView, line: LogLine) -> NodeView:
    """Return the view after one more line of the node's log."""
    before, after = view.position, view.position.after(line.event, line.fields)
    view = replace(view, position=after, levels=counted(view.levels, line.level))
    if line.event in {"training_started", "phase_started"}:
        view = replace(_timed(view, before.phase, line.at), since=line.at)
    elif line.event in _PHASE_ENDS or line.event == "training_finished":
        view = replace(_timed(view, before.phase, line.at), since=None)
    return _counted(view, line)


def _timed(view: NodeView, phase: str, now: float) -> NodeView:
    if view.since is None:
        return view
    spent = view.phase_seconds.get(phase, Histogram()).plus(now - view.since)
    return replace(view, phase_seconds={**view.phase_seconds, phase: spent})


def _counted(view: NodeView, line: LogLine) -> NodeView:
    match line.event:
        case "coordinator_reached":
            return replace(view, connected=True)
        case "session_ended" | "connection_lost" | "final_model_kept":
            return replace(view, connected=False)
        case "coordinator_not_reached" | "coordinator_not_trusted":
            return replace(view, connected=False, failures=view.failures + 1)
        case "round_closed":
            return replace(view, outcomes=counted(view.outcomes, line.text("outcome")))
        case "refused":
            return replace(view, refusals=view.refusals + 1)
        case _:
            return view


def node_measures(view: NodeView, traffic: Traffic) -> Iterator[Measure]:
    """Yield what a node lets its own market's Prometheus know; nothing of it leaves the market otherwise."""
    labels = {"run": view.run, "version": view.version, "party": view.market}
    yield gauge("fecosr_info", "Constant 1.", labels)
    yield gauge("fecosr_coordinator_connected", "1 with a connection.", value=float(view.connected))
    yield gauge("fecosr_round", "The round last spoken of.", value=view.position.round)
    yield gauge("fecosr_attempt", "The attempt at it.", value=view.position.attempt)
    closed = tuple(({"outcome": name}, float(count)) for name, count in view.outcomes.items())
    yield Measure("fecosr_attempts_closed", "counter", "Attempts that ended.", closed)
    yield counter("fecosr_refusals", "How often this node refused to go on.", value=view.refusals)
    says = "How often the coordinator could not be reached or trusted."
    yield counter("fecosr_dial_failures", says, value=view.failures)
    phases = tuple(({"phase": name}, histogram) for name, histogram in view.phase_seconds.items())
    yield Measure("fecosr_phase_seconds", "histogram", "How long phases took.", phases)
    yield from traffic_measures(traffic)
    lines = tuple(({"level": name}, float(count)) for name, count in view.levels.items())
    yield Measure("fecosr_log_lines", "counter", "Log lines of this process.", lines)
