"""A view as Prometheus metrics. This file is the list of their names; README.md repeats it for operators."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from fecosr.ids import COORDINATOR
from fecosr.observability.histogram import Histogram
from fecosr.observability.page import Spent
from fecosr.observability.view import STATES, RunView

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measure:
    """Hold one metric.

    Attributes:
        name: with unit, without the ending that its kind adds.
        kind: of metric.
        says: what it measures, one sentence.
        samples: values by labels; histograms for that kind.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    says: str
    samples: tuple[tuple[Labels, float | Histogram], ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Count payload of gRPC calls, without its framing and TLS."""

    received_bytes: int = 0
    sent_bytes: int = 0


def run_measures(view: RunView, traffic: Traffic, spent: Spent) -> Iterator[Measure]:
    """Yield what a coordinator lets Prometheus know; labels are of few values, all of them our own."""
    yield gauge(
        "fecosr_info", "Constant 1.", {"run": view.run, "version": view.version, "party": COORDINATOR}
    )
    yield _by("gauge", "fecosr_state", "1 for the state the run is in.", "state", _states(view))
    yield gauge("fecosr_rounds_planned", "Rounds of the plan.", value=view.planned)
    yield gauge("fecosr_round", "The round under way or next.", value=view.round)
    yield gauge("fecosr_attempt", "The attempt at it.", value=view.attempt)
    yield counter("fecosr_rounds_released", "Rounds released.", value=view.released)
    yield _by("counter", "fecosr_attempts_aborted", "Attempts aborted.", "reason", view.aborts)
    yield _by("histogram", "fecosr_phase_seconds", "How long phases took.", "phase", view.phase_seconds)
    yield Measure(
        "fecosr_round_seconds", "histogram", "How long released attempts took.", (({}, view.round_seconds),)
    )
    yield gauge("fecosr_ledger_records", "Entries of the ledger.", value=view.records)
    yield counter("fecosr_coordinator_restarts", "How often the coordinator came back.", value=view.restarts)
    yield from _market_measures(view, spent)
    yield from _last_release(view)
    yield from traffic_measures(traffic)
    yield _by("counter", "fecosr_log_lines", "Log lines of this process.", "level", view.levels)


def traffic_measures(traffic: Traffic) -> Iterator[Measure]:
    """Yield the bytes that a process received and sent."""
    yield counter("fecosr_received_bytes", "Payload received over gRPC.", value=traffic.received_bytes)
    yield counter("fecosr_sent_bytes", "Payload sent over gRPC.", value=traffic.sent_bytes)


def gauge(name: str, says: str, labels: Labels | None = None, *, value: float = 1) -> Measure:
    """Return a gauge of one sample."""
    return Measure(name, "gauge", says, ((labels or {}, value),))


def counter(name: str, says: str, labels: Labels | None = None, *, value: float) -> Measure:
    """Return a counter of one sample."""
    return Measure(name, "counter", says, ((labels or {}, value),))


def _by(
    kind: Literal["gauge", "counter", "histogram"],
    name: str,
    says: str,
    label: str,
    values: Mapping[str, float] | Mapping[str, Histogram],
) -> Measure:
    return Measure(name, kind, says, tuple(({label: key}, value) for key, value in values.items()))


def _states(view: RunView) -> Mapping[str, float]:
    return {state: float(state == view.state) for state in STATES}


def _market_measures(view: RunView, spent: Spent) -> Iterator[Measure]:
    markets = view.markets
    connected = {name: float(market.connected) for name, market in markets.items()}
    yield gauge("fecosr_nodes_connected", "Markets connected now.", value=sum(connected.values()))
    yield _by("gauge", "fecosr_node_connected", "1 for a market that is connected.", "market", connected)
    sums = {name: float(market.sums) for name, market in markets.items()}
    yield _by("counter", "fecosr_market_sums", "Released sums with this market's update.", "market", sums)
    violations = {name: float(market.violations) for name, market in markets.items()}
    yield _by("counter", "fecosr_violations", "Breaches of the protocol.", "market", violations)
    dropouts = tuple(
        ({"market": name, "reason": reason}, float(count))
        for name, market in markets.items()
        for reason, count in market.dropouts.items()
    )
    yield Measure("fecosr_dropouts", "counter", "Markets missing from a fixed sum.", dropouts)
    charged = {name: float(market.charged) for name, market in markets.items()}
    says = "Attempts that may have seen a vector of this market."
    yield _by("counter", "fecosr_budget_charges", says, "market", charged)
    shared = {name: market.validation for name, market in markets.items() if market.validation is not None}
    says = "A market's own validation NDCG@10, where it chose to share that."
    yield _by("gauge", "fecosr_shared_validation_ndcg_10", says, "market", shared)
    if view.privacy is not None and view.privacy.epsilon is not None:
        yield gauge("fecosr_budget_epsilon", "What the run may cost any user.", value=view.privacy.epsilon)
        found = {name: spent(view, name) for name in markets}
        known = {name: epsilon for name, epsilon in found.items() if epsilon is not None}
        yield _by("gauge", "fecosr_budget_epsilon_spent", "What it has cost so far.", "market", known)


def _last_release(view: RunView) -> Iterator[Measure]:
    last = view.rounds[-1] if view.rounds else None
    if last is not None and last.loss is not None:
        yield gauge("fecosr_training_loss", "Mean training loss of the last release.", value=last.loss)
    if last is not None and last.validation is not None:
        says = "Mean validation NDCG@10 of the model that the last released round began with."
        yield gauge("fecosr_validation_ndcg_10", says, value=last.validation)
