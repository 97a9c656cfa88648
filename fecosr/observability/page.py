"""A view as the JSON that the dashboard shows: names, counts, states and figures that a run makes public."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from fecosr.observability.lines import LogLine
from fecosr.observability.markets import MarketView
from fecosr.observability.view import RunView

Spent = Callable[[RunView, str], float | None]
"""Return epsilon of one market's users so far; None when none is finite or known."""

MOST_FIELD_CHARACTERS: Final = 200
MOST_FINDINGS: Final = 20


@dataclass(frozen=True, slots=True)
class AuditSeen:
    """Hold the last audit that somebody put where the coordinator looks.

    Attributes:
        at: when it was put there, in Unix seconds.
        verified: its verdict; None: what is there is no audit.
        rounds: how many released rounds it covers.
        findings: what it found.
    """

    at: float
    verified: bool | None
    rounds: int = 0
    findings: tuple[str, ...] = ()


def page(view: RunView, spent: Spent, audit: AuditSeen | None) -> dict[str, object]:
    """Return what the dashboard shows of `view`."""
    return {
        "run": view.run,
        "version": view.version,
        "state": view.state,
        "round": min(view.round, view.planned) if view.planned else view.round,
        "planned": view.planned,
        "attempt": view.attempt,
        "phase": view.phase,
        "phase_since": view.phase_since,
        "waiting_for": list(view.waiting_for),
        "released": view.released,
        "aborts": dict(view.aborts),
        "last_abort": view.last_abort,
        "restarts": view.restarts,
        "records": view.records,
        "last_entry": view.last_entry,
        "num_parameters": view.num_parameters,
        "privacy": None if view.privacy is None else asdict(view.privacy),
        "markets": [_market(view, name, market, spent) for name, market in view.markets.items()],
        "rounds": [asdict(released) for released in view.rounds],
        "audit": None if audit is None else _audit(audit),
        "lines": [_line(line) for line in reversed(view.lines)],
    }


def audit_from(value: object, at: float) -> AuditSeen:
    """Return what `fecosr audit --json` printed, read from JSON that anybody may have written."""
    match value:
        case {"verified": bool(verified), "rounds": int(rounds), "findings": [*findings]}:
            shown = tuple(_finding(finding) for finding in findings[:MOST_FINDINGS])
            return AuditSeen(at, verified, rounds, shown)
        case _:
            return AuditSeen(at, None)


def _finding(value: object) -> str:
    match value:
        case {"rule": str(rule), "message": str(message)}:
            return _cut(f"{rule}: {message}")
        case _:
            return "unreadable"


def _audit(audit: AuditSeen) -> Mapping[str, object]:
    return {**asdict(audit), "findings": list(audit.findings)}


def _market(view: RunView, name: str, market: MarketView, spent: Spent) -> Mapping[str, object]:
    epsilon = spent(view, name)
    is_known = epsilon is not None and math.isfinite(epsilon)
    return {
        "name": name,
        "connected": market.connected,
        "changed": market.changed,
        "part": market.part,
        "dropout": market.dropout,
        "sums": market.sums,
        "dropouts": dict(market.dropouts),
        "charged": market.charged,
        "violations": market.violations,
        "convicted": market.convicted,
        "finished": market.finished,
        "validation": market.validation,
        "epsilon": epsilon if is_known else None,
    }


def _line(line: LogLine) -> Mapping[str, object]:
    fields = {name: _cut(_text(line, name)) for name in line.fields}
    return {"at": line.at, "level": line.level, "event": line.event, "fields": fields}


def _text(line: LogLine, name: str) -> str:
    value = line.fields[name]
    # Sixteen digits of a loss help nobody who looks on.
    return f"{value:.4g}" if isinstance(value, float) else line.text(name)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_FIELD_CHARACTERS else f"{text[: MOST_FIELD_CHARACTERS - 1]}…"
