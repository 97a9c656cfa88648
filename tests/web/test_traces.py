"""Spans as OpenTelemetry takes them, and on their way to a collector."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra 'otel' is not installed")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from coordinator.watching import Watching
from fecosr.config.parties import CoordinatorConfig
from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR, RunId
from fecosr.observability.lines import LogLine
from fecosr.web.traces import Traces, collector_traces

ROUND: list[tuple[str, dict[str, object]]] = [
    ("round_opened", {"round": 1, "attempt": 1}),
    ("phase_started", {"round": 1, "attempt": 1, "phase": "share_keys"}),
    ("round_aborted", {"round": 1, "attempt": 1, "reason": "too_few"}),
    ("round_opened", {"round": 1, "attempt": 2}),
    ("round_released", {"round": 1, "attempt": 2, "loss": 4.2}),
]


def show(traces: Traces) -> None:
    for second, (event, fields) in enumerate(ROUND):
        traces.see(LogLine(1000.5 + second, "info", event, fields))


def test_spans_reach_an_exporter_with_their_times_parents_and_outcomes() -> None:
    exporter = InMemorySpanExporter()
    traces = Traces("spring", COORDINATOR, SimpleSpanProcessor(exporter))
    show(traces)
    traces.close()
    found = exporter.get_finished_spans()
    assert [span.name for span in found] == ["share_keys", "attempt", "attempt", "round"]
    phase, first, second, whole = found
    assert [span.status.status_code for span in found] == [StatusCode.ERROR] * 2 + [StatusCode.OK] * 2
    assert phase.status.description == "aborted"
    assert (whole.start_time, whole.end_time) == (1_000_500_000_000, 1_004_500_000_000)
    assert whole.parent is None
    for inner, outer in ((phase, first), (first, whole), (second, whole)):
        assert inner.parent is not None
        assert outer.context is not None
        assert inner.parent.span_id == outer.context.span_id
    assert dict(first.attributes or {}) == {
        "fecosr.run": "spring",
        "fecosr.party": "coordinator",
        "fecosr.round": 1,
        "fecosr.attempt": 1,
    }


class Collector(BaseHTTPRequestHandler):
    """Take what an exporter posts."""

    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
        pass


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """Return what arrives at a collector that the environment names."""
    Collector.received = []
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield Collector.received
        server.shutdown()
        thread.join()


def test_the_standard_variables_say_where_spans_go(received: list[tuple[str, bytes]]) -> None:
    traces = collector_traces("spring", COORDINATOR)
    show(traces)
    traces.close()
    ((path, body),) = received
    assert path == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    spans = [span.name for scope in resource.scope_spans for span in scope.spans]
    assert sorted(spans) == ["attempt", "attempt", "round", "share_keys"]


def test_without_the_setting_nothing_is_sent_whatever_the_environment_says(
    received: list[tuple[str, bytes]],
) -> None:
    watching = Watching(CoordinatorConfig(listen="h:1"), RunId("spring"))
    assert watching.observers == ()
    watching.close()
    assert received == []


def test_with_it_the_log_is_followed(received: list[tuple[str, bytes]]) -> None:
    watching = Watching(CoordinatorConfig(listen="h:1", traces=True), RunId("spring"))
    (observer,) = watching.observers
    for event, fields in ROUND:
        observer(LogLine(1.0, "info", event, fields))
    watching.close()
    assert len(received) == 1


def test_a_collector_that_is_away_is_one_line_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    traces = collector_traces("spring", COORDINATOR)
    show(traces)
    traces.close()
    said = capsys.readouterr()
    assert (said.out + said.err).count("traces_not_sent") == 1


def test_without_the_library_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("fecosr.web.traces.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install 'fecosr\[otel\]'"):
        collector_traces("spring", COORDINATOR)
