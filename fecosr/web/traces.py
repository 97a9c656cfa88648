"""Send spans to a collector of the operator's, where a configuration asks for it.

Where to, with which certificate and how often is for the library to read from its standard environment
variables (`OTEL_EXPORTER_OTLP_ENDPOINT` and its neighbours). Whether anything is sent the configuration says.
"""

import logging
import threading
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import structlog

from fecosr import __version__
from fecosr.errors import ConfigError
from fecosr.observability.lines import LogLine
from fecosr.observability.spans import OpenSpans, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

_LIBRARIES: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_NANOSECONDS: Final = 1_000_000_000


class Traces:
    """Follow a party by its log, and hand on every span that has ended.

    Args:
        run: its name.
        party: whose log it is.
        processor: takes the spans.
    """

    def __init__(self, run: str, party: str, processor: "SpanProcessor") -> None:
        self._open = OpenSpans(run, party)
        self._processor = processor
        self._one_at_a_time = threading.Lock()

    def see(self, line: LogLine) -> None:
        """Take one line of the log in."""
        with self._one_at_a_time:
            self._open, ended = self._open.after(line)
        for span in ended:
            self._processor.on_end(_readable(span))

    def close(self) -> None:
        """Send what was not sent yet, within the library's own patience."""
        # Whoever looks on must never stop what it looks at.
        with suppress(Exception):
            self._processor.shutdown()


def collector_traces(run: str, party: str) -> Traces:
    """Return traces that go to the collector which the environment names, on a thread of the library's.

    Raises:
        ConfigError: the library is not installed, or cannot read the environment.
    """
    _require_libraries()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    _speak_once()
    try:
        return Traces(run, party, BatchSpanProcessor(OTLPSpanExporter()))
    except (ValueError, OSError) as error:
        raise ConfigError(
            f"traces cannot be sent: {error}", remedy="correct the OTEL_ variables, or leave traces out"
        ) from None


def _readable(span: Span) -> "ReadableSpan":
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - loaded where traces are wanted
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags  # noqa: PLC0415

    def context(span_id: int) -> SpanContext:
        sampled = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(span.trace_id, span_id, is_remote=False, trace_flags=sampled)

    return ReadableSpan(
        span.name,
        context=context(span.span_id),
        parent=None if span.parent_id is None else context(span.parent_id),
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before.
        resource=Resource.create({"service.name": "fecosr", "service.version": __version__}),
        attributes=dict(span.attributes),
        status=Status(StatusCode.ERROR, span.failure) if span.failure else Status(StatusCode.OK),
        start_time=int(span.began * _NANOSECONDS),
        end_time=int(span.ended * _NANOSECONDS),
    )


def _require_libraries() -> None:
    for name in _LIBRARIES:
        with suppress(ModuleNotFoundError):
            if find_spec(name) is not None:
                continue
        raise ConfigError(
            f"traces need {name}, which is not installed",
            remedy="pip install 'fecosr[otel]', or leave traces out",
        )


def _speak_once() -> None:
    """Let the library's complaints become one line of our log, however long the collector is away."""
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    logger.handlers = [_Once()]


class _Once(logging.Handler):
    """Say the first complaint only."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._has_spoken = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line of ours, if it is the first."""
        if not self._has_spoken:
            self._has_spoken = True
            log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
            log.warning("traces_not_sent", reason=record.getMessage())
