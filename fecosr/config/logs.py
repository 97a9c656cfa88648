"""One log line per event on standard error; the same words everywhere, never data or a secret.

Every line says `run`, `party` (who writes), `round`, `attempt` and `phase`; a node's lines and those about
one market also say `market`.
"""

import json
import logging
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, Literal

import structlog
import typer

from fecosr.config.clock import utc_now
from fecosr.observability.lines import LogLine
from fecosr.observability.position import Position

LogFormat = Literal["json", "text"]
Observer = Callable[[LogLine], None]
"""Is shown every line; it must be quick, and what it raises is lost."""

LOG_FORMAT_OPTION: Final = typer.Option("--log-format", help="JSON lines for programs, or text for people.")

_FIRST: Final = ("timestamp", "level", "event")


def configure_logs(
    log_format: LogFormat = "json", observers: tuple[Observer, ...] = (), **bound: str
) -> structlog.typing.FilteringBoundLogger:
    """Return a logger that writes lines to standard error and puts `bound` on every one of them.

    Standard output stays free for results. Lines are flushed one by one, so a killed process loses none. The
    loggers of all modules write the same way.

    Args:
        log_format: JSON for programs, or text for people.
        observers: are shown what is written.
        bound: fields of every line.
    """
    render = structlog.processors.JSONRenderer(sort_keys=False) if log_format == "json" else _as_text
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Placing(bound),
            *map(_Showing, observers),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


Event = MutableMapping[str, Any]


class _Placing:
    """Put on every line who writes it, and where in the run that is."""

    def __init__(self, bound: Mapping[str, str]) -> None:
        self._bound = bound
        self._position = Position()
        # Training reports from a thread of its own.
        self._one_at_a_time = threading.Lock()

    def __call__(self, _logger: object, _method: str, fields: Event) -> Event:
        with self._one_at_a_time:
            event = str(fields.get("event", ""))
            here = self._position.of(event, fields)
            self._position = self._position.after(event, fields)
        place = {"round": here.round, "attempt": here.attempt, "phase": here.phase}
        return {**{name: fields[name] for name in _FIRST if name in fields}, **self._bound, **place, **fields}


class _Showing:
    """Show every line to one observer, whose mistakes are its own."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def __call__(self, _logger: object, _method: str, fields: Event) -> Event:
        rest = {name: value for name, value in fields.items() if name not in _FIRST}
        line = LogLine(utc_now().timestamp(), str(fields.get("level")), str(fields.get("event")), rest)
        # Whoever looks on must never stop what it looks at.
        with suppress(Exception):
            self._observer(line)
        return fields


def _as_text(_logger: object, _method: str, fields: Event) -> str:
    """Return one line for people; what a peer wrote into a field cannot break out of it."""
    words = [str(fields.pop(name, "")) for name in _FIRST]
    named = (f"{name}={json.dumps(value, default=str)}" for name, value in fields.items())
    return " ".join([*words, *named])
